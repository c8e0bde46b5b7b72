"""The statements that write a batch of imported posts, in the order in which everybody takes these locks."""

from typing import TYPE_CHECKING, Any

import msgspec

from tidewire.actions.preferences import SAVED_POST
from tidewire.store import imports as store
from tidewire.store.db import Transaction
from tidewire.wire.ids import now_ms

if TYPE_CHECKING:
    from tidewire.bulk.kit import Kit
    from tidewire.bulk.posts import Row

_json = msgspec.json.Encoder().encode


async def write_posts(kit: "Kit", tx: Transaction, rows: list["Row"]) -> set[str]:
    """Write posts, what hangs on them, and the channels' counters; return the channels where anything changed."""
    now = now_ms()
    new = [row for row in rows if row.before is None]
    known = [row for row in rows if row.before is not None]
    await store.put_rows(tx, "put_posts", [_post(row) for row in sorted(new, key=lambda row: row.id)], now)
    changed = [row for row in known if row.changes]
    await store.put_rows(
        tx, "change_posts", [_change(row) for row in sorted(changed, key=lambda row: row.id)], now
    )
    # Reactions before the threads: a post that gets one is touched, and posts come before threads.
    reactions = sorted(
        (row.id, user, name, row.channel_id, at) for row in rows for user, name, at in row.reactions
    )
    reacted = {found["post_id"] for found in await store.put_rows(tx, "put_reactions", reactions)}
    replied = {row.root.id for row in new if row.root is not None and row.root.before is not None}
    touched = sorted(({row.id for row in known} & reacted) | replied)
    if touched:
        await store.put(tx, "touch_posts", touched, now)
    await store.put_rows(tx, "put_threads", _threads(new))
    await store.put_rows(tx, "put_followers", _followers(rows), now)
    actions = [
        (row.id, name, row.channel_id, _json(integration).decode())
        for row in rows
        for name, integration in row.integrations.items()
    ]
    await store.put_rows(tx, "put_post_actions", sorted(actions))
    await store.put_rows(
        tx,
        "put_choices",
        sorted({(user, SAVED_POST, row.id, "true") for row in rows for user in row.saved_by}),
    )
    await store.put_rows(tx, "add_to_channels", _channels(new))
    if new:
        await store.index(tx, kit.language, [row.id for row in new])
    return {row.channel_id for row in (*new, *changed, *(row for row in known if row.id in reacted))}


def _post(row: "Row") -> tuple[Any, ...]:
    return (
        row.id,
        row.create_at,
        row.edit_at,
        row.pinned,
        row.user_id,
        row.channel_id,
        row.root_id,
        row.message,
        row.kind,
        _json(row.props).decode() if row.props else "{}",
        row.hashtags,
        ",".join(row.file_ids),
        bool(row.reactions),
        row.priority,
    )


def _change(row: "Row") -> tuple[Any, ...]:
    props = _json(row.props).decode() if row.props else "{}"
    return (
        row.id,
        row.edited,
        row.message,
        props,
        row.hashtags,
        row.edit_at,
        row.pinned,
        ",".join(row.file_ids),
    )


def _threads(new: list["Row"]) -> list[tuple[Any, ...]]:
    """Return what new replies add to threads; participants in the order of their first reply."""
    found: dict[str, list[Row]] = {}
    for row in new:
        if row.root is not None:
            found.setdefault(row.root.id, []).append(row)
    threads = []
    for root_id, replies in sorted(found.items()):
        replies.sort(key=lambda row: (row.create_at, row.id))
        users = dict.fromkeys(row.user_id for row in replies)
        threads.append((root_id, replies[0].channel_id, len(replies), replies[-1].create_at, ",".join(users)))
    return threads


def _followers(rows: list["Row"]) -> list[tuple[Any, ...]]:
    """Return who follows threads: whom a line names, else who began it and who replied; these have read it."""
    last: dict[str, int] = {}
    authors: dict[str, dict[str, None]] = {}
    for row in rows:
        if row.root is not None and row.root.followers is None:
            last[row.root.id] = max(last.get(row.root.id, 0), row.create_at)
            authors.setdefault(row.root.id, {row.root.user_id: None})[row.user_id] = None
    found = []
    for row in rows:
        if row.root is not None:
            continue
        if row.followers is not None:
            found += [(row.id, user, row.channel_id, at, mentions) for user, at, mentions in row.followers]
        else:
            found += [(row.id, user, row.channel_id, last[row.id], 0) for user in authors.get(row.id, ())]
    return sorted(found)


def _channels(new: list["Row"]) -> list[tuple[Any, ...]]:
    """Return what new posts add to channels' counters."""
    found: dict[str, list[int]] = {}
    for row in new:
        sums = found.setdefault(row.channel_id, [0, 0, 0, 0])
        is_root = row.root is None
        sums[0] += row.counted
        sums[1] += row.counted and is_root
        sums[2] = max(sums[2], row.create_at)
        sums[3] = max(sums[3], row.create_at) if is_root else sums[3]
    return [(channel_id, *sums) for channel_id, sums in sorted(found.items())]
