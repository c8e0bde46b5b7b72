"""Shapes of integrations: webhooks, slash commands and their answers. Source: Mattermost API v4, 11.6."""

from typing import Any

from msgspec import Struct, field


class IncomingWebhook(Struct):
    """An address that makes posts of what it is sent. The id is the secret: who knows it may post."""

    id: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    user_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    display_name: str = ""
    description: str = ""
    username: str = ""
    icon_url: str = ""
    channel_locked: bool = False


class OutgoingWebhook(Struct):
    """Who is told of which posts: of a channel, or by their first word. trigger_when: 0 is one, 1 begins so."""

    id: str = ""
    token: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    creator_id: str = ""
    channel_id: str = ""
    team_id: str = ""
    trigger_words: list[str] = field(default_factory=list)
    trigger_when: int = 0
    callback_urls: list[str] = field(default_factory=list)
    display_name: str = ""
    description: str = ""
    content_type: str = ""
    username: str = ""
    icon_url: str = ""


class Command(Struct):
    """A slash command of a team. method: P or G."""

    id: str = ""
    token: str = ""
    create_at: int = 0
    update_at: int = 0
    delete_at: int = 0
    creator_id: str = ""
    team_id: str = ""
    trigger: str = ""
    method: str = ""
    username: str = ""
    icon_url: str = ""
    auto_complete: bool = False
    auto_complete_desc: str = ""
    auto_complete_hint: str = ""
    display_name: str = ""
    description: str = ""
    url: str = ""
    plugin_id: str = ""


class CommandResponse(Struct):
    """What a client does after a command. response_type: in_channel or ephemeral."""

    response_type: str = ""
    text: str = ""
    username: str = ""
    channel_id: str = ""
    icon_url: str = ""
    type: str = ""
    props: dict[str, Any] | None = None
    goto_location: str = ""
    trigger_id: str = ""
    skip_slack_parsing: bool = False
    attachments: list[Any] | None = None
    extra_responses: list[Any] | None = None


class Suggestion(Struct, rename="pascal"):
    """One line of a command's completion."""

    complete: str
    suggestion: str
    hint: str = ""
    description: str = ""
    icon_data: str = ""
