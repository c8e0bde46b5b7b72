"""One person's client: speaks HTTP as the web app does, has a WebSocket, writes down what it learns.

Each method is one thing that a person does, with the calls of the Mattermost web app 11.6 for it. The first call of
what was due at a time counts from that time. A call that fails is counted by Locust and ends what it was part of; a
route that answers 501 is left out from then on, in the whole process.
"""

import time
from collections.abc import Callable
from typing import Any, Protocol
from urllib.parse import urlencode, urlsplit

from loadtest.burst import BURST, CONTEXT, fill
from loadtest.people.boot import boot_calls
from loadtest.people.memory import CHANNELS, Memory, SeenPost

SCREEN = (
    "limit_after=30&limit_before=30&skipFetchThreads=false&collapsedThreads=true&collapsedThreadsExtended=false"
)
PAGE = 30  # posts that the web app loads when one scrolls
STATUSES = 40  # people whose statuses a sidebar asks for
MARK = "tw-sent:"  # what the swarm looks for, with the µs since 1970 in 16 digits
PNG = bytes.fromhex(  # 1 × 1, grey
    "89504e470d0a1a0a0000000d4948445200000001000000010800000000"
    "3a7e9b550000000a49444154789c63a80700008100810ed7e4b80000000049454e44ae426082"
)


class Failed(Exception):
    """A call was answered otherwise than it should be. Locust has counted it."""


class Sockets(Protocol):
    """The WebSockets of people, by their numbers. Nothing here waits."""

    def open(self, number: int, *, resume: bool) -> None:
        """Let one connect; the Memory is told when it is in."""

    def cut(self, number: int) -> None:
        """Close one without a word, as a network that goes away."""

    def say(self, number: int, action: str, **data: object) -> None:
        """Send an action."""


class Routes:
    """Routes that a server does not have, by "METHOD path" with names in braces. on_missing: called with each, once."""

    def __init__(self, on_missing: Callable[[str], None] = lambda name: None) -> None:
        self.missing: set[str] = set()
        self.on_missing = on_missing

    def leave_out(self, name: str) -> None:
        """Ask for it no more."""
        if name not in self.missing:
            self.missing.add(name)
            self.on_missing(name)


