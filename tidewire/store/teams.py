"""Rows of teams and team memberships."""

from typing import NamedTuple

from asyncpg import UniqueViolationError

from tidewire.store import sql
from tidewire.store.db import Database, Record, Transaction
from tidewire.wire.errors import AppError
from tidewire.wire.member_roles import MemberRoles
from tidewire.wire.models import Team, TeamMember

Source = Database | Transaction
_Q = sql.load("teams")


class Unread(NamedTuple):
    """What waits for a user in a team's channels."""

    team_id: str
    mention_count: int
    mention_count_root: int
    msg_count: int
    msg_count_root: int


def _members(rows: list[Record]) -> list[TeamMember]:
    return [TeamMember(**row) for row in rows]


async def by_ids(source: Source, ids: list[str]) -> list[Team]:
    """Return the teams of these ids that exist, archived ones too, in no order."""
    return [Team(**row) for row in await source.fetch(_Q["teams_by_ids"], ids)]


async def by_name(source: Source, name: str) -> Team | None:
    """Return the team of a name, or None."""
    row = await source.fetchrow(_Q["team_by_name"], name)
    return None if row is None else Team(**row)


async def of_user(source: Source, user_id: str) -> list[Team]:
    """Return the live teams that a user is in, by display name."""
    return [Team(**row) for row in await source.fetch(_Q["teams_of"], user_id)]


async def common_of(source: Source, channel_id: str) -> list[Team]:
    """Return the live teams that all active members of a channel are in, by display name."""
    return [Team(**row) for row in await source.fetch(_Q["common_teams"], channel_id)]


async def share_team(source: Source, user_id: str, other_id: str) -> bool:
    """Tell whether two users are in one live team."""
    shared: bool = await source.fetchval(_Q["share_team"], user_id, other_id)
    return shared


async def page(source: Source, *, closed: bool, limit: int, offset: int) -> list[Team]:
    """Return live teams by display name; closed: those that need an invitation too."""
    return [Team(**row) for row in await source.fetch(_Q["page_of_teams"], closed, limit, offset)]


async def count(source: Source, *, closed: bool) -> int:
    """Return the number of live teams."""
    number: int = await source.fetchval(_Q["count_teams"], closed)
    return number


async def insert(tx: Transaction, team: Team) -> None:
    """Store a new team. Raises: AppError 400 when the name is taken, also by an archived one."""
    try:
        await tx.execute(
            _Q["insert_team"], team.id, team.create_at, team.name, team.display_name, team.type, team.description,
            team.email, team.company_name, team.allowed_domains, team.invite_id, team.allow_open_invite,
        )  # fmt: skip
    except UniqueViolationError as error:
        raise AppError("app.team.save.existing.app_error", 400) from error


async def by_invite_id(source: Source, invite_id: str) -> Team | None:
    """Return the live team of an invite id, or None."""
    row = await source.fetchrow(_Q["team_by_invite_id"], invite_id)
    return None if row is None else Team(**row)


async def search(
    source: Source, pattern: str, *, opened: bool, closed: bool, limit: int, offset: int
) -> list[Team]:
    """Return live teams by display name whose name or display name is LIKE the pattern (lower case)."""
    return [
        Team(**row) for row in await source.fetch(_Q["search_teams"], pattern, opened, closed, limit, offset)
    ]


async def count_found(source: Source, pattern: str, *, opened: bool, closed: bool) -> int:
    """Return how many teams `search` would find without a limit."""
    number: int = await source.fetchval(_Q["count_found_teams"], pattern, opened, closed)
    return number


async def lock(tx: Transaction, team_id: str) -> Team | None:
    """Return the team, locked against changes until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_team"], team_id)
    return None if row is None else Team(**row)


async def update(tx: Transaction, team: Team) -> None:
    """Store everything of a locked team that may change."""
    await tx.execute(
        _Q["update_team"], team.id, team.update_at, team.delete_at, team.display_name, team.type, team.description,
        team.company_name, team.allowed_domains, team.invite_id, team.allow_open_invite,
    )  # fmt: skip


async def members(source: Source, team_id: str, user_ids: list[str]) -> list[TeamMember]:
    """Return memberships, also ended ones (delete_at > 0), in no order."""
    return _members(await source.fetch(_Q["team_members"], team_id, user_ids))


async def page_of_members(
    source: Source,
    team_id: str,
    *,
    active_only: bool,
    by_username: bool,
    limit: int,
    offset: int,
    seen_by: str = "",
) -> list[TeamMember]:
    """Return live memberships of a team by user id, or by username. seen_by: only who shares a channel with him."""
    return _members(
        await source.fetch(_Q["page_of_members"], team_id, active_only, by_username, limit, offset, seen_by)
    )


async def memberships_of(source: Source, user_id: str) -> list[TeamMember]:
    """Return a user's live memberships in live teams."""
    return _members(await source.fetch(_Q["memberships_of"], user_id))


async def lock_joining(tx: Transaction, team_id: str) -> None:
    """Let nobody else join who asks this too, until the transaction ends: so that a limit holds."""
    await tx.execute(_Q["lock_joining"], team_id)


async def join(
    tx: Transaction, team_id: str, user_ids: list[str], *, at: int, admin: str = ""
) -> dict[str, bool]:
    """Make users members; return those who were none before: user id → is a guest. admin: who runs the team."""
    rows = await tx.fetch(_Q["join_team"], team_id, user_ids, at, admin)
    return {row["user_id"]: row["scheme_guest"] for row in rows}


async def leave(tx: Transaction, team_id: str, user_id: str, *, at: int) -> bool:
    """End a membership; False if there was none. Before anything else in the transaction, see hold_members."""
    return await tx.fetchval(_Q["leave_team"], team_id, user_id, at) is not None


async def hold_members(tx: Transaction, team_id: str, user_ids: list[str]) -> set[str]:
    """Return who of them is in the team, and keep them in it until the transaction ends."""
    return {row["user_id"] for row in await tx.fetch(_Q["hold_membership"], team_id, user_ids)}


async def lock_member(tx: Transaction, team_id: str, user_id: str) -> TeamMember | None:
    """Return a live membership, locked against changes until the transaction ends, or None."""
    row = await tx.fetchrow(_Q["lock_team_member"], team_id, user_id)
    return None if row is None else TeamMember(**row)


async def set_roles(tx: Transaction, team_id: str, user_id: str, roles: MemberRoles) -> TeamMember:
    """Store a locked member's roles."""
    row = await tx.fetchrow(_Q["set_team_roles"], team_id, user_id, *roles)
    assert row is not None, "the row is locked"
    return TeamMember(**row)


async def stats(source: Source, team_id: str, *, seen_by: str = "") -> tuple[int, int]:
    """Return (members, active members). seen_by: as in page_of_members."""
    row = await source.fetchrow(_Q["team_stats"], team_id, seen_by)
    assert row is not None, "an aggregate has one row"
    return row["total"], row["active"]


async def unreads(source: Source, user_id: str, team_id: str = "") -> list[Unread]:
    """Return the unread counts of a user's teams, or of one; a team without channels of his is missing."""
    return [Unread(*row) for row in await source.fetch(_Q["team_unreads"], user_id, team_id)]


async def thread_unreads(source: Source, user_id: str) -> dict[str, tuple[int, int, int]]:
    """Return team id → (followed threads with unseen replies, mentions in them, those of urgent ones)."""
    rows = await source.fetch(_Q["team_thread_unreads"], user_id)
    return {row["team_id"]: tuple(row)[1:] for row in rows}
