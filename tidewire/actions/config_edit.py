"""Reading and changing the configuration: who may see and set which key, masks, limits, the announcement.

Each key belongs to a part of the system console: `sysconsole_read_<part>` shows it, `sysconsole_write_<part>` sets it.
What a caller may not set stays as it is. Source: Mattermost API v4, "Get configuration", "Update configuration".
"""

from collections.abc import Callable
from typing import Any

from tidewire.actions import guests, permissions
from tidewire.actions.copies import announce, to_all
from tidewire.actions.revisions import revision_key
from tidewire.actions.services import Services
from tidewire.bus.envelope import user_key
from tidewire.store import config as store
from tidewire.wire.config import DEFAULTS, ITEMS, PARTS, Item, Nested, fault, is_masked, mask, nest
from tidewire.wire.errors import AppError, forbidden
from tidewire.wire.models import Session

RESTRICT = "ExperimentalSettings.RestrictSystemAdmin"
SITE_URL = "ServiceSettings.SiteURL"
GUESTS = "GuestAccountsSettings.Enable"
AUTOCOMPLETE = "ElasticsearchSettings.EnableAutocomplete"
COLLAPSED, AUTO_FOLLOW = "ServiceSettings.CollapsedThreads", "ServiceSettings.ThreadAutoFollow"
# The contract's ids where clients know them; others are made of the key's name.
_FAULTS = {
    "ServiceSettings.SiteURL": "model.config.is_valid.site_url.app_error",
    "TeamSettings.SiteName": "model.config.is_valid.sitename_length.app_error",
    "PasswordSettings.MinimumLength": "model.config.is_valid.password_length.app_error",
    "TeamSettings.MaxChannelsPerTeam": "model.config.is_valid.max_channels.app_error",
    "TeamSettings.RestrictDirectMessage": "model.config.is_valid.restrict_direct_message.app_error",
}


def _part_test(session: Session, verb: str) -> Callable[[Item], bool]:
    """Return a test whether the caller may read or write a key. Raises: 403 if he may for none."""
    allowed = {part for part in PARTS if permissions.has_system(session, f"sysconsole_{verb}_{part}")}
    if not allowed:
        raise forbidden()
    return lambda item: item.part in allowed


def get_config(
    services: Services, session: Session, *, remove_masked: bool = False, remove_defaults: bool = False
) -> Nested:
    """Return what the caller may see, nested, secrets masked or left out. Raises: 403."""
    may_read = _part_test(session, "read")
    values = services.config.values
    shown = {
        name: values[name]
        for name, item in ITEMS.items()
        if may_read(item)
        and not (remove_masked and item.secret)
        and not (remove_defaults and values[name] == DEFAULTS[name])
    }
    return nest(mask(shown))


def get_environment(services: Services, session: Session) -> Nested:
    """Return section → key → true for what the environment decides, as far as the caller may see it."""
    parts = {part for part in PARTS if permissions.has_system(session, f"sysconsole_read_{part}")}
    return nest({name: True for name in services.config.fixed if ITEMS[name].part in parts})


def _check_value(name: str, value: Any) -> None:
    if why := fault(ITEMS[name], value):
        key = name.partition(".")[2].lower()
        raise AppError(_FAULTS.get(name, f"model.config.is_valid.{key}.app_error"), 400, f"{name} {why}.")


def _wanted(
    services: Services, before: dict[str, Any], given: dict[str, Any], may_write: Callable[[Item], bool]
) -> dict[str, Any]:
    """Return all values as the caller wants and may have them. Raises: 400, 403."""
    restricted = services.config.values[RESTRICT]
    after = dict(before)
    for name, value in given.items():
        item = ITEMS[name]
        if item.secret and is_masked(value):
            continue  # the mask came back: the secret stays
        if name in services.config.fixed or value == before[name]:
            continue
        if not may_write(item) or (restricted and item.restricted):
            continue
        if item.locked:
            raise AppError(
                "api.config.update_config.not_allowed_security.app_error", 403, f"{name} cannot be set here."
            )
        _check_value(name, value)
        after[name] = value
    if before[SITE_URL] and not after[SITE_URL]:
        raise AppError(
            "api.config.update_config.clear_siteurl.app_error", 400, "The site URL cannot be cleared."
        )
    if after[AUTOCOMPLETE] and not before[AUTOCOMPLETE]:
        error_id = "api.config.update.elasticsearch.autocomplete_cannot_be_enabled_error"
        raise AppError(error_id, 400, "There is no Elasticsearch to complete from.")
    if after[COLLAPSED] != "disabled" and not after[AUTO_FOLLOW]:
        error_id = "model.config.is_valid.collapsed_threads.autofollow.app_error"
        raise AppError(error_id, 400, "Collapsed threads need ThreadAutoFollow.")
    return after


async def do_change_config(
    services: Services, session: Session, given: dict[str, Any], *, replace: bool
) -> Nested:
    """Store a change and tell all nodes and everybody connected; return the new configuration as the caller sees it.

    given: flat. replace: keys that are not given go back to their defaults, but for secrets and what nobody may set.
    Raises: 403, 400.
    """
    may_write = _part_test(session, "write")
    if replace:
        whole = {
            name: value
            for name, value in DEFAULTS.items()
            if not ITEMS[name].secret and not ITEMS[name].locked
        }
        given = whole | given
    config = services.config
    async with services.db.transaction() as tx:
        n = await store.bump_revision(tx, "config")
        _, stored = await store.load(tx)
        before = config.effective(stored)
        after = _wanted(services, before, given, may_write)
        changed = {name: value for name, value in after.items() if value != before[name]}
        if changed:
            kept = {name: value for name, value in changed.items() if value != DEFAULTS[name]}
            await store.store(tx, kept, [name for name in changed if name not in kept])
            stored = {
                name: value for name, value in (stored | changed).items() if value != DEFAULTS.get(name)
            }
            if before[GUESTS] and not after[GUESTS]:
                await guests.do_deactivate_all(tx, session)
            _, client = config.client_config(after)
            copies = [to_all("config_changed", {"config": client})]
            announce(tx, user_key(session.user_id), copies, invalidates=[revision_key("config")])
    config.apply(n, stored)
    return get_config(services, session)
