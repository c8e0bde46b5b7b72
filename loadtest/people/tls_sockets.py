"""People's WebSockets over TLS, for a server that is reached no other way: the swarm speaks none.

Each has a thread, which under Locust is a greenlet, so hundreds are fine and tens of thousands are the swarm's. What
happened is reported once a second as a process of the swarm would, so rows, figures and gaps are counted the same way;
the CPU time in it is that of the whole process, Locust's own included. Certificates are checked.
"""

import json
import os
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import websocket

from loadtest.people.client import MARK
from loadtest.swarm.histogram import Histogram
from loadtest.swarm.reading import bucket
from loadtest.swarm.wire import Report

PING_S, TIMEOUT_S, RETRY_S, REPORT_S = 30.0, 30.0, 3.0, 1.0
COUNTS = (
    "attempts", "fresh", "resumed", "anew", "resyncs", "lost", "frames", "events", "posted", "replies", "pings", "gaps",
    "bytes", "reads",
)  # fmt: skip
_GONE = (OSError, websocket.WebSocketException)


@dataclass
class _One:
    """One person's connection. link: None while there is none. ended: it is to be no more."""

    link: Any = None
    ended: threading.Event = field(default_factory=threading.Event)
    connection_id: str = ""
    next_seq: int = 0
    asked: int = 0
    pinged: dict[int, float] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock)  # of what is sent


