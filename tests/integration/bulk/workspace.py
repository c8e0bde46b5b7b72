"""Workspaces in Mattermost's bulk format, made by chance: every type of line and every member of it that we keep.

They are written as our own export would write them: lines and parts in its order, what is empty or false left out, what
has been read counted from last_viewed_at. So nothing has to be made equal before an export is compared to them.
"""

import io
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from PIL import Image

START = 1_600_000_000_000  # ms
HASHES = (
    "$2a$10$N9qo8uLOickgx2ZMRZoMyeIjZAgcfl7p92ldGxad68LJZdL17lhWy",
    "$argon2id$v=19$m=19456,t=2,p=1$c29tZXNhbHRzb21lc2FsdA$hVfwZ0fDXXBxLSPBHUqtxRq4vUxhbU0pCF7Z1IjAKp4",
)
WORDS = (
    "hello", "Grüße", "日本語", "🧀", "👩‍👩‍👧", "e\u0301", "\u202eright to left", "مرحبا", "line\nbreak", "tab\there",
    "\u2028", '"quoted"', "back\\slash", "<b>html</b>", "@anna", "#tag", ":cheddar:", "`code`", " ", "~dev",
    "\\u0000",
)  # fmt: skip
PROPS: tuple[dict[str, Any], ...] = (
    {}, {}, {},
    {"from_webhook": "true", "override_username": "hook"},
    {"attachments": [{"text": "more 🧀", "fields": [{"title": "t", "value": 1.5, "short": True}], "nothing": None}]},
)  # fmt: skip
USER_NOTIFY = {
    "desktop": "all", "desktop_sound": "true", "email": "false", "mobile": "mention", "mobile_push_status": "away",
    "channel": "true", "comments": "never", "mention_keys": "anna,ann",
}  # fmt: skip
CHANNEL_NOTIFY = {
    "desktop": "mention", "mobile": "default", "mark_unread": "mention", "email": "default",
    "ignore_channel_mentions": "default", "channel_auto_follow_threads": "off",
}  # fmt: skip
UNCOUNTED = "system_join_channel"
Object = dict[str, Any]


def picture(color: str) -> bytes:
    """Return a small PNG."""
    out = io.BytesIO()
    Image.new("RGB", (16, 16), color).save(out, "PNG")
    return out.getvalue()


def kept(**members: Any) -> Object:
    """Return an object without what is empty or false."""
    return {name: value for name, value in members.items() if value not in (None, "", False, [], {}, 0)}


@dataclass
class Place:
    """A channel while posts are made for it."""

    key: Object  # what a post's line says of it
    members: list[str]
    posts: list[Object] = field(default_factory=list)

    def read(self, until: int, *, roots: bool = False) -> int:
        """Return how many posts that count there are up to a time; roots: those alone."""
        everything = [post for root in self.posts for post in ([root] if roots else [root, *root.get("replies", [])])]
        return sum(post.get("type") != UNCOUNTED and post["create_at"] <= until for post in everything)


