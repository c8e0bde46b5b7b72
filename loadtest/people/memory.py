"""What one person's client knows. Only the client writes it; behaviour reads it to decide."""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

from loadtest.tokens import Person

POSTS, PEOPLE, CHANNELS = 120, 60, 60  # kept: about two screens of posts; people and channels that a sidebar shows


class SeenPost(NamedTuple):
    """A post. root_id: of its thread, its own if it began one."""

    id: str
    root_id: str
    user_id: str


@dataclass
class Memory:
    """The state of a client. number: of its socket. channels: own ones of the team. posts: of the open channel, the
    newest last. own: what he wrote in it. oldest: the id behind which older posts begin, "" if there are none."""

    person: Person
    number: int
    channel_id: str
    channels: list[str] = field(default_factory=list)
    people: deque[str] = field(default_factory=lambda: deque(maxlen=PEOPLE))
    names: deque[str] = field(default_factory=lambda: deque(maxlen=PEOPLE))
    posts: deque[SeenPost] = field(default_factory=lambda: deque(maxlen=POSTS))
    own: deque[str] = field(default_factory=lambda: deque(maxlen=20))
    oldest: str = ""
    thread_id: str = ""  # the open one
    online: bool = False  # the socket is open
    away_since_ms: int = 0  # when the socket was last known to be open

    def note_posts(self, order: list[str], posts: dict[str, dict[str, object]]) -> None:
        """Keep a page of the open channel, the newest first in `order`."""
        for post_id in reversed(order):
            if post := posts.get(post_id):
                root_id = str(post.get("root_id") or post_id)
                self.posts.append(SeenPost(post_id, root_id, str(post.get("user_id", ""))))
                if post.get("user_id") != self.person.user_id:
                    self.meet(str(post.get("user_id", "")))

    def meet(self, user_id: str) -> None:
        """Remember somebody."""
        if user_id and user_id not in self.people:
            self.people.append(user_id)

    def open_channel(self, channel_id: str) -> None:
        """Forget what was on the screen."""
        self.channel_id, self.oldest, self.thread_id = channel_id, "", ""
        self.posts.clear()
        self.own.clear()