class TlsSockets:
    """Sockets at one server. url: "wss://…" of the WebSocket. token: of a number. on_report: as Herd's."""

    def __init__(self, url: str, token: Callable[[int], str], on_report: Callable[[Report], None]) -> None:
        self._url, self._token, self._on_report = url, token, on_report
        self._all: dict[int, _One] = {}
        self._lock = threading.Lock()  # of all below
        self._counts: Counter[str] = Counter()
        self._times = {name: Histogram(counts={}) for name in ("fresh", "resumed", "anew", "ping", "delivery")}
        self._errors: Counter[str] = Counter()
        self._opened: list[tuple[int, int, int, bool]] = []
        self._first = self._last = 0.0
        self._ending = threading.Event()
        self._reporter = threading.Thread(target=self._report_all, daemon=True)
        self._reporter.start()

    def open(self, number: int, *, resume: bool) -> None:
        """Let one connect."""
        before = self._all.get(number)
        if self._ending.is_set() or (before is not None and not before.ended.is_set()):
            return
        one = _One()  # the thread of the one before may still be ending
        if resume and before is not None:
            one.connection_id, one.next_seq = before.connection_id, before.next_seq
        self._all[number] = one
        threading.Thread(target=self._live, args=(number, one, time.time()), daemon=True).start()

    def cut(self, number: int) -> None:
        """Close one without a word."""
        one = self._all.get(number)
        if one is not None:
            one.ended.set()
            link, one.link = one.link, None
            if link is not None:
                _wake(link)

    def say(self, number: int, action: str, **data: object) -> None:
        """Send an action, if it is logged in."""
        one = self._all.get(number)
        if one is not None and one.link is not None:
            self._send(one, action, data)

    def stop(self) -> None:
        """Close all, after a last report."""
        self._ending.set()
        for number in list(self._all):
            self.cut(number)
        self._reporter.join(REPORT_S * 3)
        self._report()

    # One connection

    def _live(self, number: int, one: _One, due: float) -> None:
        """Be connected, and come back after a loss, as long as that is wanted."""
        while not one.ended.is_set():
            try:
                self._connect_and_read(number, one, due)
            except _GONE as error:
                if one.ended.is_set():
                    return
                lost = one.link is not None
                with self._lock:
                    self._counts["lost"] += lost
                    self._errors[f"lost: {error}" if lost else f"connect: {error}"] += 1
            one.link = None
            due = time.time() + RETRY_S
            one.ended.wait(RETRY_S)

    def _connect_and_read(self, number: int, one: _One, due: float) -> None:
        resuming = bool(one.connection_id)
        query = f"?connection_id={one.connection_id}&sequence_number={one.next_seq}" if resuming else ""
        if not resuming:
            one.next_seq = 0
        with self._lock:
            self._counts["attempts"] += 1
            self._first = self._first or time.time()
        header = [f"Authorization: Bearer {self._token(number)}"]
        link = websocket.create_connection(self._url + query, timeout=TIMEOUT_S, header=header, enable_multithread=True)
        one.asked, one.pinged = 0, {}
        opened, pinged_at = False, time.time()
        try:
            # A resumed connection gets no `hello`: the reply to a ping tells that it is in.
            link.send(json.dumps({"seq": 1, "action": "ping"}))
            one.asked = 1
            link.settimeout(PING_S)
            while not one.ended.is_set():
                try:
                    text = link.recv()
                except websocket.WebSocketTimeoutException:
                    text = None
                if text == "":
                    raise websocket.WebSocketConnectionClosedException("closed by the server")
                if text:
                    way = self._on_text(number, one, text, resuming, opened)
                    if not opened and way:
                        opened, one.link = True, link
                        self._note_open(number, way, due)
                if time.time() - pinged_at >= PING_S and opened:
                    pinged_at = time.time()
                    self._ping(one)
        finally:
            with one.lock:  # nobody is sending
                link.shutdown()

    def _ping(self, one: _One) -> None:
        """Ask for a reply. Raises: WebSocketException without the last one."""
        if one.pinged:
            raise websocket.WebSocketException("no reply to a ping")
        number = self._send(one, "ping", None)
        if number:
            one.pinged[number] = time.time()

    def _send(self, one: _One, action: str, data: object) -> int:
        """Send an action; return its seq, 0 if the connection is gone, which its reader finds out."""
        with one.lock:
            one.asked += 1
            message: dict[str, object] = {"seq": one.asked, "action": action}
            link = one.link
            try:
                if link is not None:
                    link.send(json.dumps(message if data is None else message | {"data": data}))
                    return one.asked
            except _GONE:
                pass  # the reader of the same socket counts it
            return 0

    def _on_text(self, number: int, one: _One, text: str | bytes, resuming: bool, opened: bool) -> str:
        """Count a message; return how it shows that we are in: "fresh", "resumed", "anew", or "" if it does not."""
        message = json.loads(text)
        with self._lock:
            self._counts["frames"] += 1
            self._counts["bytes"] += len(text)
            if "event" not in message:
                return self._on_reply(one, message, resuming)
            self._counts["events"] += 1
            way = "resumed" if resuming else "fresh"
            if message["event"] == "hello":
                way = "anew" if resuming else "fresh"
                one.connection_id, one.next_seq = message["data"]["connection_id"], 0
                self._counts["resyncs"] += opened
            if message["seq"] != one.next_seq:
                self._counts["gaps"] += 1
            one.next_seq = message["seq"] + 1
            if message["event"] == "posted":
                self._counts["posted"] += 1
                self._on_post(message["data"].get("post", ""))
            return way

    def _on_reply(self, one: _One, message: dict[str, Any], resuming: bool) -> str:
        self._counts["replies"] += 1
        if message.get("status") != "OK":
            self._errors["a reply FAIL"] += 1
            return ""
        sent = one.pinged.pop(message.get("seq_reply", 0), 0.0)
        if sent:
            _add(self._times["ping"], time.time() - sent)
        return "resumed" if resuming else "fresh"

    def _on_post(self, post: str) -> None:
        at = post.find(MARK)
        digits = post[at + len(MARK) : at + len(MARK) + 16] if at >= 0 else ""
        if digits.isdigit() and len(digits) == 16:
            _add(self._times["delivery"], time.time() - int(digits) / 1e6)

    def _note_open(self, number: int, way: str, due: float) -> None:
        now = time.time()
        with self._lock:
            self._counts[way] += 1
            _add(self._times[way], now - due)
            self._opened.append((number, int(now * 1e6), int((now - due) * 1e6), way == "resumed"))
            self._last = now

    # Reports

    def _report_all(self) -> None:
        while not self._ending.wait(REPORT_S):
            self._report()

    def _report(self) -> None:
        now, cpu_s = time.monotonic(), time.process_time()
        since, spent = getattr(self, "_reported", (now - REPORT_S, cpu_s))
        self._reported = now, cpu_s
        with self._lock:
            counts, self._counts = {name: self._counts[name] for name in COUNTS}, Counter()
            times, self._times = self._times, {name: Histogram(counts={}) for name in self._times}
            errors, self._errors = dict(self._errors), Counter()
            opened, self._opened = self._opened, []
        live = sum(one.link is not None for one in self._all.values())
        waiting = sum(not one.ended.is_set() and one.link is None for one in self._all.values())
        self._on_report(Report(
            pid=os.getpid(), label="connect", wall_s=now - since, cpu_s=cpu_s - spent, rss_bytes=0, base_bytes=0,
            open=live, connecting=waiting, busiest_us=0, first_attempt=self._first, last_opened=self._last,
            counts=counts, times=times, errors=errors, opened=opened, marks=[],
        ))  # fmt: skip


def _wake(link: Any) -> None:
    """End a socket without a close frame; its reader, who is in the middle of TLS perhaps, finds out and closes it."""
    try:
        socket.socket.shutdown(link.sock, socket.SHUT_RDWR)  # TLS's own would take the reader's state from him
    except (AttributeError, TypeError, OSError):
        pass  # it is gone already


def _add(times: Histogram, seconds: float) -> None:
    us = max(0, int(seconds * 1e6))
    times.merge(Histogram(1, us, us, us, {bucket(us): 1}))
