"""What the web app asks for when its WebSocket is back."""

from dataclasses import dataclass

from loadtest.tokens import Person


@dataclass(frozen=True)
class Call:
    """One call of the burst. Fields in braces are those of tokens.Person, and `since` in ms."""

    method: str
    path: str
    body: str = ""


# Source: Mattermost API v4, what the web app asks for at every reopen of its WebSocket, whatever came of the resume.
BURST = (
    Call("GET", "/users/me/channels"),
    Call("GET", "/users/{user_id}/channel_members?page=-1&per_page=60"),
    Call("GET", "/posts/scheduled/team/{team_id}?includeDirectChannels=true"),
    Call("GET", "/users/{user_id}/teams/{team_id}/channels/categories"),
    Call("GET", "/channels/{channel_id}/posts?since={since}"),
    Call("GET", "/users/me/teams/unread?include_collapsed_threads=true"),
    Call("GET", "/users/{user_id}/teams/{team_id}/threads?since={since}&extended=false"),
    Call("GET", "/plugins/webapp"),
    Call("GET", "/custom_profile_attributes/fields"),
    Call("POST", "/users/ids?since={since}", '["{user_id}"]'),
)
CONTEXT = "X-Page-Load-Context"  # the header that marks these calls, with the value "reconnect"


def fill(call: Call, person: Person, since_ms: int) -> tuple[str, str]:
    """Return a call's path and body for somebody."""
    values: dict[str, object] = {**person._asdict(), "since": since_ms}
    path, body = call.path, call.body
    for name, value in values.items():
        path, body = path.replace(f"{{{name}}}", str(value)), body.replace(f"{{{name}}}", str(value))
    return path, body
