"""Who gets a push for a post: the contract's lists and rules as pure functions of settings, mention and status.

Source: Mattermost API v4, push notifications, "push decision". Each rule is a test table in tests/unit/push.
"""

from enum import IntEnum
from typing import NamedTuple

ACTIVE_MS = 20_000  # who did something in the open channel so lately sees what comes


class Mention(IntEnum):
    """Why a post concerns somebody, by rising weight."""

    NONE = 0
    GM = 1
    THREAD = 2
    COMMENT = 3
    CHANNEL = 4
    DM = 5
    KEYWORD = 6


class Props(NamedTuple):
    """What a recipient wants: of his account, and of his membership, "default" where that says nothing."""

    push: str = "mention"
    push_status: str = "online"
    push_threads: str = "all"
    comments: str = "never"
    channel_push: str = "default"
    channel_push_threads: str = ""
    mark_unread: str = "all"


class Presence(NamedTuple):
    """Where a recipient is. open_channel: the one that he looks at, or ""; last_activity_at: ms."""

    status: str = "offline"
    open_channel: str = ""
    last_activity_at: int = 0


class Case(NamedTuple):
    """One post and one recipient.

    crt: he sees threads collapsed. follows: the thread of a reply. forced: a test message, which overrides his wishes.
    """

    props: Props
    presence: Presence
    mention: Mention
    channel_id: str
    channel_type: str
    now_ms: int
    is_reply: bool = False
    crt: bool = False
    follows: bool = False
    is_bot: bool = False
    is_system: bool = False
    forced: bool = False


class Verdict(NamedTuple):
    """push: he gets one; as_crt: as the follower of a thread, which titles and texts say."""

    push: bool
    as_crt: bool = False


NO = Verdict(False)


def decide(case: Case) -> Verdict:
    """Return what the lists, in the contract's order, give the recipient. The author is sorted out before."""
    if case.is_bot:
        return NO
    if case.forced:
        return Verdict(True)
    if case.is_reply and case.crt and case.follows and wants_reply(case):
        return Verdict(status_allows(case, as_crt=True), True)
    if case.mention is not Mention.NONE:
        return Verdict(wants(case, mentioned=case.mention > Mention.GM) and status_allows(case))
    if case.channel_type != "D" and not (case.crt and case.is_reply):
        return Verdict(wants(case, mentioned=False) and status_allows(case))
    return NO


def wants(case: Case, *, mentioned: bool) -> bool:
    """Rule A: what he wants to hear of in the channel."""
    props = case.props
    if case.is_system or props.mark_unread == "mention":  # muted
        return False
    level = props.channel_push
    if level == "default":
        level = props.push
        if level == "mention" and case.channel_type == "G":
            level = "all"
    return level == "all" or (level == "mention" and mentioned)


def status_allows(case: Case, *, as_crt: bool = False) -> bool:
    """Rule B: whether he is to be disturbed where he is."""
    here = case.presence
    if here.status in ("dnd", "ooo"):
        return False
    match case.props.push_status:
        case "away":
            return here.status in ("away", "offline")
        case "offline":
            return here.status == "offline"
    idle = case.now_ms - here.last_activity_at > ACTIVE_MS
    return here.open_channel != case.channel_id or idle or as_crt


def wants_reply(case: Case) -> bool:
    """Rule C: whether a follower of the thread wants to hear of a reply."""
    props, mentioned = case.props, case.mention is not Mention.NONE
    if props.channel_push == "default":
        return props.push != "none" and (mentioned or "all" in (props.push_threads, props.push))
    if props.channel_push == "none":
        return False
    every_reply = props.channel_push_threads == "all" and props.push_threads != "mention"
    return mentioned or every_reply or props.channel_push == "all"


def comment_mention(props: Props, *, took_part: bool, own_root: bool) -> Mention:
    """Return what a reply is to somebody who sees threads uncollapsed."""
    if props.comments == "any" and (took_part or own_root):
        return Mention.COMMENT if own_root else Mention.THREAD
    if props.comments == "root" and own_root:
        return Mention.COMMENT
    return Mention.NONE
