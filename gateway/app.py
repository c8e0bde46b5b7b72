"""A socket's life: admitted, logged in, joined, heard, lost, resumed, ended. The handler of door and room.

Decides states and closes; who hears what is hub's, the order of events relay's, requests of clients actions'.
Everything runs in the event loop; what awaits is a task of its own.
"""

import asyncio
import sys
from collections import Counter, deque
from collections.abc import Callable, Coroutine
from ipaddress import ip_network
from typing import Any

import structlog

from gateway.actions import Actions, Request, Undecodable, decode_request, encode_ok
from gateway.batch import Batch
from gateway.connection import (
    GOING_AWAY,
    MAX_WAITING,
    NO_FRAME,
    POLICY,
    TRY_AGAIN,
    UNDECODABLE,
    Connection,
    Seats,
    State,
    adopted,
)
from gateway.context import Context
from gateway.door import Door, Upgrade
from gateway.expiry import Expiry
from gateway.handover import Handover
from gateway.hub import Hub
from gateway.join import Joiner
from gateway.latency import Latency
from gateway.login import BadResume, Resume, address_of, credential_of, resume_of
from gateway.presence import Presence
from gateway.relay import Relay
from gateway.room import Room
from hotpath import MFA_OK, POSTED_ACK
from tidewire.actions.config import API_VERSION
from tidewire.actions.login_limits import Throttle
from tidewire.actions.typists import TypingLimit, Typists
from tidewire.bus.contract import Events
from tidewire.store.connections import Login, load_logins, load_memberships
from tidewire.store.sessions import token_hash
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.events import encode_prefix
from tidewire.wire.ids import new_id, now_ms

log = structlog.get_logger()

ENDED_S = 60.0  # a look-up that began before a session ended is over by then
# Bits beside the gate's four: a person's access token, or an OAuth app's session, opened the socket.
BY_ACCESS_TOKEN, BY_OAUTH = 16, 32
# What one producer spaced out comes a little less evenly; what is closer than this comes from two of them.
TYPING_SLACK = 0.8
SPARE_SLOTS = 64  # upgrades that are under way when the room is found full
# Closes of a stop come in steps, so that clients do not all come back in one moment; a second in all at most.
STOP_AT_ONCE = 100
STOP_STEP_S = 0.02
STOP_SPREAD_S = 1.0


def _hello_of(context: Context) -> tuple[bytes, bytes, bytes]:
    """Return what stands before, between and behind the user's and the connection's id in a whole hello."""
    data = {
        "connection_id": "{connection}",
        "server_version": context.config.version_id,
        "server_hostname": context.hostname,
    }
    text = encode_prefix("hello", data, user_id="{user}") + b'},"seq":0}'
    before, _, rest = text.partition(b"{user}")
    between, _, after = rest.partition(b"{connection}")
    return before, between, after


