"""Roles, views and the version id: pure data and functions."""

from tidewire.actions.config import Config
from tidewire.actions.permissions import has_system
from tidewire.actions.sessions import describe_agent
from tidewire.settings import Settings, read
from tidewire.store.db import Database
from tidewire.wire.ids import is_id
from tidewire.wire.models import ChannelMember, Session, Team, User
from tidewire.wire.roles import PERMISSIONS, ROLES
from tidewire.wire.views import admin_view, member_view, own_view, profile_view, team_view

USER = User(
    "u" * 26, "gull", "gull@example.org", first_name="Mo", last_name="Gull", auth_service="saml", auth_data="secret",
    notify_props={"email": "true"}, props={"a": "b"}, last_password_update=7, failed_attempts=3, email_verified=True,
)  # fmt: skip


def test_roles_have_stable_ids_and_admins_have_every_permission() -> None:
    assert len({role.id for role in ROLES.values()}) == len(ROLES)
    assert all(is_id(role.id) for role in ROLES.values())
    for permissions in PERMISSIONS.values():
        assert set(permissions) <= set(PERMISSIONS["system_admin"])
        assert len(set(permissions)) == len(permissions)


def test_unknown_roles_permit_nothing() -> None:
    session = Session("s", "u", 0, 0, roles="nonsense system_user")
    assert has_system(session, "create_team")
    assert not has_system(session, "manage_system")
    assert has_system(Session("s", "u", 0, 0, roles="system_user system_admin"), "whatever_there_is")
    assert not has_system(Session("s", "u", 0, 0, roles="not_system_admin"), "manage_system")


def test_views_hide_more_from_those_further_away() -> None:
    own, admin = own_view(USER), admin_view(USER)
    profile = profile_view(USER, show_email=False, show_full_name=False)
    assert (own.auth_data, own.last_password_update, own.email_verified) == ("secret", 7, True)
    assert (admin.auth_data, admin.last_password_update, admin.email_verified) == ("", 0, False)
    assert (admin.email, admin.failed_attempts) == ("gull@example.org", 3)
    assert (profile.email, profile.first_name, profile.last_name, profile.failed_attempts) == ("", "", "", 0)
    assert (profile.auth_service, profile.auth_data) == ("", "")
    assert not profile.notify_props
    assert profile.props == {"a": "b"}


def test_teams_and_memberships() -> None:
    team = Team("t", "terns", "Terns", email="x@y.org", invite_id="secret")
    assert team_view(team, manages=True, invites=True) == team
    hidden = team_view(team, manages=False, invites=False)
    assert (hidden.email, hidden.invite_id) == ("", "")
    member = ChannelMember("c", "u", last_viewed_at=5, last_update_at=6)
    assert member_view(member, "u") is member
    assert (member_view(member, "v").last_viewed_at, member_view(member, "v").last_update_at) == (-1, -1)


def version_id(settings: Settings, server_id: str, stored: dict[str, object] | None = None) -> str:
    """Return what clients hear of a configuration that was never in a database."""
    config = Config(settings, Database("", size=1), server_id=server_id)
    config.apply(1, stored or {})
    return config.version_id


def test_the_version_changes_with_what_clients_see() -> None:
    settings, server_id = Settings(), "s" * 26
    first = version_id(settings, server_id)
    assert first == version_id(Settings(), server_id)
    assert version_id(read({"site": {"name": "Elsewhere"}}), server_id) != first
    assert version_id(settings, "t" * 26) != first
    assert version_id(settings, server_id, {"TeamSettings.SiteName": "Elsewhere"}) != first
    assert version_id(settings, server_id, {"SqlSettings.Trace": True}) == first


def test_user_agents() -> None:
    firefox = describe_agent("Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0")
    assert firefox == {"platform": "Linux", "os": "Linux", "browser": "Firefox"}
    assert describe_agent("python-requests/2.32")["browser"] == "python-requests"
    assert describe_agent("")["browser"] == "Unknown"
