"""Tokens by e-mail to an account's own address: that it is his, or for a new password. Changes no account."""

from tidewire.actions import mail, one_time_tokens
from tidewire.actions.services import Services
from tidewire.wire.models import User

MAILS_PER_HOUR = 5  # to one address, of one kind: nobody's mailbox is filled through us
HOUR_S = 3600


def wants_verified(services: Services) -> bool:
    """Tell whether one must have shown an address to be one's own before one logs in."""
    return services.config.flag("EmailSettings.RequireEmailVerification")


async def _may_mail(services: Services, kind: str, email: str) -> bool:
    return await services.throttle.take(f"mail:{kind}:{email}", HOUR_S, MAILS_PER_HOUR)


async def mail_token(services: Services, kind: str, template: str, user: User) -> None:
    """Send a user a new token, unless e-mail is off or he got several within the hour."""
    if mail.server_of(services) is None or not await _may_mail(services, kind, user.email):
        return
    async with services.db.transaction() as tx:
        token = await one_time_tokens.do_create(tx, kind, user_id=user.id, email=user.email)
        await mail.send(services, tx, template, user.email, token=token, email=user.email)


def send(services: Services, user: User) -> None:
    """Send a user a link that shows his address to be his, after the answer."""
    services.mail.later(lambda: mail_token(services, one_time_tokens.VERIFY, "verify", user))
