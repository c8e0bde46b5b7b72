"""Accounts out of lines: made where the name is new, brought up to date where it is known.

A known account keeps its password, its e-mail's owner and what a line does not say. Who loses a role or is deactivated
loses his logins too.
"""

import asyncio
from typing import Any

import msgspec
from msgspec import Struct, structs

from tidewire.actions import custom_status, passwords, sessions, validate
from tidewire.actions.preferences import check_items
from tidewire.bulk.images import square_of
from tidewire.bulk.kit import Item, Kit
from tidewire.bulk.lines import (
    EMAIL_INTERVALS,
    PREFERENCES,
    TUTORIAL,
    USER_NOTIFY,
    BotLine,
    CustomStatusPart,
    UserLine,
)
from tidewire.bulk.memberships import Memberships
from tidewire.bulk.names import Person
from tidewire.store import imports as store
from tidewire.store import pictures
from tidewire.store.db import Record, Transaction
from tidewire.wire import defaults
from tidewire.wire.errors import AppError
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.models import Preference, User
from tidewire.wire.roles import ROLES, is_guest

_COMPARED = (
    "delete_at", "email", "nickname", "first_name", "last_name", "position", "roles", "locale", "props", "notify_props",
    "timezone", "auth_service", "auth_data", "email_verified", "bot_description",
)  # fmt: skip
NOBODY = "tidewire"  # the owner that an export names where there is none; a program's name is kept
USER_ROLE, GUEST_ROLE = "system_user", "system_guest"


class Account(Struct):
    """A row to be, and as it was if there is one."""

    line: int
    user: User
    password_hash: str
    before: Record | None
    png: bytes | None = None
    owner_id: str = ""
    password: str = ""  # in clear, to be hashed

    def columns(self) -> tuple[Any, ...]:
        """Return the values of put_accounts."""
        user, before = self.user, self.before
        texts = (_json(user.props), _json(user.notify_props), user.locale, _json(user.timezone))
        password_at = before["last_password_update"] if before and before["password_hash"] else user.create_at
        return (
            user.id, user.delete_at, user.username, user.email, self.password_hash, user.auth_data, user.auth_service,
            user.email_verified, user.nickname, user.first_name, user.last_name, user.position, user.roles, *texts,
            user.is_bot, user.bot_description, password_at,
        )  # fmt: skip

    @property
    def changes(self) -> bool:
        """Whether the row is another one than before."""
        row = self.before
        if row is None or self.password:
            return True
        if self.password_hash != row["password_hash"] or (
            self.user.is_bot and self.owner_id != row["owner_id"]
        ):
            return True
        return any(getattr(self.user, name) != row[name] for name in _COMPARED)

    @property
    def ends_sessions(self) -> bool:
        """Whether what he is logged in by holds no longer."""
        row = self.before
        return row is not None and (
            self.user.roles != row["roles"] or (self.user.delete_at > 0) != (row["delete_at"] > 0)
        )


async def known_accounts(
    kit: Kit, names: list[str], emails: list[str]
) -> tuple[dict[str, Record], dict[str, Record]]:
    """Return the accounts that have these names or addresses, by name and by address."""
    rows = await store.fetch(kit.db, "accounts", names, emails)
    return {row["username"]: row for row in rows}, {row["email"]: row for row in rows}


async def write_accounts(kit: Kit, tx: Transaction, accounts: list[Account]) -> None:
    """Write accounts with their pictures, and end the logins of those who have others' rights now."""
    now = now_ms()
    changed = [one for one in accounts if one.changes]
    if changed:
        ids, *columns = (list(column) for column in zip(*(one.columns() for one in changed), strict=True))
        await store.put(tx, "put_accounts", ids, kit.at, *columns)
    for one in accounts:
        if one.png is not None:
            await pictures.put(tx, one.user.id, now, one.png)
            await pictures.set_user_time(tx, one.user.id, now, now)
    ended = [one.user.id for one in changed if one.ends_sessions]
    if ended:
        await sessions.end_all_sessions(tx, sorted(ended))


async def put_choices(tx: Transaction, choices: list[tuple[str, str, str, str]]) -> None:
    """Write preferences: (user id, category, name, value); of two for the same the last one."""
    unique = {choice[:3]: choice for choice in choices}
    await store.put_rows(tx, "put_choices", list(unique.values()))


