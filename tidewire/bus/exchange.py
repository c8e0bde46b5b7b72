"""Questions between processes, over Redis' publish/subscribe: asked once, answered once or too late.

An address is a channel; who listens there answers. Nothing is kept: a question to nobody is known to be one at once
(PUBLISH returns the number of listeners), and addresses of a dead process vanish with its connection, so there is
nothing to expire or to clear up. Knows bytes; the questions are the callers'.
"""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any

import msgspec
import structlog

from tidewire.bus.resp import Link, ReplyError, Word
from tidewire.loops import again
from tidewire.wire.errors import Unavailable
from tidewire.wire.ids import new_token

PREFIX = b"tw:to:"
EVERYBODY = "everybody"
TIMEOUT_S = 2.0
BEAT_S = 1.0
RETRY_S = 0.5
# Above this many waiting bytes questions are not even sent: the answers would be late.
QUEUE_BYTES = 64 << 20

log = structlog.get_logger(__name__)


class _Letter(msgspec.Struct, array_like=True):
    """reply_to: where the answer goes; "" in an answer. number: of the question."""

    number: int
    reply_to: str
    body: bytes


class _Question:
    """One that waits. noes: how many said that they have no answer; asked: how many got it, -1 if not known yet."""

    __slots__ = ("asked", "future", "noes")

    def __init__(self, future: "asyncio.Future[bytes | None]") -> None:
        self.future = future
        self.noes = 0
        self.asked = -1

    def look(self) -> None:
        """End it if everybody who got it has said no."""
        if not self.future.done() and self.asked >= 0 and self.noes >= self.asked:
            self.future.set_result(None)


class _Ear(Link):
    """A connection that may subscribe: messages come between the answers."""

    def __init__(self) -> None:
        super().__init__()
        self.on_message: Callable[[bytes], None] | None = None

    def on_answer(self, answer: Any) -> None:
        """See `Link.on_answer`."""
        if isinstance(answer, list) and answer and answer[0] == b"message" and self.on_message is not None:
            self.on_message(answer[2])
        else:
            super().on_answer(answer)


_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(_Letter)