class Gateway:
    """One process's sockets. Implements `gateway.door.Handler`."""

    def __init__(self, room: Room, context: Context, *, slots: int) -> None:
        """slots: capacity of the room's gate."""
        self.room = room
        self._context = context
        self._slots = slots
        settings = self._settings = context.settings
        self._loop = asyncio.get_running_loop()
        self._trusted = tuple(ip_network(network, strict=False) for network in settings.proxies.trusted)
        self.hub = Hub(room, self._on_dropped, self._on_ended)
        self.typing = TypingLimit(
            self._loop.time,
            interval_s=settings.typing.min_interval_ms / 1000 * TYPING_SLACK,
            per_channel=settings.typing.per_channel,
        )
        self.relay = Relay(self.hub, self.resync, hold_ms=settings.bus.hold_ms, typing=self.typing)
        self.handover = Handover(
            self,
            settings.redis.url,
            limit_ms=settings.resume.handover_ms,
            limit_bytes=settings.resume.handover_bytes,
            shards=settings.bus.shards,
        )
        self.joiner = Joiner(
            self.hub,
            self.relay,
            lambda users: load_memberships(context.db, users),
            on_joined=self._on_joined,
            on_failed=self._on_join_failed,
            wait_s=settings.gateway.login_wait_s,
            tag=self.handover.tag,
        )
        self.presence = Presence(
            context.redis,
            context.db,
            context.producer.ephemeral,
            process=new_id(),
            heartbeat_s=settings.presence.heartbeat_s,
            away_after_s=settings.presence.away_after_s,
        )
        self._throttle = Throttle(context.redis)
        self.latency = Latency(now_ms)
        room.on_flushed = self.latency.flushed
        self._delivered = 0
        self.typists = typists = Typists(
            context.producer.ephemeral,
            self._loop.time,
            min_interval_ms=settings.typing.min_interval_ms,
            per_channel=settings.typing.per_channel,
        )
        self.connections = Seats()
        self.expiry = Expiry(context, self.connections, self.end, self._spawn)
        self.actions = Actions(
            self.hub,
            self.presence,
            typists,
            context.redis,
            context.db,
            self._reply,
            version=API_VERSION,
            heartbeat_s=settings.presence.heartbeat_s,
            used=self.expiry.used,
        )
        self._logins: Batch[bytes, Login] = Batch(lambda hashes: load_logins(context.db, hashes, now_ms()))
        self._hello = _hello_of(context)
        self._addresses: Counter[str] = Counter()
        self._strangers: Counter[str] = Counter()  # by address: sockets whose challenge is awaited
        self._unknown: deque[tuple[float, Connection]] = deque()  # deadline, who has to log in by then
        self._checks: deque[tuple[float, Connection]] = deque()  # since when whose session is being looked up
        self._away: deque[tuple[float, Connection]] = deque()  # since when, who may be resumed
        self._ended: deque[tuple[float, str, list[str]]] = deque(maxlen=100_000)
        self._tasks: set[asyncio.Task[None]] = set()
        self.background: list[asyncio.Task[None]] = []  # main's; their end is the process's end
        self.failures = 0  # exceptions that nobody caught
        self.unauthenticated = self.resumed = self.refused = self.resyncs = 0
        # By what was taken over: a socket still live, a lost one, one of another process; anew: it was not possible.
        self.resumes = Counter(dict.fromkeys(("live", "away", "moved", "anew"), 0))
        self.stopping = False
        self.door: Door | None = None  # main's

    def on_config(self) -> None:
        """Say to new connections what the run-time configuration says from now on."""
        config = self._context.config
        self._hello = _hello_of(self._context)
        self.hub.require_mfa(
            config.flag("ServiceSettings.EnableMultifactorAuthentication")
            and config.flag("ServiceSettings.EnforceMultifactorAuthentication"),
            guests=config.flag("GuestAccountsSettings.EnforceMultifactorAuthentication"),
        )
        if not config.flag("ServiceSettings.EnableUserAccessTokens"):
            for connection in list(self.connections.values()):
                if connection.bits & BY_ACCESS_TOKEN:
                    self.end(connection)
        if not config.flag("ServiceSettings.EnableOAuthServiceProvider"):
            for connection in list(self.connections.values()):
                if connection.bits & BY_OAUTH:
                    self.end(connection)
        if "away_after_s" not in self._settings.presence.given:
            self.presence.away_after(config.number("TeamSettings.UserStatusAwayTimeout"))
        self.presence.told = config.flag("ServiceSettings.EnableUserStatuses")
        self.typists.wanted = config.flag("ServiceSettings.EnableUserTypingMessages")
        if self.door is not None:
            origins = tuple(config.text("ServiceSettings.AllowCorsFrom").split())
            if "*" in (*origins, *self._settings.gateway.allowed_origins):
                log.warning("pages of every site may connect", why="* in AllowCorsFrom or gateway.allowed_origins")
            self.door.configure(
                site_url=config.text("ServiceSettings.SiteURL"),
                other_origins=origins,
                version_id=config.version_id,
            )

    # The door

    def admit(self, upgrade: Upgrade) -> tuple[int, str] | None:
        """Return None to go on, or the status and error id to refuse a WebSocket request with."""
        token = credential_of(upgrade.headers, upgrade.query)
        if "access_token" in upgrade.query and not token:
            return 401, "api.context.token_provided.app_error"
        limits = self._settings.gateway
        if self.stopping or self.unauthenticated >= limits.unauthenticated or not self._make_room():
            self.refused += 1
            return 503, "api.context.server_busy.app_error"
        cap, address = limits.connections_per_address, self._address(upgrade)
        full = bool(cap) and self._addresses[address] >= cap
        if full or (self._crowded(address) and not token):
            self.refused += 1
            return 429, "api.context.rate_limited.app_error"
        return None

    def _crowded(self, address: str) -> bool:
        """Tell whether enough sockets of an address wait for a challenge: more would keep others out."""
        return self._strangers[address] >= self._settings.gateway.unauthenticated_per_address

    def _make_room(self) -> bool:
        """Return whether there is a slot, giving up the connection that waits longest for a resume if need be."""
        while len(self.connections) >= self._slots - SPARE_SLOTS:
            if not self._away:
                return False
            self._drop_away(*self._away.popleft())
        return True

    def _drop_away(self, since: float, connection: Connection) -> None:
        if connection.state is State.AWAY and connection.seen_at == since:
            self._drop(connection)

    def _address(self, upgrade: Upgrade) -> str:
        return address_of(upgrade.remote, upgrade.headers.get("X-Forwarded-For", ""), self._trusted)

    def on_adopted(self, slot: int, upgrade: Upgrade) -> None:
        """Take a socket that has got its 101."""
        bits = POSTED_ACK if upgrade.query.get("posted_ack") == "true" else 0
        address = sys.intern(self._address(upgrade))
        burst = self._settings.gateway.client_burst
        connection = adopted(slot, address, bits, self._loop.time(), burst)
        self.connections[slot] = connection
        self._addresses[address] += 1
        self.unauthenticated += 1
        token = credential_of(upgrade.headers, upgrade.query)
        if token:
            query = upgrade.query
            self._look_up(connection, token, lambda login: self._found(connection, login, query))
        else:
            self._await_challenge(connection)

    # Log-in

    def _await_challenge(self, connection: Connection) -> None:
        self._strangers[connection.remote] += 1
        connection.state = State.UNKNOWN
        deadline = connection.seen_at + self._settings.gateway.auth_timeout_s
        self._unknown.append((deadline, connection))
        self._hear_waiting(connection)

    def _known(self, connection: Connection) -> None:
        """Take a connection that said who it is, or is gone, out of its address's strangers."""
        address = connection.remote
        self._strangers[address] -= 1
        if not self._strangers[address]:
            del self._strangers[address]

    def _found(self, connection: Connection, login: Login | None, query: dict[str, str]) -> None:
        """Log in by a handshake's credential; a bad one leaves the socket where a challenge is awaited."""
        if login is None:
            if self._crowded(connection.remote):
                self.refused += 1
                self.close(connection, TRY_AGAIN)
            else:
                self._await_challenge(connection)
            return
        try:
            resume = resume_of(query)
        except BadResume:
            self.close(connection, NO_FRAME)
            return
        self._logged_in(connection, login)
        if resume is None:
            self.joiner.join(connection)
        elif resume.connection_id not in self.hub.by_connection_id:
            self._spawn(self._fetch(connection, resume))
        elif not self._resume(connection, resume):
            self.resumes["anew"] += 1
            self.joiner.join(connection)

    async def _fetch(self, connection: Connection, resume: Resume) -> None:
        """Resume from another process, else begin anew."""
        since = self._loop.time()
        taken = await self.handover.take(connection, resume)
        if connection.state in (State.CHECKING, State.LIVE) and self._ended_since(since, connection):
            self.end(connection)
        if not taken and connection.state is State.CHECKING:
            self.resumes["anew"] += 1
            self.joiner.join(connection)

    async def _challenge(self, connection: Connection, request: Request) -> None:
        """Log in by `authentication_challenge`. Source: Mattermost API v4: a bad one closes TCP without a frame."""
        token = (request.data or {}).get("token")
        try:
            await self._throttle.check(self._settings.limits, connection.remote)
        except AppError:
            token = None
        if isinstance(token, str) and token and connection.state is State.CHECKING:
            self._look_up(connection, token, lambda login: self._challenged(connection, login, request.seq))
        else:
            self._challenged(connection, None, request.seq)

    def _challenged(self, connection: Connection, login: Login | None, seq: int) -> None:
        if connection.state is not State.CHECKING:
            return
        if login is None:
            self.close(connection, NO_FRAME)
            self._spawn(self._throttle.note_failure(self._settings.limits, connection.remote))
            return
        self._logged_in(connection, login)
        connection.welcome = seq
        self.joiner.join(connection)

    def _look_up(self, connection: Connection, token: str, then: Callable[[Login | None], None]) -> None:
        """Find the token's session; `then` gets it, or None if it may not be used.

        When that cannot be known in time the connection is closed, and `then` not called.
        """
        since = connection.seen_at = self._loop.time()
        self._checks.append((since, connection))

        def found(login: Login | None, error: Exception | None) -> None:
            if connection.state is not State.CHECKING or connection.seen_at != since:
                return  # closed meanwhile
            if error is not None:
                self.close(connection, TRY_AGAIN)
                if not isinstance(error, Unavailable):
                    raise error
                return
            if login is not None and self._may_use(login) and not self._ended_since(since, login):
                connection.seen_at = 0.0  # no look-up any more: what follows has limits of its own
                then(login)
            else:
                then(None)

        self._logins.ask(token_hash(token), found)

    def _may_use(self, login: Login) -> bool:
        """Tell whether this kind of login opens sockets. Bots have no other than access tokens."""
        if login.by_access_token and not login.is_bot:
            return self._context.config.flag("ServiceSettings.EnableUserAccessTokens")
        return not login.is_oauth or self._context.config.flag("ServiceSettings.EnableOAuthServiceProvider")

    def _ended_since(self, since: float, session: Login | Connection) -> bool:
        """Tell whether the session was ended while it was on its way in."""
        for at, user_id, session_ids in reversed(self._ended):
            if at < since:
                break
            if user_id == session.user_id and (not session_ids or session.session_id in session_ids):
                return True
        return False

    def _logged_in(self, connection: Connection, login: Login) -> None:
        self.unauthenticated -= 1
        connection.user_id = login.user_id
        connection.session_id = login.session_id
        connection.expires_at = login.expires_at
        if login.mfa_active or login.is_bot or login.is_oauth:
            connection.bits |= MFA_OK
        if login.by_access_token and not login.is_bot:
            connection.bits |= BY_ACCESS_TOKEN
        if login.is_oauth:
            connection.bits |= BY_OAUTH

    def _on_join_failed(self, connection: Connection, retry: bool) -> None:
        self.close(connection, TRY_AGAIN if retry else POLICY)

    def _on_joined(self, connection: Connection) -> None:
        """Greet: the first event of a connection, and of each new beginning on the same socket."""
        if connection.greeted:
            self.room.restart(connection.slot)
        connection.greeted = True
        connection.state = State.LIVE
        self._greet(connection.slot, connection)
        self.room.begin_at(connection.slot, 1)
        if connection.welcome is not None:
            self._reply(connection, encode_ok(connection.welcome))
            connection.welcome = None
        self.expiry.watch(connection)
        self.presence.active(connection.user_id)
        self._limit(connection.user_id)
        self._hear_waiting(connection)

    def _greet(self, slot: int, connection: Connection) -> None:
        """Queue the hello of a connection. Not kept for a resume: who knows the connection's id has had it."""
        before, between, after = self._hello
        user_id, connection_id = connection.user_id.encode(), connection.connection_id.encode()
        self.room.reply(slot, b"".join((before, user_id, between, connection_id, after)))

    def arrive(self, connection: Connection) -> None:
        """Let a connection live on that another process has given away; its user is a member."""
        connection.state = State.LIVE
        connection.greeted = True
        self.hub.add(self.hub.members[connection.user_id], connection)
        self.hub.looks(connection)
        self.expiry.watch(connection)
        self._back(connection)
        self.resumes["moved"] += 1
        self._limit(connection.user_id)
        self._hear_waiting(connection)

    def _limit(self, user_id: str) -> None:
        member = self.hub.members[user_id]
        if len(member.connections) > self._settings.gateway.connections_per_user:
            self.close(member.connections[0], POLICY)  # the oldest makes room

    def _resume(self, connection: Connection, resume: Resume) -> bool:
        """Give the socket to the connection that it names, if that is the same user's and its events are still here."""
        old = self.hub.by_connection_id.get(resume.connection_id)
        if old is None or old.user_id != connection.user_id or old.state not in (State.LIVE, State.AWAY):
            return False
        self.room.set_user(connection.slot, connection.user_id.encode(), connection.bits)
        if resume.next_seq == 0:
            if self.room.copy_events(old.slot, 1, self._settings.resume.bytes) is None:
                return False
            self._greet(connection.slot, old)
        if not self.room.take_over(old.slot, connection.slot, max(1, resume.next_seq)):
            if old.state is State.AWAY:
                self._drop(old)
            return False
        self.resumes["live" if old.state is State.LIVE else "away"] += 1
        if old.state is State.LIVE:
            self._forget_address(old)
        del self.connections[connection.slot]
        connection.state = State.GONE
        old.state = State.LIVE
        old.remote, old.session_id, old.expires_at = (
            connection.remote,
            connection.session_id,
            connection.expires_at,
        )
        per_login = POSTED_ACK | MFA_OK | BY_ACCESS_TOKEN | BY_OAUTH
        old.bits = old.bits & ~per_login | connection.bits & per_login
        self.hub.set_bits(old, self.hub.members[old.user_id].roles)
        self.expiry.watch(old)
        self._back(old)
        old.waiting = connection.waiting
        self._hear_waiting(old)
        return True

    def _back(self, connection: Connection) -> None:
        """Take note that a connection goes on, and of what it looks at."""
        self.resumed += 1
        self.presence.active(connection.user_id)
        if connection.looks_at and "channel" in connection.looks_at:
            self.presence.looks_still(connection.user_id, connection.looks_at["channel"])

    # Frames

    def on_message(self, slot: int, data: bytes, text: bool) -> None:
        """Take a complete message."""
        connection = self.connections.get(slot)
        if connection is None or connection.state is State.GONE:
            return
        if not self._allow(connection):
            self.close(connection, POLICY)
        elif connection.state in (State.CHECKING, State.JOINING):
            if connection.waiting is None:
                connection.waiting = []
            if len(connection.waiting) >= MAX_WAITING:
                self.close(connection, POLICY)
            else:
                connection.waiting.append((data, text))
        else:
            self._hear(connection, data, text)

    def _hear(self, connection: Connection, data: bytes, text: bool) -> None:
        try:
            request = decode_request(data, text)
        except Undecodable:
            self.close(connection, UNDECODABLE)
            return
        if connection.state is State.LIVE:
            self.actions.handle(connection, request)
        elif connection.state is State.UNKNOWN and request.action == "authentication_challenge":
            self._known(connection)
            connection.state = State.CHECKING
            self._spawn(self._challenge(connection, request))

    def _hear_waiting(self, connection: Connection) -> None:
        """Take the messages that came while the connection was on its way in."""
        waiting, connection.waiting = connection.waiting or (), None
        for position, (data, text) in enumerate(waiting):
            if connection.state not in (State.LIVE, State.UNKNOWN):
                connection.waiting = list(
                    waiting[position:]
                )  # a challenge is being checked: the rest waits for it
                return
            self._hear(connection, data, text)

    def _allow(self, connection: Connection) -> bool:
        """Take one action from the connection's allowance."""
        now, limits = self._loop.time(), self._settings.gateway
        refilled = connection.allowance + (now - connection.allowance_at) * limits.client_rate
        connection.allowance = min(refilled, float(limits.client_burst)) - 1
        connection.allowance_at = now
        return connection.allowance >= 0

    def _reply(self, connection: Connection, payload: bytes) -> None:
        if connection.state is State.LIVE:
            self.room.reply(connection.slot, payload)

    # The end

    def on_closed(self, slot: int, code: int, why: str) -> None:
        """Take note that a socket is gone; a lost one goes on collecting for a resume."""
        connection = self.connections.get(slot)
        if connection is None or connection.state is State.AWAY:
            return
        if connection.state is not State.LIVE or why == "local" or not self._settings.resume.keep_s:
            self._drop(connection, release=why != "local")
        else:
            self._lose(connection)

    def part(self, connection: Connection) -> None:
        """Close a live socket (1001) and keep what its client needs to go on elsewhere."""
        self._lose(connection)
        self.room.close(connection.slot, GOING_AWAY, keep=True)

    def _lose(self, connection: Connection) -> None:
        connection.state = State.AWAY
        connection.seen_at = self._loop.time()
        self._forget_address(connection)
        self._away.append((connection.seen_at, connection))
        self._absent(connection.user_id)

    def close(self, connection: Connection, code: int) -> None:
        """End a connection for good; its socket closes behind what is queued."""
        if connection.state is State.GONE:
            return
        if connection.state is State.AWAY:
            self._drop(connection)
            return
        self._leave(connection)
        self.room.close(connection.slot, code, keep=False)

    def end(self, connection: Connection) -> None:
        """End a connection whose session is over: from now on it gets nothing, not even what is queued."""
        if connection.state not in (State.GONE, State.AWAY):
            self.room.silence(connection.slot)
        self.close(connection, POLICY)

    def _leave(self, connection: Connection) -> None:
        """Take the connection out of everything but `connections`."""
        if connection.state is State.GONE:
            return
        if connection.state is not State.AWAY:
            self._forget_address(connection)
        if not connection.user_id:
            self.unauthenticated -= 1
        if connection.state is State.UNKNOWN:
            self._known(connection)
        connection.state = State.GONE
        connection.waiting = None
        if connection.user_id:
            self.joiner.leave(connection)
            self.hub.remove(connection)
            self._absent(connection.user_id)

    def _drop(self, connection: Connection, *, release: bool = True) -> None:
        self._leave(connection)
        if self.connections.get(connection.slot) is connection:
            del self.connections[connection.slot]
            if release:
                self.room.release(connection.slot)

    def _absent(self, user_id: str) -> None:
        if not self.hub.present(user_id) and user_id not in self.joiner.waiting:
            self.presence.gone(user_id)

    def _forget_address(self, connection: Connection) -> None:
        self._addresses[connection.remote] -= 1
        if not self._addresses[connection.remote]:
            del self._addresses[connection.remote]

    def on_applied(self, events: Events) -> None:
        """Take note that events are queued. Their places begin with when Redis took them, in ms."""
        if self.hub.delivered != self._delivered:
            self._delivered = self.hub.delivered
            self.latency.begin(min([events.places[first][0] for _, first, _ in events.parts()]))

    def _on_dropped(self, key: str) -> None:
        self.relay.dropped(key, self._loop.time())

    def _on_ended(self, user_id: str, session_ids: list[str]) -> None:
        """End the user's sessions; log-ins that are being looked up at this moment are caught by `_ended`."""
        self._ended.append((self._loop.time(), user_id, session_ids))
        member = self.hub.members.get(user_id)
        there = [*(member.connections if member else ()), *self.joiner.waiting.get(user_id, ())]
        for connection in there:
            if not session_ids or connection.session_id in session_ids:
                self.end(connection)

    # Time

    def tick(self) -> None:
        """Look at the clocks: gaps, log-ins not made, resumes not taken, sessions over. Call it every 50 to 100 ms."""
        now = self._loop.time()
        self.relay.tick(now)
        while self._unknown and self._unknown[0][0] <= now:
            _, connection = self._unknown.popleft()
            if connection.state is State.UNKNOWN:
                self.close(connection, NO_FRAME)
        lost_before = now - self._settings.resume.keep_s
        late = now - self._settings.gateway.login_wait_s
        while self._checks and (
            self._checks[0][1].seen_at != self._checks[0][0] or self._checks[0][0] <= late
        ):
            since, connection = self._checks.popleft()
            if connection.state is State.CHECKING and connection.seen_at == since:
                self.close(connection, TRY_AGAIN)
        while self._away and self._away[0][0] <= lost_before:
            self._drop_away(*self._away.popleft())
        while self._ended and self._ended[0][0] < now - ENDED_S:
            self._ended.popleft()
        self.handover.tick(now)
        self.expiry.tick(now_ms())

    # Repair and stop

    def resync(self, user_ids: set[str]) -> None:
        """Make users load everything anew: a fresh `hello` on the same socket."""
        for user_id in user_ids:
            self.resyncs += 1
            for connection in self.joiner.rejoin(user_id):
                self._drop(connection)

    async def drain(self) -> None:
        """Give every connection to the other gateways, as their clients come there; returns when all are fetched.

        Returns at once when there is no other, and after `gateway.drain_s` in any case.
        """
        settings = self._settings.gateway
        if self.door is None or not await self.handover.others():
            return
        if settings.listen_fd < 0:  # else a successor accepts from the same socket already
            self.door.drain()
            await asyncio.sleep(settings.drain_notice_s)
        self.door.stop_listening()
        until = self._loop.time() + settings.drain_s
        while self._loop.time() < until:
            there = list(self.connections.values())
            live = [connection for connection in there if connection.state is State.LIVE]
            for connection in live[:STOP_AT_ONCE]:
                self.part(connection)
            if not there and not self.door.entrances:
                break
            await asyncio.sleep(STOP_STEP_S)

    async def stop(self) -> None:
        """Close every socket with 1001, spread over up to a second; clients come back elsewhere."""
        self.stopping = True
        if self.door is not None:
            self.door.drain()
        open_now = [c for c in self.connections.values() if c.state not in (State.GONE, State.AWAY)]
        for start in range(0, len(open_now), STOP_AT_ONCE):
            for connection in open_now[start : start + STOP_AT_ONCE]:
                self.close(connection, GOING_AWAY)
            await asyncio.sleep(min(STOP_STEP_S, STOP_SPREAD_S * STOP_AT_ONCE / len(open_now)))
        for task in list(self._tasks):
            task.cancel()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self.failures += 1
            log.error("a socket's task failed", exc_info=error)
