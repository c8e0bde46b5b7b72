"""Names of the emojis that clients bring themselves."""

import re
from importlib.resources import files

import pytest

from tidewire.wire.emoji_names import is_system_emoji

LINES = files("tidewire.wire").joinpath("emoji_names.txt").read_text().splitlines()
NAMES = [word for line in LINES if line[0] != "#" for word in line.split(" ") if set(word) != {"*"}]


def test_the_table_is_well_formed() -> None:
    assert len(NAMES) == len(set(NAMES)) > 2000
    assert all(re.fullmatch("[a-zA-Z0-9_+-]{1,64}", name) for name in NAMES)
    assert all(map(is_system_emoji, NAMES))


@pytest.mark.parametrize(
    ("name", "known"),
    [
        ("+1", True),
        ("mattermost", True),
        ("wave_dark_skin_tone", True),
        ("wave_dark_skin_tone_light_skin_tone", False),  # one person, one tone
        ("couple_dark_skin_tone_light_skin_tone", True),
        ("couple_dark_skin_tone_dark_skin_tone", False),  # that is couple_dark_skin_tone
        ("people_holding_hands_dark_skin_tone", False),
        ("people_holding_hands_dark_skin_tone_dark_skin_tone", True),
        ("rocket_dark_skin_tone", False),
        ("Wave", False),
        ("*", False),
        ("", False),
    ],
)
def test_names_and_tones(name: str, known: bool) -> None:
    assert is_system_emoji(name) is known
