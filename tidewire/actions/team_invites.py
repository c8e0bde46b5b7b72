"""Invitations to a team by e-mail, and joining by their tokens. Invite ids are team_members' and teams' part."""

from typing import Any, NamedTuple

import msgspec

from tidewire.actions import mail, one_time_tokens, permissions, team_members, validate
from tidewire.actions.membership import add_to_channel
from tidewire.actions.services import Services
from tidewire.actions.users import get_user
from tidewire.store import channels, members, teams
from tidewire.store.db import Transaction
from tidewire.wire.errors import AppError, body_param, forbidden
from tidewire.wire.ids import is_id, now_ms
from tidewire.wire.models import Session, Team, TeamMember
from tidewire.wire.roles import is_guest

PER_HOUR = 20  # invitations that one user sends; Mattermost API v4
WINDOW_S = 3600
AT_ONCE = 200  # addresses of one call, for those who invite by the API
CHANNELS_MAX = 20  # that one invitation leads to
MESSAGE_MAX = 1000  # characters of the inviter's own words


class Invitation(NamedTuple):
    """What became of one address: an error or none."""

    email: str
    error: AppError | None


async def do_invite(
    services: Services,
    session: Session,
    team_id: str,
    emails: list[str],
    channel_ids: list[str],
    message: str,
    *,
    graceful: bool,
) -> list[Invitation]:
    """Send each address a link that works once; return what became of each.

    graceful: what cannot be sent has an error in the answer; otherwise the first such error is raised.
    Raises: 403; 501 while invitations or e-mail are off; 413 above PER_HOUR; 400.
    Source: Mattermost API v4, "Invite users to the team by email".
    """
    team = await permissions.access_team(services, session, team_id, "invite_user")
    await permissions.check_team(services, session, team_id, "add_user_to_team")
    if team.delete_at:
        raise permissions.team_missing()
    if not services.config.flag("ServiceSettings.EnableEmailInvitations") or not mail.server_of(services):
        raise AppError("api.team.invite_members.disabled.app_error", 501, "Email invitations are disabled.")
    wanted = list(dict.fromkeys(email.strip().lower() for email in emails))
    if not wanted:
        raise body_param("user_email")
    validate.check_text("message", message, MESSAGE_MAX)
    await _check_channels(services, session, team_id, channel_ids)
    errors = {email: error for email in wanted if (error := _why_not(team, email))}
    if errors and not graceful:
        raise next(iter(errors.values()))
    able = [email for email in wanted if email not in errors]
    if able:
        await _check_rate(services, session.user_id, len(able))
    if able and not await _do_invite(services, session, team, able, channel_ids, message):
        not_sent = AppError("api.team.invite_members.unable_to_send_email.app_error", 500, "Not sent.")
        errors.update(dict.fromkeys(able, not_sent))
    return [Invitation(email, errors.get(email)) for email in wanted]


async def _check_rate(services: Services, user_id: str, count: int) -> None:
    if not await services.throttle.take("invite:" + user_id, WINDOW_S, PER_HOUR, count):
        text = "Invite emails are rate limited. Try again later."
        raise AppError("app.email.rate_limit_exceeded.app_error", 413, text)


def _why_not(team: Team, email: str) -> AppError | None:
    try:
        mail.parse_address(email)
    except AppError as error:
        return error
    if not validate.domain_allowed(email, team.allowed_domains):
        text = "The address does not belong to the team's domains."
        return AppError("api.team.invite_members.invalid_email.app_error", 400, text)
    return None


async def _check_channels(services: Services, session: Session, team_id: str, ids: list[str]) -> None:
    """One invites only to channels of the team to which one may add members. Raises: 400, 403."""
    if not ids:
        return
    if len(ids) > CHANNELS_MAX or not all(is_id(channel_id) for channel_id in ids):
        raise AppError("model.member.is_valid.channel.app_error", 400, "Invalid channels.")
    found = {channel.id: channel for channel in await channels.by_ids(services.db, ids)}
    roles = await members.own_roles(services.db, session.user_id, ids)
    for channel_id in ids:
        channel = found.get(channel_id)
        if channel is None or channel.team_id != team_id or channel.delete_at:
            raise forbidden()
        needed = f"manage_{'public' if channel.type == 'O' else 'private'}_channel_members"
        if not permissions.is_admin(session) and not permissions.permits(services, roles.get(channel_id, ""), needed):
            raise forbidden()


async def _do_invite(
    services: Services, session: Session, team: Team, emails: list[str], channel_ids: list[str], message: str
) -> bool:
    """Make a token for each address and queue what carries it; False if no e-mail is taken now."""
    sender = (await get_user(services, session.user_id)).username
    async with services.db.transaction() as tx:
        tokens = await one_time_tokens.do_create_for_emails(
            tx, one_time_tokens.INVITE, emails, team_id=team.id, channel_ids=channel_ids
        )
        mails: dict[str, dict[str, object]] = {}
        for email, token in tokens.items():
            data = {"id": team.id, "name": team.name, "display_name": team.display_name, "email": email}
            mails[email] = {
                "sender": sender,
                "team_name": team.display_name,
                "message": message,
                "data": msgspec.json.encode(data).decode(),
                "token": token,
            }
        return await mail.send_many(services, tx, "invite", mails)


async def do_join_by_token(services: Services, session: Session, token: str) -> TeamMember:
    """Make the caller a member of the team that the token of an invitation names; it works once.

    Raises: 400 for a token that is unknown, used or too old, for guests, and for a team that is gone or closed to him.
    """
    user = await get_user(services, session.user_id)
    async with services.db.transaction() as tx:
        found = await one_time_tokens.do_redeem(tx, one_time_tokens.INVITE, token)
        if found is None:
            raise _refused("signup_link_invalid", "The signup link does not appear to be valid.")
        if found.expires_at <= now_ms():
            raise _refused("signup_link_expired", "The signup link has expired.")
        if is_guest(user.roles):
            raise _refused("invalid_invitation_type", "Guests cannot join by this.")
        rows = await teams.by_ids(tx, [str(found.extra.get("team_id", ""))])
        if not rows or rows[0].delete_at:
            raise _refused("signup_link_invalid", "The signup link does not appear to be valid.")
        team = rows[0]
        if error := team_members.why_not(team, user, session, invites_guests=False):
            raise error
        default_channels = await team_members.load_default_channels(services, tx, team.id)
        limit = services.config.number("TeamSettings.MaxUsersPerTeam")
        joined = await team_members.join(tx, team, [user.id], default_channels, at=now_ms(), limit=limit)
        await join_channels(tx, team.id, user.id, found.extra)
        member = (await teams.members(tx, team.id, [user.id]))[0]
    await team_members.tell_joined(services, default_channels, [user] if joined else [], user)
    return member


def _refused(why: str, text: str) -> AppError:
    return AppError(f"api.user.create_user.{why}.app_error", 400, text)


async def join_channels(tx: Transaction, team_id: str, user_id: str, extra: dict[str, Any]) -> None:
    """Add one who has just joined the team to the channels that his invitation names, where they still are."""
    ids = [str(channel_id) for channel_id in extra.get("channel_ids") or ()]
    if not ids:
        return
    for channel in sorted(await channels.by_ids(tx, ids), key=lambda channel: channel.id):
        if channel.team_id == team_id and channel.type in ("O", "P") and not channel.delete_at:
            await add_to_channel(tx, channel, [user_id], at=now_ms())