class Exchange:
    """One process's end. answer(question) returns the answer, b"" for "I have none"; it must not raise."""

    def __init__(self, url: str, address: str, answer: Callable[[bytes], Awaitable[bytes]]) -> None:
        self.address = address
        self._url = url
        self._answer = answer
        self._own = new_token()  # answers come here: addresses may be shared
        self._listening = {EVERYBODY, address, self._own}
        self._changes: list[tuple[Word, ...]] = []
        self._changed = asyncio.Event()
        self._ready = asyncio.Event()
        self._questions: dict[int, _Question] = {}
        self._number = 0
        self._out: list[tuple[str, bytes, _Question | None]] = []
        self._out_bytes = 0
        self._sender: asyncio.Task[None] | None = None
        self._mouth: Link | None = None
        self._tasks: set[asyncio.Task[None]] = set()

    async def run(self) -> None:
        """Listen until cancelled; connect again after every failure."""
        await again("exchange", self._listen, RETRY_S, waits=(Unavailable, ReplyError))

    async def _listen(self) -> None:
        ear = await _Ear.open(self._url)
        try:
            ear.on_message = self._on_message
            self._changes.clear()
            await ear.calls([("SUBSCRIBE", _channel(one)) for one in self._listening], TIMEOUT_S)
            self._ready.set()
            while True:
                changes, self._changes = self._changes, []
                self._changed.clear()
                await ear.calls([*changes, ("PING",)], TIMEOUT_S)
                changed = asyncio.ensure_future(self._changed.wait())
                try:
                    await asyncio.wait([changed], timeout=BEAT_S)
                finally:
                    changed.cancel()
        finally:
            ear.close()

    async def ready(self) -> None:
        """Return once questions can be heard, or after TIMEOUT_S: without Redis nobody can ask."""
        try:
            async with asyncio.timeout(TIMEOUT_S):
                await self._ready.wait()
        except TimeoutError:
            log.warning("other gateways cannot be heard yet")

    def listen(self, addresses: Iterable[str]) -> None:
        """Hear questions to these addresses too, from some milliseconds on."""
        for address in addresses:
            self._listening.add(address)
            self._changes.append(("SUBSCRIBE", _channel(address)))
        self._changed.set()

    def unlisten(self, addresses: Iterable[str]) -> None:
        """Hear them no more."""
        for address in addresses:
            self._listening.discard(address)
            self._changes.append(("UNSUBSCRIBE", _channel(address)))
        self._changed.set()

    async def ask(self, addresses: Sequence[str], body: bytes, timeout_s: float) -> bytes | None:
        """Return the first answer; None if nobody is there, nobody has one, or it is too late."""
        if self._out_bytes > QUEUE_BYTES:
            return None
        self._number += 1
        number = self._number
        question = self._questions[number] = _Question(asyncio.get_running_loop().create_future())
        letter = _encoder.encode(_Letter(number, self._own, body))
        for address in addresses:
            self._post(address, letter, question)
        try:
            async with asyncio.timeout(timeout_s):
                return await question.future
        except TimeoutError:
            return None
        finally:
            del self._questions[number]

    async def others(self) -> int:
        """Return how many other processes listen. Raises: Unavailable."""
        link = await self._open()
        counts = await link.call("PUBSUB", "NUMSUB", _channel(EVERYBODY), timeout_s=TIMEOUT_S)
        return max(0, int(counts[1]) - 1)

    async def close(self) -> None:
        """Let what waits to be sent go out, and let go of Redis."""
        if self._sender is not None:
            await asyncio.wait([self._sender], timeout=TIMEOUT_S)
            self._sender.cancel()
        for task in list(self._tasks):
            task.cancel()
        if self._mouth is not None:
            self._mouth.close()

    def _on_message(self, data: bytes) -> None:
        try:
            letter = _decoder.decode(data)
        except msgspec.DecodeError:
            log.error("unreadable message between processes", size=len(data))
            return
        if letter.reply_to:
            task = asyncio.get_running_loop().create_task(self._reply(letter))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        elif (question := self._questions.get(letter.number)) is not None:
            if letter.body and not question.future.done():
                question.future.set_result(letter.body)
            question.noes += not letter.body
            question.look()

    async def _reply(self, letter: _Letter) -> None:
        try:
            body = await self._answer(letter.body)
        except Exception:  # this task's boundary; who asked is told that nobody has an answer
            log.exception("a question cannot be answered")
            body = b""
        self._post(letter.reply_to, _encoder.encode(_Letter(letter.number, "", body)), None)

    def _post(self, address: str, letter: bytes, question: _Question | None) -> None:
        self._out.append((address, letter, question))
        self._out_bytes += len(letter)
        if self._sender is None:
            self._sender = asyncio.get_running_loop().create_task(self._send())

    async def _send(self) -> None:
        """Send all that waits, in one pipeline; what is posted meanwhile goes into the next."""
        try:
            while self._out:
                out, self._out, self._out_bytes = self._out, [], 0
                link = await self._open()
                counts = await link.calls([("PUBLISH", _channel(to), data) for to, data, _ in out], TIMEOUT_S)
                listeners: dict[_Question, int] = {}
                for (_, _, question), count in zip(out, counts, strict=True):
                    if question is not None:
                        listeners[question] = listeners.get(question, 0) + count
                for question, count in listeners.items():
                    question.asked = count
                    question.look()
        except (Unavailable, ReplyError):
            self._out.clear()  # who asked waits for its time limit; who answered has lost the answer
            self._out_bytes = 0
        finally:
            self._sender = None

    async def _open(self) -> Link:
        if self._mouth is None or self._mouth.closed:
            self._mouth = await Link.open(self._url)
        return self._mouth


def _channel(address: str) -> bytes:
    return PREFIX + address.encode()
