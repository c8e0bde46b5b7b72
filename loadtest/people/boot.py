"""What a browser that is logged in asks for until a channel is drawn, in its order.

Source: the Mattermost web app 11.6 as recorded, opening a channel's address: 30 calls and one WebSocket.
"""

from typing import Any

Call = tuple[str, str, Any]  # method, path below /api/v4, JSON body or None


def boot_calls(user_id: str, team_id: str, channel_id: str, others: list[str]) -> list[Call]:
    """Return the calls. others: users whose statuses are asked for."""
    get = [
        "/config/client?format=old",
        "/license/client?format=old",
        "/users/me",
        "/users/me/preferences",
        "/users/me/teams",
        "/users/me/teams/members",
        "/limits/server",
    ]
    calls: list[Call] = [("GET", path, None) for path in get]
    calls += [("POST", "/roles/names", [name]) for name in ("system_user", "team_user", "channel_user")]
    get = [
        "/users/me/teams/unread?include_collapsed_threads=true",
        "/trial-license/prev",
        "/teams?page=0&per_page=200&include_total_count=false&exclude_policy_constrained=false",
        f"/users/{user_id}/channel_members?page=-1&per_page=60",
        "/users/me/channels",
    ]
    calls += [("GET", path, None) for path in get]
    calls.append(("POST", "/users/status/ids", [user_id, *others]))
    window = "limit_after=30&limit_before=30&skipFetchThreads=false"
    window += "&collapsedThreads=true&collapsedThreadsExtended=false"
    get = [
        f"/users/{user_id}/teams/{team_id}/channels/categories",
        f"/users/{user_id}/image?_=0",
        f"/system/notices/{team_id}?client=web&clientVersion=11.6.0",
        f"/users/{user_id}/teams/{team_id}/threads?before=&after=&per_page=25&totalsOnly=true&threadsOnly=false",
        f"/users/me/teams/{team_id}/drafts",
        "/users?page=0&per_page=100",
        f"/channels/{channel_id}/stats?exclude_files_count=true",
        f"/users/{user_id}/channels/{channel_id}/posts/unread?{window}",
    ]
    calls += [("GET", path, None) for path in get]
    view = {"channel_id": channel_id, "prev_channel_id": "", "collapsed_threads_supported": True}
    calls.append(("POST", "/channels/members/me/view", view))
    calls += [("GET", path, None) for path in ("/agents", "/agents", "/agents/status", "/users/stats")]
    seen = {"user_id": user_id, "category": "channel_approximate_view_time", "name": channel_id, "value": "1"}
    calls.append(("PUT", f"/users/{user_id}/preferences", [seen]))
    return calls
