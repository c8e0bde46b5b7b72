"""Roles of memberships: every text gives the flags that it names, or the contract's error."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidewire.wire.errors import AppError
from tidewire.wire.member_roles import MemberRoles, SchemeRoles, check_scheme_roles, parse_roles
from tidewire.wire.roles import ROLES

GOOD = [
    ("team", "team_user", False, ("", False, True, False)),
    ("team", " team_admin  team_user team_user", False, ("", False, True, True)),
    ("team", "team_post_all team_user", False, ("team_post_all", False, True, False)),
    ("team", "team_guest", True, ("", True, False, False)),
    ("channel", "channel_admin channel_user", False, ("", False, True, True)),
]


@pytest.mark.parametrize(("kind", "text", "was_guest", "expected"), GOOD)
def test_good_ones(kind: str, text: str, was_guest: bool, expected: tuple[str, bool, bool, bool]) -> None:
    assert parse_roles(kind, text, was_guest=was_guest) == MemberRoles(*expected)


@given(
    kind=st.sampled_from(["team", "channel"]),
    names=st.lists(st.sampled_from([*ROLES, "nonsense", ""]), max_size=5),
    was_guest=st.booleans(),
)
def test_no_text_gives_more_than_it_may(kind: str, names: list[str], was_guest: bool) -> None:
    try:
        roles = parse_roles(kind, " ".join(names), was_guest=was_guest)
    except AppError as error:
        assert error.status == 400
        return
    assert roles.guest == was_guest != roles.user
    assert not (roles.guest and roles.admin)
    for name in roles.explicit.split():
        assert name.startswith(kind + "_")
        assert not ROLES[name].scheme_managed


@given(flags=st.tuples(st.booleans(), st.booleans(), st.booleans()), was_guest=st.booleans())
def test_flags(flags: tuple[bool, bool, bool], was_guest: bool) -> None:
    wanted = SchemeRoles(*flags)
    if was_guest or wanted.scheme_guest or not wanted.scheme_user:
        with pytest.raises(AppError):
            check_scheme_roles("team", wanted, explicit="x", was_guest=was_guest)
        return
    assert check_scheme_roles("team", wanted, explicit="x", was_guest=was_guest) == (
        "x", False, True, wanted.scheme_admin,
    )  # fmt: skip
