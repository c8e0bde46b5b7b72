"""Named queries out of `queries/<family>.sql`, and what the tables' ids are called there. No connection here."""

import re
from functools import cache
from importlib.resources import files

_NAME = re.compile(r"^-- name: (\w+)[^\n]*\n", re.M)
_PART = re.compile(r"^-- part: (\w+)[^\n]*\n(.*?)(?=^-- (?:name|part): |\Z)", re.M | re.S)


@cache
def load(family: str) -> dict[str, str]:
    """Return the queries of a family, name → SQL.

    A file holds `-- name: the_name` lines, each followed by one statement; comments may stand after the name line. What
    several statements have in common follows a line `-- part: a_part` and stands in them as `{a_part}`.
    """
    text = files("tidewire.store").joinpath("queries", f"{family}.sql").read_text()
    shared = {name: body.strip() for name, body in _PART.findall(text)}
    text = _PART.sub("", text)
    for name, body in shared.items():
        text = text.replace("{" + name + "}", body)
    parts = _NAME.split(text)[1:]
    queries = {name: body.strip().rstrip(";") for name, body in zip(parts[::2], parts[1::2], strict=True)}
    if len(queries) * 2 != len(parts):
        raise ValueError(f"a name stands twice in {family}.sql")
    return queries


def families() -> list[str]:
    """Return the names of all query files."""
    folder = files("tidewire.store").joinpath("queries")
    return sorted(entry.name[:-4] for entry in folder.iterdir() if entry.name.endswith(".sql"))
