"""The file of `tidewire loadtest seed`: one line `token user_id username channel_id team_id` for each user."""

from pathlib import Path
from typing import NamedTuple

from loadtest.swarm.herd import CannotRun


class Person(NamedTuple):
    """One line. channel_id: the first of his channels, "-" if he is in none."""

    token: str
    user_id: str
    username: str
    channel_id: str
    team_id: str


def read_tokens(path: Path) -> list[Person]:
    """Return the users of a file. Raises: CannotRun, naming the line."""
    try:
        lines = path.read_text(encoding="ascii").splitlines()
    except UnicodeDecodeError as error:
        raise CannotRun(f"{path} is no tokens file: it has other characters than ASCII") from error
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror}") from error
    people = []
    for number, line in enumerate(lines, 1):
        words = line.split()
        if len(words) != len(Person._fields):
            wanted = " ".join(Person._fields)
            raise CannotRun(f"{path}, line {number}: {len(words)} words instead of five ({wanted})")
        people.append(Person(*words))
    if not people:
        raise CannotRun(f"{path} has no users")
    return people