class Workspace:
    """lines: (type, object) in their order; files: path in the data folder → bytes."""

    def __init__(self, seed: int, *, posts: int = 60) -> None:
        self.rng = random.Random(seed)
        self.files: dict[str, bytes] = {}
        self._now = START
        people = ["anna", "bert", "carla.d", "dora-2", "emil_e", "gast"]
        teams = ["blau", "gelb"]
        self.guest, self.gone, self.bot = "gast", "emil_e", "robo"
        everybody = sorted([*people, self.bot])
        self.places = [
            Place({"team": team, "channel": name}, everybody if name == "town-square" else self._some(everybody, 2))
            for team in teams
            for name in sorted(["town-square", "off-topic", "dev", "alt", f"geheim-{team}"])
        ]
        directs = [["anna", "anna"], ["anna", "bert"], ["anna", "carla.d", "dora-2"], ["bert", "emil_e"]]
        directs.append(["dora-2", self.bot])
        self.directs = [Place({"channel_members": names}, sorted(set(names))) for names in sorted(directs)]
        for place in [*self.places, *self.directs]:
            place.posts = [self._post(place) for _ in range(self.rng.randint(0, 2 * posts // 15))]
        self.lines: list[tuple[str, Object]] = list(self._lines(people, teams))

    def _lines(self, people: list[str], teams: list[str]) -> Iterator[tuple[str, Object]]:
        for name in ("cheddar", "party-parrot"):
            self.files[f"emoji/{name}"] = picture("yellow")
            yield "emoji", {"name": name, "image": f"emoji/{name}"}
        for team in teams:
            kind = "O" if team == "blau" else "I"
            line = {"name": team, "display_name": team.title(), "type": kind, "description": f"Das Team {team}"}
            yield "team", {**line, "allow_open_invite": kind == "O"}
        for place in self.places:
            name = place.key["channel"]
            gone = {"deleted_at": START + 5} if name == "alt" else {}
            line = {**place.key, "name": name, "display_name": name.title(), "type": "P" if "geheim" in name else "O"}
            del line["channel"]
            yield "channel", {**line, **kept(header="Kopf 🧀", purpose="Zweck" if name == "dev" else ""), **gone}
        for name in people:
            yield "user", self._user(name, teams)
        picture_path = f"profile_pictures/{self.bot}.png"
        self.files[picture_path] = picture("red")
        bot = {"username": self.bot, "owner": "anna", "display_name": "Robo", "description": "Helps."}
        yield "bot", {**bot, "profile_image": picture_path, "teams": self._memberships(self.bot, teams)}
        for place in self.places:
            for post in place.posts:
                yield "post", {**place.key, **post}
        for place in self.directs:
            yield "direct_channel", self._direct(place)
        for place in self.directs:
            for post in place.posts:
                yield "direct_post", {**place.key, **post}

    def _some(self, of: list[str], least: int = 0) -> list[str]:
        return sorted(self.rng.sample(of, self.rng.randint(least, len(of))))

    def _user(self, name: str, teams: list[str]) -> Object:
        rng, number = self.rng, ord(name[0])
        user: Object = {"username": name, "email": f"{name}@example.org"}
        if name == "bert":
            user["profile_image"] = "profile_pictures/bert.png"
            self.files["profile_pictures/bert.png"] = picture("blue")
        nickname = f"{name} 🦊" if number % 2 else ""
        user |= kept(nickname=nickname, first_name=name.title(), last_name="Ü", position="Käserei")
        admin = " system_admin" if name == "anna" else ""
        user["roles"] = "system_guest" if name == self.guest else f"system_user{admin}"
        user["locale"] = rng.choice(["de", "en"])
        user |= {"delete_at": START + 9} if name == self.gone else {}
        user["teams"] = self._memberships(name, teams)
        user["notify_props"] = {**USER_NOTIFY, "mention_keys": f"{name},x"}
        if name == "anna":
            user["custom_status"] = {"emoji": "palm_tree", "text": "weg 🏖"}
            user |= {"theme": '{"type":"Onyx"}', "feature_enabled_markdown_preview": "true", "formatting": "false"}
            user |= {"show_unread_section": "true", "send_on_ctrl_enter": "true", "code_block_ctrl_enter": "true"}
            user |= {"show_join_leave": "false", "show_unread_scroll_position": "newest", "sync_drafts": "false"}
            user |= {"limit_visible_dms_gms": "20", "name_format": "full_name", "military_time": "true"}
            user |= {"link_previews": "false", "message_display": "compact", "collapse_consecutive_messages": "false"}
            user |= {"colorize_usernames": "true", "channel_display_mode": "centered", "tutorial_step": "5"}
            user |= {"email_interval": "fifteen"}
        if name == "bert":
            later = {"duration": "date_and_time", "expires_at": "2099-01-01T00:00:00Z"}
            user["custom_status"] = {"emoji": "hammer", "text": "baut", **later}
        zone = {"useAutomaticTimezone": "false", "automaticTimezone": "", "manualTimezone": "Europe/Berlin"}
        if name == "carla.d":
            own = {"auth_service": "gitlab", "auth_data": "4711"}
        else:
            own = {"password_hash": HASHES[number % 2]}
        return user | own | {"email_verified": name != "bert", "timezone": zone}

    def _memberships(self, name: str, teams: list[str]) -> list[Object]:
        kind = "guest" if name == self.guest else "user"
        found = []
        for team in teams:
            inside = [place for place in self.places if place.key["team"] == team and name in place.members]
            channels = [self._membership(place, name, kind) for place in inside]
            admin = " team_admin" if name == "anna" else ""
            theme = {"theme": '{"type":"Indigo"}'} if (name, team) == ("bert", "gelb") else {}
            found.append({"name": team, "roles": f"team_{kind}{admin}", **theme, "channels": channels})
        return found

    def _membership(self, place: Place, name: str, kind: str) -> Object:
        admin = " channel_admin" if name == "anna" and self.rng.random() < 0.5 else ""
        favorite = kept(favorite=name in ("anna", "bert") and self.rng.random() < 0.4)
        state = self._read_state(place)
        notify = {"notify_props": CHANNEL_NOTIFY}
        return {"name": place.key["channel"], "roles": f"channel_{kind}{admin}", **notify, **favorite, **state}

    def _read_state(self, place: Place) -> Object:
        seen = self.rng.choice([0, START, self._now, self.rng.randint(START, self._now)])
        mentions = self.rng.randint(0, 2) if seen < self._now else 0
        counts = kept(mention_count=mentions, mention_count_root=min(mentions, 1), urgend_mention_count=mentions // 2)
        read = {"msg_count": place.read(seen), "msg_count_root": place.read(seen, roots=True), "last_viewed_at": seen}
        return {**counts, **read}

    def _direct(self, place: Place) -> Object:
        people = [
            {
                "username": name,
                "notify_props": CHANNEL_NOTIFY,
                ("scheme_guest" if name == self.guest else "scheme_user"): True,
                **self._read_state(place),
            }
            for name in place.members
        ]
        favorites = [name for name in place.members if self.rng.random() < 0.3]
        shown = [name for name in place.members if self.rng.random() < 0.5]
        header = "unter uns" if len(place.members) == 2 else ""
        twice = people * 2 if len(people) == 1 else people
        return {"participants": twice, **kept(favorited_by=favorites, shown_by=shown, header=header)}

    def _text(self) -> str:
        return f"{' '.join(self.rng.choices(WORDS, k=self.rng.randint(1, 6)))} {self.rng.getrandbits(32):08x}"

    def _common(self, place: Place) -> Object:
        rng = self.rng
        self._now += rng.choice([0, 1, 1, 1_000])  # several within one millisecond
        at, author = self._now, rng.choice(place.members)
        emojis = ["+1", "cheddar", "tada"]
        reactions = {(at + rng.randint(1, 3), rng.choice(emojis), who) for who in self._some(place.members)}
        first = {(emoji, who): time for time, emoji, who in sorted(reactions, reverse=True)}
        told = sorted((time, emoji, who) for (emoji, who), time in first.items()) if rng.random() < 0.3 else []
        files = [self._file() for _ in range(rng.choice([0, 0, 0, 1, 3]))]
        body = {"user": author, "message": self._text(), "create_at": at}
        return body | kept(
            props=rng.choice(PROPS),
            edit_at=at + 7 if rng.random() < 0.2 else 0,
            flagged_by=self._some(place.members) if rng.random() < 0.2 else [],
            reactions=[{"user": who, "emoji_name": emoji, "create_at": time} for time, emoji, who in told],
            attachments=files,
        )

    def _post(self, place: Place) -> Object:
        rng = self.rng
        if rng.random() < 0.1:
            self._now += 1
            return {"user": rng.choice(place.members), "message": "joined", "create_at": self._now, "type": UNCOUNTED}
        post = self._common(place)
        replies = [self._common(place) for _ in range(rng.choice([0, 0, 1, 4]))]
        if replies:
            post["replies"] = replies
            viewed = self._now if rng.random() < 0.5 else START
            post["thread_followers"] = [
                {"user": who, "last_viewed": viewed, **kept(unread_mentions=0 if viewed > START else rng.randint(0, 2))}
                for who in self._some(place.members)
            ]
        if rng.random() < 0.1:
            post["priority"] = rng.choice([{"priority": "urgent", "requested_ack": True}, {"priority": "important"}])
        return post | kept(is_pinned=rng.random() < 0.2)

    def _file(self) -> Object:
        name = self.rng.choice(["a.txt", "Übersicht 🧀.md", "kein-ende", "x" * 100 + ".bin"])
        data = self.rng.randbytes(self.rng.choice([1, 1000])) if self.rng.random() < 0.7 else b"the same bytes"
        path = f"attachments/{sha256(data).hexdigest()}/{name}"
        self.files[path] = data
        return {"path": path}

    def write(self, path: Path) -> None:
        """Write it as a zip."""
        texts = [json.dumps({"type": "version", "version": 1})]
        texts += [json.dumps({"type": kind, kind: line}, ensure_ascii=False) for kind, line in self.lines]
        with ZipFile(path, "w") as archive:
            archive.writestr("import.jsonl", "\n".join(texts) + "\n")
            for name, data in self.files.items():
                archive.writestr(f"data/{name}", data)
