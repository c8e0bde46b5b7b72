"""Changes of a team itself: texts, privacy, invite id, archive, restore, delete for good."""

from collections.abc import Callable

from msgspec import Struct, structs

from tidewire.actions import permissions, validate
from tidewire.actions.copies import announce, to_team
from tidewire.actions.services import Services
from tidewire.actions.teams import view_for
from tidewire.bus.envelope import team_key
from tidewire.store import teams
from tidewire.wire.errors import body_param
from tidewire.wire.events import as_text
from tidewire.wire.ids import new_token, now_ms
from tidewire.wire.models import Session, Team
from tidewire.wire.views import team_view


class TeamUpdate(Struct):
    """A whole team as a client sends it back; only what may change is read."""

    id: str = ""
    display_name: str = ""
    description: str = ""
    company_name: str = ""
    allowed_domains: str = ""
    allow_open_invite: bool = False


class TeamPatch(Struct):
    """What one may change about a team; what is missing or null stays."""

    display_name: str | None = None
    description: str | None = None
    company_name: str | None = None
    allowed_domains: str | None = None
    allow_open_invite: bool | None = None


class TeamPrivacy(Struct):
    """O or I."""

    privacy: str = ""


async def do_update_team(services: Services, session: Session, team_id: str, update: TeamUpdate) -> Team:
    """Replace a team's texts and whether it is open; tell the team. Raises: 403, 404, 400."""
    if update.id != team_id:
        raise body_param("id")
    texts = {name: getattr(update, name) for name in TeamPatch.__struct_fields__}
    return await do_patch_team(services, session, team_id, TeamPatch(**texts))


async def do_patch_team(services: Services, session: Session, team_id: str, patch: TeamPatch) -> Team:
    """Change what the patch names and tell the team. Raises: 403, 404, 400."""
    await permissions.access_team(services, session, team_id, "manage_team")
    changed = {
        name: value for name in TeamPatch.__struct_fields__ if (value := getattr(patch, name)) is not None
    }
    # Mattermost API v4: who comes in is for those who may invite.
    if changed.keys() & {"allow_open_invite", "allowed_domains"}:
        await permissions.check_team(services, session, team_id, "invite_user")

    def edit(team: Team) -> Team:
        return structs.replace(team, **changed)

    return await _change(services, session, team_id, edit)


async def do_set_privacy(services: Services, session: Session, team_id: str, privacy: str) -> Team:
    """Open a team to all, or close it; closing makes old invite links useless. Raises: 403, 404, 400."""
    if privacy not in ("O", "I"):
        raise body_param("privacy")
    await permissions.access_team(services, session, team_id, "manage_team")
    await permissions.check_team(services, session, team_id, "invite_user")

    def edit(team: Team) -> Team:
        closing = privacy == "I" and team.type != "I"
        return structs.replace(
            team,
            type=privacy,
            allow_open_invite=privacy == "O",
            invite_id=new_token() if closing else team.invite_id,
        )

    return await _change(services, session, team_id, edit)


async def do_regenerate_invite_id(services: Services, session: Session, team_id: str) -> Team:
    """Give a team another invite id; links with the old one end. Raises: 403, 404."""
    await permissions.access_team(services, session, team_id, "manage_team")

    def edit(team: Team) -> Team:
        return structs.replace(team, invite_id=new_token())

    return await _change(services, session, team_id, edit)


async def do_archive_team(services: Services, session: Session, team_id: str) -> None:
    """Archive a team and tell it. Memberships and channels stay as they are. Raises: 403, 404."""
    await permissions.access_team(services, session, team_id, "manage_team")

    def edit(team: Team) -> Team:
        return structs.replace(team, delete_at=team.delete_at or now_ms())

    await _change(services, session, team_id, edit, event="delete_team")


async def do_restore_team(services: Services, session: Session, team_id: str) -> Team:
    """Bring an archived team back and tell it. Raises: 403, 404."""
    await permissions.access_team(services, session, team_id, "manage_team")

    def edit(team: Team) -> Team:
        return structs.replace(team, delete_at=0)

    return await _change(services, session, team_id, edit, event="restore_team")


async def _change(
    services: Services,
    session: Session,
    team_id: str,
    edit: Callable[[Team], Team],
    *,
    event: str = "update_team",
) -> Team:
    """Lock a team, let `edit` change it, store it and tell the team; return it as the caller may see it."""
    async with services.db.transaction() as tx:
        before = await teams.lock(tx, team_id)
        if before is None:
            raise permissions.team_missing()
        after = structs.replace(edit(before), update_at=max(now_ms(), before.update_at + 1))
        validate.check_team(after)
        await teams.update(tx, after)
        public = team_view(after, manages=False, invites=False)
        announce(
            tx,
            team_key(team_id),
            [to_team(event, {"team": as_text(public)}, team_id)],
            invalidates=["team:" + team_id],
        )
    return await view_for(services, session, after)