class Client:
    """See above. http: Locust's FastHttpSession. sleep: lets time pass. waited: s of all `wait`s."""

    def __init__(
        self, http: Any, memory: Memory, sockets: Sockets, routes: Routes, sleep: Callable[[float], None] = time.sleep
    ) -> None:
        self._sleep, self.waited = sleep, 0.0
        self.memory, self._sockets, self._http, self._routes = memory, sockets, http, routes
        self._headers = {"Authorization": f"Bearer {memory.person.token}", "X-Requested-With": "XMLHttpRequest"}
        self._names = {  # ids of a path by what they are
            memory.person.user_id: "{user_id}", memory.person.team_id: "{team_id}",
        }  # fmt: skip
        self._due = 0.0

    def due(self, at: float) -> None:
        """The next call counts from this moment, s since 1970; 0: from when it is sent."""
        self._due = at

    def wait(self, seconds: float) -> None:
        """Let time pass on purpose: what is next is due so much later."""
        self._due += seconds if self._due else 0
        self.waited += seconds
        self._sleep(seconds)

    # What a person does

    def boot(self) -> None:
        """Load the app: its calls until a channel is drawn, and the WebSocket."""
        memory = self.memory
        me, team = memory.person.user_id, memory.person.team_id
        connected = False
        for method, path, body in boot_calls(me, team, memory.channel_id, list(memory.people)[:STATUSES]):
            answer = self._call(method, path, body)
            if path.endswith("/users/me/channels"):
                self._note_channels(answer)
            elif "/posts/unread" in path:
                self._note_page(answer)
            elif path.startswith("/users?"):
                self._note_people(answer)
            if not connected and path.startswith("/users/me/teams/unread"):
                self.connect()  # the app opens it here, in the middle of its calls
                connected = True
        self._look()

    def connect(self) -> None:
        """Open the WebSocket, in place of the last one if that is possible."""
        self._sockets.open(self.memory.number, resume=self.memory.away_since_ms > 0)

    def disconnect(self) -> None:
        """Lose the WebSocket."""
        memory = self.memory
        self._sockets.cut(memory.number)
        memory.online, memory.away_since_ms = False, int(time.time() * 1000)

    def catch_up(self) -> None:
        """Ask for what may have been missed, after the WebSocket is back."""
        memory = self.memory
        person = memory.person._replace(channel_id=memory.channel_id)
        for call in BURST:
            path, body = fill(call, person, memory.away_since_ms)
            self._call(call.method, path, body.encode() if body else None, {CONTEXT: "reconnect"})
        self._look()

    def switch(self, channel_id: str) -> None:
        """Look into another channel: its posts around what is unread, and what is read then."""
        memory = self.memory
        before = memory.channel_id
        memory.open_channel(channel_id)
        self._look()
        self._call("POST", "/channels/members/me/view", {
            "channel_id": channel_id, "prev_channel_id": before, "collapsed_threads_supported": True,
        })  # fmt: skip
        me = memory.person.user_id
        self._note_page(self._call("GET", f"/users/{me}/channels/{channel_id}/posts/unread?{SCREEN}"))
        self._call("GET", f"/channels/{channel_id}/stats?exclude_files_count=true")

    def scroll(self) -> None:
        """Load older posts of the open channel, if there are any."""
        memory = self.memory
        if not memory.oldest:
            return
        query = urlencode({"before": memory.oldest, "page": 0, "per_page": PAGE, "collapsedThreads": "true"})
        page = self._call("GET", f"/channels/{memory.channel_id}/posts?{query}")
        if isinstance(page, dict):
            order, posts = page.get("order", []), page.get("posts", {})
            memory.oldest = order[-1] if order and page.get("prev_post_id") else ""
            for post_id in order:
                memory.meet(str(posts.get(post_id, {}).get("user_id", "")))

    def type(self, root_id: str = "") -> None:
        """Let others see that he writes."""
        self._sockets.say(self.memory.number, "user_typing", channel_id=self.memory.channel_id, parent_id=root_id)

    def post(self, text: str, root_id: str = "", file_ids: list[str] | None = None) -> None:
        """Write into the open channel. The time to its delivery counts from when this was due."""
        memory = self.memory
        at_ms = int(time.time() * 1000)
        mark = f"{MARK}{int((self._due or time.time()) * 1e6):016}"
        post = self._call("POST", "/posts", {
            "channel_id": memory.channel_id, "root_id": root_id, "message": f"{mark} {text}", "create_at": 0,
            "pending_post_id": f"{memory.person.user_id}:{at_ms}", "file_ids": file_ids or [], "metadata": {},
            "props": {},
        })  # fmt: skip
        if isinstance(post, dict) and "id" in post:
            memory.posts.append(SeenPost(post["id"], root_id or post["id"], memory.person.user_id))
            memory.own.append(post["id"])
        self._call("DELETE", f"/users/me/channels/{memory.channel_id}/drafts" + (f"/{root_id}" if root_id else ""))

    def upload(self) -> list[str]:
        """Upload a small picture; return its id in a list, nothing if the server takes none."""
        boundary = "tidewire-load"
        fields = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="channel_id"\r\n\r\n{self.memory.channel_id}\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="client_ids"\r\n\r\n1\r\n'
            f'--{boundary}\r\nContent-Disposition: form-data; name="files"; filename="tide.png"\r\n'
            "Content-Type: image/png\r\n\r\n"
        )
        body = fields.encode() + PNG + f"\r\n--{boundary}--\r\n".encode()
        sort = {"Content-Type": f"multipart/form-data; boundary={boundary}"}
        answer = self._call("POST", "/files", body, sort)
        return [info["id"] for info in answer.get("file_infos", [])] if isinstance(answer, dict) else []

    def react(self, post_id: str, emoji: str) -> None:
        """Put an emoji on a post."""
        self._call("POST", "/reactions", {
            "user_id": self.memory.person.user_id, "post_id": post_id, "emoji_name": emoji, "create_at": 0,
        })  # fmt: skip

    def edit(self, post_id: str, text: str) -> None:
        """Change an own post."""
        self._call("PUT", f"/posts/{post_id}/patch", {"id": post_id, "message": text})

    def delete(self, post_id: str) -> None:
        """Take an own post back."""
        self._call("DELETE", f"/posts/{post_id}")
        memory = self.memory
        memory.own.remove(post_id)
        kept = [post for post in memory.posts if post_id not in (post.id, post.root_id)]
        memory.posts.clear()
        memory.posts.extend(kept)

    def open_thread(self, root_id: str) -> None:
        """Read a thread beside the channel."""
        person = self.memory.person
        self.memory.thread_id = root_id
        self._look()
        query = "skipFetchThreads=false&collapsedThreads=true&collapsedThreadsExtended=false&direction=down&perPage=60"
        self._call("GET", f"/posts/{root_id}/thread?{query}")
        answered = any(post.root_id == root_id != post.id for post in self.memory.posts)
        if answered:  # else there is no thread to have read
            now_ms, own = int(time.time() * 1000), f"/users/{person.user_id}/teams/{person.team_id}"
            self._call("PUT", f"{own}/threads/{root_id}/read/{now_ms}")

    def list_threads(self) -> None:
        """Look through the threads that he follows."""
        person = self.memory.person
        query = "before=&after=&per_page=25&extended=false&totalsOnly=false&threadsOnly=true"
        self._call("GET", f"/users/{person.user_id}/teams/{person.team_id}/threads?{query}")

    def search(self, words: str) -> None:
        """Search posts and files, as the box does with one key."""
        team = self.memory.person.team_id
        body = {"terms": words, "is_or_search": False, "include_deleted_channels": False, "page": 0, "per_page": 20}
        self._call("POST", f"/teams/{team}/posts/search", body)
        self._call("POST", f"/teams/{team}/files/search", body)

    def complete_name(self, beginning: str) -> None:
        """See who is meant by an @."""
        memory = self.memory
        query = {"in_team": memory.person.team_id, "in_channel": memory.channel_id, "name": beginning, "limit": 25}
        self._call("GET", f"/users/autocomplete?{urlencode(query)}")

    def open_direct(self, user_id: str) -> None:
        """Write to one person: open that channel and look into it."""
        channel = self._call("POST", "/channels/direct", [self.memory.person.user_id, user_id])
        if isinstance(channel, dict) and "id" in channel:
            self.switch(channel["id"])

    def check_unread(self) -> None:
        """Come back to the window: what is unread, and who is there."""
        self._call("GET", "/users/me/teams/unread?include_collapsed_threads=true")
        self._call("POST", "/users/status/ids", list(self.memory.people)[:STATUSES] or [self.memory.person.user_id])

    # How

    def _look(self) -> None:
        """Say what is on the screen, by which the server chooses what to send."""
        number, memory = self.memory.number, self.memory
        self._sockets.say(number, "presence", channel_id=memory.channel_id)
        self._sockets.say(number, "presence", team_id=memory.person.team_id)
        self._sockets.say(number, "presence", thread_channel_id=memory.channel_id if memory.thread_id else "",
                          is_thread_view=False)  # fmt: skip

    def _note_channels(self, answer: Any) -> None:
        if isinstance(answer, list):
            team = self.memory.person.team_id
            own = [one["id"] for one in answer if one.get("team_id") == team and not one.get("delete_at")]
            self.memory.channels = own[:CHANNELS]

    def _note_people(self, answer: Any) -> None:
        for user in answer if isinstance(answer, list) else []:
            if user.get("id") != self.memory.person.user_id:
                self.memory.names.append(user.get("username", ""))

    def _note_page(self, answer: Any) -> None:
        if isinstance(answer, dict):
            order = answer.get("order", [])
            self.memory.note_posts(order, answer.get("posts", {}))
            self.memory.oldest = order[-1] if order and answer.get("prev_post_id") else ""

    def _call(self, method: str, path: str, body: Any = None, headers: dict[str, str] | None = None) -> Any:
        """Send one call; return the decoded answer, None for one that is left out or is no JSON. Raises: Failed."""
        name = self._name(path)
        due, self._due = self._due, 0.0
        if f"{method} {name}" in self._routes.missing:
            return None
        data: dict[str, Any] = {} if body is None else {"data": body} if isinstance(body, bytes) else {"json": body}
        answer = self._http.request(
            method, "/api/v4" + path, name="/api/v4" + name, headers={**self._headers, **(headers or {})},
            catch_response=True, **data,
        )  # fmt: skip
        if answer.status_code == 501:  # never counted: Locust does so at the end of a `with`
            self._routes.leave_out(f"{method} {name}")
            return None
        with answer:
            if due:
                answer.request_meta["response_time"] = (time.time() - due) * 1000
            if answer.status_code not in (200, 201):
                answer.failure(f"{answer.status_code} {answer.text or 'no answer'}"[:200])
                raise Failed
            if "page=-1" in path or "json" not in answer.headers.get("Content-Type", ""):
                return None
            try:
                return answer.json()
            except ValueError:
                answer.failure("an answer that is no JSON")
                raise Failed from None

    def _name(self, path: str) -> str:
        """Return the route of a path: ids are named by what stands before them."""
        words, before = [], ""
        for word in urlsplit(path).path.split("/"):
            if word in self._names:
                words.append(self._names[word])
            elif len(word) == 26 and word.isalnum():
                words.append(f"{{{KINDS.get(before, 'id')}}}")
            elif word.isdigit() and before == "read":
                words.append("{timestamp}")
            else:
                words.append(word)
            before = word
        return "/".join(words)


KINDS = {
    "channels": "channel_id", "posts": "post_id", "threads": "thread_id", "drafts": "thread_id", "users": "user_id",
    "teams": "team_id", "notices": "team_id", "team": "team_id",
}  # fmt: skip