class Users:
    """Lines of users; each username and each e-mail once."""

    def __init__(self, kit: Kit, items: list[Item[UserLine]]) -> None:
        self._kit, self._items = kit, items
        self._accounts: list[Account] = []
        self._choices: list[tuple[str, str, str, str]] = []
        self._memberships = Memberships(kit)

    async def prepare(self) -> None:
        """Tell new accounts from known ones, find their teams and channels."""
        kit = self._kit
        names = [item.value.username.lower() for item in self._items]
        by_name, by_email = await known_accounts(
            kit, names, [item.value.email.lower() for item in self._items]
        )
        people: list[tuple[int, Person, UserLine | BotLine]] = []
        for line, value in self._items:
            before = by_name.get(value.username.lower())
            owner = by_email.get(value.email.lower())
            if owner is not None and owner["username"] != value.username.lower():
                kit.report.skip(line, "user", "another account has this e-mail address", value.username)
                continue
            if before is not None and before["is_bot"]:
                kit.report.skip(line, "user", "a bot has this name", value.username)
                continue
            try:
                account = await self._account(line, value, before)
            except AppError as error:
                kit.report.skip(line, "user", error.message, value.username)
                continue
            outcome = "made" if before is None else "changed" if account.changes else "same"
            kit.report.count(outcome, "user")
            self._accounts.append(account)
            person = Person(account.user.id, account.user.username, account.user.roles)
            kit.names.will_be_person(person)
            people.append((line, person, value))
            self._choose(line, value, account.user.id)
        self._choices += await self._memberships.prepare(people)
        if not self._kit.dry:
            await self._hash_passwords()

    async def _account(self, line: int, value: UserLine, before: Record | None) -> Account:
        kit, report = self._kit, self._kit.report
        user = _user_of(before) if before else _new_user(kit, value)
        user.email = value.email.strip().lower()
        for name in (
            "nickname",
            "first_name",
            "last_name",
            "position",
            "locale",
            "auth_service",
            "auth_data",
        ):
            given = getattr(value, name)
            if given is not None and not (name == "locale" and not given):
                setattr(user, name, given)
        if value.email_verified is not None:
            user.email_verified = value.email_verified
        if value.timezone is not None:
            user.timezone = user.timezone | value.timezone
        if value.notify_props is not None:
            given_props = structs.asdict(value.notify_props)
            known = {USER_NOTIFY.get(key, key): text for key, text in given_props.items() if text is not None}
            user.notify_props = user.notify_props | known
        if value.roles is not None:
            roles = self._roles(line, value.roles)
            if before is not None and is_guest(roles) != is_guest(user.roles):
                report.part(line, "user", "guests are made and unmade for the whole account, not by an import", roles)
            else:
                user.roles = roles
        if value.delete_at is not None:
            if value.delete_at and not kit.good_time(value.delete_at):
                raise AppError("", 400, "delete_at is no time of the past")
            user.delete_at = value.delete_at
        if value.custom_status is not None:
            self._custom_status(line, value.custom_status, user)
        if len(user.auth_service) > 32 or len(user.auth_data) > 128:
            raise AppError("", 400, "Invalid auth_service or auth_data.")
        validate.check_user(user)
        account = Account(line, user, before["password_hash"] if before else "", before)
        if not account.password_hash:
            self._take_password(line, value, account)
        elif value.password is not None:
            report.part(line, "user", "the account keeps the password that it has here", value.username)
        if value.profile_image:
            account.png = await square_of(kit, line, "user", value.profile_image)
        return account

    def _take_password(self, line: int, value: UserLine, account: Account) -> None:
        report = self._kit.report
        if value.password_hash:
            if passwords.is_hash(value.password_hash):
                account.password_hash = value.password_hash
                return
            report.part(line, "user", "password_hash is none that can be checked here", value.username)
        if value.password:
            try:
                validate.check_password(value.password, self._kit.config)
            except AppError as error:
                report.part(line, "user", error.message, value.username)
            else:
                account.password = value.password

    async def _hash_passwords(self) -> None:
        """Hash passwords that lines have in clear, as many at once as there are threads for it."""
        waiting = [account for account in self._accounts if account.password]
        for start in range(0, len(waiting), passwords.THREADS):
            some = waiting[start : start + passwords.THREADS]
            hashes = await asyncio.gather(*(passwords.hash_password(account.password) for account in some))
            for account, hashed in zip(some, hashes, strict=True):
                account.password_hash, account.password = hashed, ""

    def _roles(self, line: int, text: str) -> str:
        names = list(dict.fromkeys(text.split()))
        good = [name for name in names if name in ROLES and name.startswith("system_")]
        for name in names:
            if name not in good:
                self._kit.report.part(line, "user", "there is no such system role", name)
        if GUEST_ROLE in good:
            return GUEST_ROLE
        return " ".join(good if USER_ROLE in good else [*good, USER_ROLE])

    def _custom_status(self, line: int, given: CustomStatusPart, user: User) -> None:
        wanted = custom_status.CustomStatus(
            given.emoji or "", given.text or "", given.duration or "", given.expires_at or custom_status.NEVER
        )
        try:
            user.props = user.props | {custom_status.PROP: _json(custom_status.checked(wanted))}
        except AppError:
            if wanted != custom_status.CustomStatus():
                self._kit.report.part(line, "user", "the custom status is over or none", user.username)

    def _choose(self, line: int, value: UserLine, user_id: str) -> None:
        for field, (category, name) in PREFERENCES.items():
            given = getattr(value, field)
            if given is None:
                continue
            if field == "email_interval":
                given = EMAIL_INTERVALS.get(given, given)
            choice = Preference(user_id, category, user_id if field == TUTORIAL else name, given)
            self.choose(line, choice)

    def choose(self, line: int, choice: Preference) -> None:
        """Take a preference, if it may be kept."""
        try:
            check_items([choice])
        except AppError as error:
            self._kit.report.part(line, "user", error.message, f"{choice.category} {choice.name}")
        else:
            self._choices.append((choice.user_id, choice.category, choice.name, choice.value))

    async def write(self, tx: Transaction) -> set[str]:
        """Write accounts, memberships and preferences. Users' rows last, as everybody locks them."""
        touched = await self._memberships.write(tx)
        await write_accounts(self._kit, tx, self._accounts)
        await put_choices(tx, self._choices)
        return touched

    async def close(self) -> None:
        """Nothing is held."""


