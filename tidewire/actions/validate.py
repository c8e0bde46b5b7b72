"""What names, addresses and texts may look like. Pure functions; each raises AppError 400 with the contract's id.

Source: Mattermost API v4, limits of users, teams and channels. Lengths are characters unless a name says bytes.
"""

import re
import string
from typing import Protocol

from tidewire.wire.errors import AppError, body_param
from tidewire.wire.models import Channel, Team, User

_USERNAME = re.compile(r"[a-z0-9._-]{1,64}\Z")
_EMAIL = re.compile(r"[^\s@<>\",;]+@[^\s@<>\",;]+\Z")
_TEAM_NAME = re.compile(r"[a-z][a-z0-9-]*[a-z0-9]\Z")
_CHANNEL_NAME = re.compile(r"[a-z0-9_-]{1,64}\Z")
_LOCALE = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z]{2})?\Z")
_SYMBOLS = " !\"\\#$%&'()*+,-./:;<=>?@[]^_`|~"  # Mattermost API v4, password rules
_RESERVED_USERNAMES = frozenset({"all", "channel", "here", "matterbot", "system", "system-bot"})
_RESERVED_TEAM_NAMES = {
    "admin", "api", "channel", "claim", "error", "files", "help", "landing", "login", "mfa", "oauth",
    "plug", "plugins", "post", "signup", "boards", "playbooks", "select_team", "create_team", "invite",
    "logout", "reset_password", "should_verify_email", "terms_of_service"
}  # fmt: skip
PASSWORD_MAX_BYTES = 72
PROPS_MAX_BYTES = 8000  # of `props` and `notify_props` each, as keys and values


def is_username(text: str) -> bool:
    """Tell whether a user or a bot may be called so; lower-case already."""
    return _USERNAME.match(text) is not None and text not in _RESERVED_USERNAMES


def _user_field(name: str) -> AppError:
    return AppError(f"model.user.is_valid.{name}.app_error", 400, f"Invalid {name}.")


class PasswordRules(Protocol):
    """Where the rules stand: the run-time configuration."""

    def flag(self, name: str) -> bool:
        """Return a key that is true or false."""

    def number(self, name: str) -> int:
        """Return a key that is a whole number."""


def check_password(password: str, rules: PasswordRules) -> None:
    """Check a new password. The error's id names every rule that it breaks."""
    minimum = rules.number("PasswordSettings.MinimumLength")
    kinds = (
        ("Lowercase", "one lowercase letter", string.ascii_lowercase),
        ("Uppercase", "one uppercase letter", string.ascii_uppercase),
        ("Number", "one number", string.digits),
        ("Symbol", "one symbol", _SYMBOLS),
    )
    broken, wanted = "", []
    if len(password) < minimum:
        broken, wanted = "_min_length", [f"at least {minimum} characters"]
    if len(password.encode("utf-8", "replace")) > PASSWORD_MAX_BYTES:
        broken, wanted = broken + "_max_length", [*wanted, f"no more than {PASSWORD_MAX_BYTES} bytes"]
    for rule, text, characters in kinds:
        if rules.flag("PasswordSettings." + rule) and not any(one in characters for one in password):
            broken, wanted = f"{broken}_{rule.lower()}", [*wanted, "at least " + text]
    if broken:
        text = f"Your password must contain {', '.join(wanted)}."
        raise AppError(f"model.user.is_valid.pwd{broken}.app_error", 400, text)


def check_domain(email: str, allowed: str) -> None:
    """Check that an address belongs to one of the domains, separated by spaces or commas; "" allows all."""
    if not domain_allowed(email, allowed):
        raise AppError(
            "api.user.create_user.accepted_domain.app_error",
            400,
            "The e-mail address is not of an accepted domain.",
        )


def _props_bytes(props: dict[str, str]) -> int:
    return sum(len(key.encode()) + len(value.encode()) for key, value in props.items())


def check_user(user: User) -> None:
    """Check everything that a user may choose; username and e-mail must be lower-case already."""
    if not is_username(user.username):
        raise _user_field("username")
    if len(user.email) > 128 or not _EMAIL.match(user.email):
        raise _user_field("email")
    for name in ("nickname", "first_name", "last_name"):
        if len(getattr(user, name)) > 64:
            raise _user_field(name)
    if len(user.position) > 128:
        raise _user_field("position")
    if not _LOCALE.match(user.locale):
        raise _user_field("locale")
    for name in ("props", "notify_props", "timezone"):
        if _props_bytes(getattr(user, name)) > PROPS_MAX_BYTES:
            raise _user_field(name)


def check_team(team: Team) -> None:
    """Check everything that a team's creator may choose."""
    if team.type not in ("O", "I"):
        raise AppError("model.team.is_valid.type.app_error", 400, "Invalid type.")
    if not 1 <= len(team.display_name) <= 64:
        raise AppError("model.team.is_valid.name.app_error", 400, "Invalid display name.")
    if not 2 <= len(team.name) <= 64:
        raise AppError("model.team.is_valid.url.app_error", 400, "Invalid name.")
    if any(team.name == word or team.name.startswith(word + "-") for word in ("api", "plugins")) or (
        team.name in _RESERVED_TEAM_NAMES
    ):
        raise AppError("model.team.is_valid.reserved.app_error", 400, "This name is reserved.")
    if not _TEAM_NAME.match(team.name):
        raise AppError(
            "model.team.is_valid.characters.app_error",
            400,
            "A name has lower-case letters, digits and dashes only.",
        )
    limits = {"description": 255, "email": 128, "company_name": 64, "allowed_domains": 500}
    for name, limit in limits.items():
        if len(getattr(team, name)) > limit:
            raise AppError(f"model.team.is_valid.{name.split('_')[0]}.app_error", 400, f"Invalid {name}.")


def domain_allowed(email: str, domains: str) -> bool:
    """Tell whether an address is of one of these domains (separated by commas or spaces, with or without @)."""
    allowed = re.split(r"[\s,@]+", domains.strip().lower())
    return not any(allowed) or email.lower().rpartition("@")[2] in allowed


def check_channel(channel: Channel) -> None:
    """Check everything that an O or P channel's creator may choose."""
    if channel.type not in ("O", "P"):
        raise AppError("model.channel.is_valid.type.app_error", 400, "Invalid type.")
    if not _CHANNEL_NAME.match(channel.name):
        raise AppError(
            "model.channel.is_valid.1_or_more.app_error",
            400,
            "A name has 1 to 64 lower-case letters, digits, dashes and underscores.",
        )
    check_channel_texts(channel)


def check_channel_texts(channel: Channel) -> None:
    """Check the texts that a channel of any type has."""
    for name, limit in (("display_name", 64), ("header", 1024), ("purpose", 250)):
        if len(getattr(channel, name)) > limit:
            raise AppError(f"model.channel.is_valid.{name}.app_error", 400, f"Invalid {name}.")


def check_text(name: str, value: str, limit: int) -> None:
    """Check the length of a member of a body."""
    if len(value) > limit:
        raise body_param(name)
