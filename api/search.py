"""Search of posts and files. Source: Mattermost API v4, posts and files."""

from api.call import Call
from api.routing import route
from tidewire.actions import search
from tidewire.actions.search import FilesFound, PostsFound, Search


@route("POST", "/teams/{team_id}/posts/search")
async def search_team_posts(call: Call) -> PostsFound:
    """Search the posts of a team and of direct and group channels."""
    team_id = call.path_id("team_id")
    wanted: Search = await call.body(Search)
    return await search.search_posts(call.services, call.login, team_id, wanted)


@route("POST", "/posts/search")
async def search_posts(call: Call) -> PostsFound:
    """Search the posts of all teams."""
    wanted: Search = await call.body(Search)
    return await search.search_posts(call.services, call.login, "", wanted)


@route("POST", "/teams/{team_id}/files/search")
async def search_team_files(call: Call) -> FilesFound:
    """Search the files of a team and of direct and group channels."""
    team_id = call.path_id("team_id")
    wanted: Search = await call.body(Search)
    return await search.search_files(call.services, call.login, team_id, wanted)


@route("POST", "/files/search")
async def search_files(call: Call) -> FilesFound:
    """Search the files of all teams."""
    wanted: Search = await call.body(Search)
    return await search.search_files(call.services, call.login, "", wanted)
