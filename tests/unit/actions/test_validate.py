"""Names, addresses and texts: the edges of what may be chosen."""

import pytest

from tidewire.actions import validate
from tidewire.wire.errors import AppError
from tidewire.wire.models import Channel, Team, User

USER = {"id": "i", "username": "gull", "email": "gull@example.org"}


def refused(check: object, *args: object) -> str:
    """Return the error id of a check that fails, "" of one that passes."""
    try:
        check(*args)  # type: ignore[operator]  # any of the checks
    except AppError as error:
        assert error.status == 400
        return error.id
    return ""


@pytest.mark.parametrize(
    ("change", "fine"),
    [
        ({"username": "a"}, True), ({"username": "a" * 64}, True), ({"username": "a" * 65}, False),
        ({"username": "a.b-c_1"}, True), ({"username": "a\n"}, False), ({"username": "Upper"}, False),
        ({"username": "system"}, False), ({"email": "x" * 116 + "@example.org"}, True),
        ({"email": "x" * 117 + "@example.org"}, False), ({"email": "a b@example.org"}, False),
        ({"email": "a@b@c"}, False), ({"nickname": "🐦" * 64}, True), ({"nickname": "🐦" * 65}, False),
        ({"position": "x" * 128}, True), ({"position": "x" * 129}, False), ({"locale": "pt-BR"}, True),
        ({"locale": "english"}, False), ({"locale": ""}, False),
    ],
)  # fmt: skip
def test_users(change: dict[str, str], fine: bool) -> None:
    assert (refused(validate.check_user, User(**{**USER, **change})) == "") is fine


@pytest.mark.parametrize(
    ("password", "error"),
    [
        ("x" * 7, "pwd_min_length"), ("x" * 8, ""), ("x" * 72, ""), ("x" * 73, "pwd_max_length"),
        ("ü" * 36, ""), ("ü" * 37, "pwd_max_length"),
    ],
)  # fmt: skip
def test_passwords(password: str, error: str) -> None:
    found = refused(lambda one: validate.check_password(one, Rules()), password)
    assert found == (f"model.user.is_valid.{error}.app_error" if error else "")


class Rules:
    """Password rules: eight characters, and one of each of these kinds."""

    def __init__(self, *kinds: str) -> None:
        self._kinds = {"PasswordSettings." + kind for kind in kinds}

    def flag(self, name: str) -> bool:
        return name in self._kinds

    def number(self, name: str) -> int:
        assert name == "PasswordSettings.MinimumLength"
        return 8


@pytest.mark.parametrize(
    ("kinds", "password", "error"),
    [
        (("Lowercase",), "XXXXXXX1", "pwd_lowercase"), (("Uppercase",), "xxxxxxx1", "pwd_uppercase"),
        (("Number",), "xxxxxxxx", "pwd_number"), (("Symbol",), "xxxxxxx1", "pwd_symbol"),
        (("Lowercase", "Uppercase", "Number", "Symbol"), "Aa1 aaaa", ""),
        (("Lowercase", "Uppercase", "Number", "Symbol"), "ü",
         "pwd_min_length_lowercase_uppercase_number_symbol"),
    ],
)  # fmt: skip
def test_kinds_of_characters(kinds: tuple[str, ...], password: str, error: str) -> None:
    found = refused(lambda one: validate.check_password(one, Rules(*kinds)), password)
    assert found == (f"model.user.is_valid.{error}.app_error" if error else "")


@pytest.mark.parametrize(
    ("name", "fine"),
    [("ab", True), ("a", False), ("a1", True), ("1a", False), ("a-", False), ("a-b", True), ("a" * 64, True),
     ("a" * 65, False), ("apis", True), ("api", False), ("api-x", False), ("login", False), ("a_b", False)],
)  # fmt: skip
def test_team_names(name: str, fine: bool) -> None:
    assert (refused(validate.check_team, Team("i", name, "Team")) == "") is fine


@pytest.mark.parametrize(
    ("change", "fine"),
    [({}, True), ({"type": "G"}, False), ({"name": "a_b-1"}, True), ({"name": "x" * 64}, True), ({"name": "é"}, False),
     ({"header": "🐦" * 1024}, True), ({"header": "x" * 1025}, False), ({"purpose": "x" * 251}, False)],
)  # fmt: skip
def test_channels(change: dict[str, str], fine: bool) -> None:
    channel = Channel(
        **{"id": "i", "team_id": "t", "type": "O", "name": "pier", "display_name": "P", **change}
    )
    assert (refused(validate.check_channel, channel) == "") is fine
