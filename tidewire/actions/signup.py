"""New accounts: by oneself where the server is open, by an invitation, or by an admin."""

from msgspec import Struct

from tidewire.actions import one_time_tokens, passwords, permissions, team_members, validate, verification
from tidewire.actions.copies import announce, to_all
from tidewire.actions.services import Services
from tidewire.actions.team_invites import join_channels
from tidewire.actions.team_members import invite_missing
from tidewire.bus.envelope import user_key
from tidewire.store import teams, users
from tidewire.store.db import Transaction
from tidewire.store.one_time_tokens import OneTime
from tidewire.wire import defaults
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Channel, Session, Team, User


class NewUser(Struct):
    """What one may say about a new account; other members of the body are ignored."""

    username: str = ""
    email: str = ""
    password: str = ""
    nickname: str = ""
    first_name: str = ""
    last_name: str = ""
    position: str = ""
    locale: str = ""
    props: dict[str, str] | None = None
    notify_props: dict[str, str] | None = None
    timezone: dict[str, str] | None = None


class Invitation(Struct):
    """What a person who was invited shows: a token from an e-mail, or a team's invite id."""

    token: str = ""
    invite_id: str = ""


def _refused(error_id: str, text: str, status: int = 403) -> AppError:
    return AppError(f"api.user.create_user.{error_id}", status, text)


async def _check_may_sign_up(services: Services, session: Session | None, invitation: Invitation) -> None:
    """Raise 403 where the configuration keeps the caller out; admins make accounts as they like."""
    if session is not None and permissions.is_admin(session):
        return
    config = services.config
    if not (
        config.flag("EmailSettings.EnableSignUpWithEmail") and config.flag("TeamSettings.EnableUserCreation")
    ):
        raise _refused("signup_email_disabled.app_error", "User sign-up with email is disabled.")
    invited = invitation.token or invitation.invite_id
    if not (config.flag("TeamSettings.EnableOpenServer") or invited) and await users.any_user(services.db):
        raise _refused("no_open_server", "This server does not allow open signups.")


def _new_user(new: NewUser, *, locale: str) -> User:
    now = now_ms()
    return User(
        id=new_id(now),
        username=new.username.strip().lower(),
        email=new.email.strip().lower(),
        create_at=now,
        update_at=now,
        nickname=new.nickname,
        first_name=new.first_name,
        last_name=new.last_name,
        position=new.position,
        locale=new.locale or locale,
        props=new.props or {},
        notify_props=defaults.USER_NOTIFY_PROPS | (new.notify_props or {}),
        timezone=defaults.TIMEZONE | (new.timezone or {}),
        last_password_update=now,
        roles="system_user",
    )


async def do_create_user(
    services: Services, session: Session | None, new: NewUser, invitation: Invitation
) -> User:
    """Store an account and tell everybody; one who was invited is in the team then. The first one ever is system admin.

    Raises: 403 when sign-up is closed; 400 for what may not be chosen or is taken, and for an invitation that does not
    hold; 404 for an invite id that no team has.
    """
    await _check_may_sign_up(services, session, invitation)
    user = _new_user(new, locale=services.config.text("LocalizationSettings.DefaultClientLocale"))
    if invitation.token:
        await _read_token(services, invitation.token, user)
    team: Team | None = None
    if invitation.invite_id and not invitation.token:
        team = await teams.by_invite_id(services.db, invitation.invite_id)
        if team is None:
            raise invite_missing()
    validate.check_user(user)
    validate.check_domain(user.email, services.config.text("TeamSettings.RestrictCreationToDomains"))
    validate.check_password(new.password, services.config)
    hashed = await passwords.hash_password(new.password)
    default_channels: list[Channel] = []
    invited: OneTime | None = None
    async with services.db.transaction() as tx:
        if invitation.token:
            team, invited = await _redeem(tx, invitation.token, user)
        if await users.becomes_first(tx):
            user.roles = "system_admin system_user"
        await users.insert(tx, user, hashed)
        announce(tx, user_key(user.id), [to_all("new_user", {"user_id": user.id}, guests=[])])
        if team is not None:
            validate.check_domain(user.email, team.allowed_domains)
            default_channels = await team_members.load_default_channels(services, tx, team.id)
            limit = services.config.number("TeamSettings.MaxUsersPerTeam")
            await team_members.join(tx, team, [user.id], default_channels, at=user.create_at, limit=limit)
            if invited is not None:
                await join_channels(tx, team.id, user.id, invited.extra)
    await team_members.tell_joined(services, default_channels, [user], user)
    if verification.wants_verified(services) and not user.email_verified:
        verification.send(services, user)
    return user


async def _read_token(services: Services, token: str, user: User) -> None:
    """Take the address from an invitation: it was sent there, so it is shown to be his."""
    found = await one_time_tokens.peek(services.db, one_time_tokens.INVITE, token)
    if found is None:
        raise _refused("signup_link_invalid.app_error", "The signup link does not appear to be valid.", 400)
    if found.expires_at <= now_ms():
        raise _refused("signup_link_expired.app_error", "The signup link has expired.", 400)
    user.email = found.email
    user.email_verified = True


async def _redeem(tx: Transaction, token: str, user: User) -> tuple[Team | None, OneTime]:
    """Use an invitation up; return (its team, None if that is gone; what it says)."""
    found = await one_time_tokens.do_redeem(tx, one_time_tokens.INVITE, token)
    if found is None or found.email != user.email:
        raise _refused("signup_link_invalid.app_error", "The signup link does not appear to be valid.", 400)
    found_teams = await teams.by_ids(tx, [str(found.extra.get("team_id", ""))])
    return (found_teams[0] if found_teams and not found_teams[0].delete_at else None), found
