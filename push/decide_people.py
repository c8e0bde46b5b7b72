"""Whom a post concerns and why, made of the rows that were loaded. Pure."""

from msgspec import Struct

from push.decide_rules import Mention, Props, Verdict, comment_mention
from tidewire.actions import collapsed_threads, mention_map, mention_text
from tidewire.bus.envelope import ReadPush
from tidewire.store.push import PushedPost, Recipient

KINDS = {
    Mention.NONE: "post",
    Mention.GM: "post",
    Mention.DM: "post",
    Mention.THREAD: "own_thread",
    Mention.COMMENT: "own_post",
    Mention.CHANNEL: "channel",
    Mention.KEYWORD: "named",
}


class Person(Struct):
    """One post and one whom it may reach. at: ms. crt: he sees threads collapsed. follows: the thread of a reply."""

    post: PushedPost
    at: int
    recipient: Recipient
    mention: Mention
    crt: bool
    follows: bool
    verdict: Verdict = Verdict(False)


def persons(
    post: PushedPost, at: int, mentioned: set[str], there: list[Recipient], followers: set[str], mode: str
) -> list[Person]:
    """Return what a post is to each of some members of its channel. mode: the configuration's CollapsedThreads."""
    named = _named(post, there)
    found: list[Person] = []
    for one in there:
        crt = collapsed_threads.sees(mode, one.collapsed)
        mention = Mention.NONE
        if one.user_id in mentioned:
            ordinary = {"D": Mention.DM, "G": Mention.GM}.get(post.channel_type, Mention.CHANNEL)
            mention = Mention.KEYWORD if one.user_id in named else ordinary
        if post.root_id and not crt:
            took_part, own_root = one.user_id in post.participants, one.user_id == post.root_user_id
            mention = max(mention, comment_mention(props_of(one), took_part=took_part, own_root=own_root))
        found.append(Person(post, at, one, mention, crt, one.user_id in followers))
    return found


def props_of(recipient: Recipient) -> Props:
    """Return what a recipient wants; what he never chose has the contract's default."""
    own, there = recipient.props, recipient.channel_props or {}
    return Props(
        push=own.get("push") or "mention",
        push_status=own.get("push_status") or "online",
        push_threads=own.get("push_threads") or "all",
        comments=own.get("comments") or "never",
        channel_push=there.get("push") or "default",
        channel_push_threads=there.get("push_threads") or "",
        mark_unread=there.get("mark_unread") or "all",
    )


def _named(post: PushedPost, there: list[Recipient]) -> set[str]:
    """Return which of them the words of a post name; others whom it mentions are so for the channel's sake."""
    texts = mention_text.texts_of(post.message, post.props)
    keywords: dict[str, list[str]] = {}
    first_names: dict[str, list[str]] = {}
    for one in there:
        for word in (one.props.get("mention_keys") or "").split(",", mention_map.KEYWORDS_PER_USER):
            if word.strip():
                keywords.setdefault(word.strip().lower(), []).append(one.user_id)
        if one.props.get("first_name") == "true" and one.first_name:
            first_names.setdefault(one.first_name, []).append(one.user_id)
    by_word = bool(keywords or first_names)
    if not (by_word or any("@" in text for text in texts)):
        return set()
    names = {one.username: one.user_id for one in there}
    said = mention_text.read(texts, every_word=by_word)
    return set(mention_text.find(said, names, keywords, first_names).user_ids)


def noisy(read: ReadPush, recipients: dict[tuple[str, str], Recipient]) -> list[str]:
    """Return the channels without mentions in a read whose posts are all pushed to the reader."""
    found: list[str] = []
    for channel_id in read.unread_ids:
        one = recipients.get((read.user_id, channel_id))
        if one is not None and one.member:
            props = props_of(one)
            level = props.push if props.channel_push == "default" else props.channel_push
            if level == "all":
                found.append(channel_id)
    return found