class Bots:
    """Lines of bots; each username once."""

    def __init__(self, kit: Kit, items: list[Item[BotLine]]) -> None:
        self._kit, self._items = kit, items
        self._accounts: list[Account] = []
        self._choices: list[tuple[str, str, str, str]] = []
        self._memberships = Memberships(kit)

    async def prepare(self) -> None:
        """Tell new bots from known ones, find their owners."""
        kit, report = self._kit, self._kit.report
        names = [item.value.username.lower() for item in self._items]
        by_name, by_email = await known_accounts(kit, names, [f"{name}@localhost" for name in names])
        owners = await kit.names.people((item.value.owner or "").lower() for item in self._items)
        people: list[tuple[int, Person, UserLine | BotLine]] = []
        for line, value in self._items:
            name = value.username.lower()
            before = by_name.get(name)
            email = f"{name}@localhost"
            if before is not None and not before["is_bot"]:
                report.skip(line, "bot", "a person has this name", name)
                continue
            if before is None and email in by_email:
                report.skip(line, "bot", "another account has this bot's e-mail address", name)
                continue
            user = _user_of(before) if before else _new_account(kit, name, email, bot=True)
            owner = owners.get((value.owner or "").lower())
            if value.display_name is not None:
                user.first_name = value.display_name
            if value.description is not None:
                user.bot_description = value.description
            if value.delete_at is not None:
                user.delete_at = value.delete_at if kit.good_time(value.delete_at) else 0
            account = Account(line, user, "", before, owner_id=(before["owner_id"] or "") if before else "")
            if value.owner is not None:
                account.owner_id = owner.id if owner else "" if value.owner == NOBODY else value.owner[:64]
            try:
                validate.check_user(user)
                if len(user.bot_description) > 1024:
                    raise AppError("", 400, "Invalid description.")
            except AppError as error:
                report.skip(line, "bot", error.message, name)
                continue
            if value.profile_image:
                account.png = await square_of(kit, line, "bot", value.profile_image)
            report.count("made" if before is None else "changed" if account.changes else "same", "bot")
            person = Person(user.id, name, user.roles)
            kit.names.will_be_person(person)
            people.append((line, person, value))
            self._accounts.append(account)
        self._choices += await self._memberships.prepare(people)

    async def write(self, tx: Transaction) -> set[str]:
        """Write memberships, accounts and what makes them bots."""
        touched = await self._memberships.write(tx)
        await write_accounts(self._kit, tx, self._accounts)
        rows = [(one.user.id, one.owner_id, one.user.delete_at) for one in self._accounts if one.changes]
        await store.put_rows(tx, "put_bots", rows, self._kit.at)
        await put_choices(tx, self._choices)
        return touched

    async def close(self) -> None:
        """Nothing is held."""


def _new_user(kit: Kit, value: UserLine) -> User:
    user = _new_account(kit, value.username.strip().lower(), value.email)
    user.email_verified = True  # as Mattermost's own import: it was checked where it comes from
    return user


def _new_account(kit: Kit, username: str, email: str, *, bot: bool = False) -> User:
    return User(
        id=new_id(),
        username=username,
        email=email,
        create_at=kit.at,
        update_at=kit.at,
        email_verified=True,
        roles=USER_ROLE,
        locale="en" if bot else kit.config.text("LocalizationSettings.DefaultClientLocale"),
        notify_props=dict(defaults.USER_NOTIFY_PROPS),
        timezone=dict(defaults.TIMEZONE),
        is_bot=bot,
    )


def _user_of(row: Record) -> User:
    names = User.__struct_fields__
    return User(**{name: value for name, value in row.items() if name in names})


def _json(value: Any) -> str:
    return msgspec.json.encode(value).decode()
