"""Structured logs on standard error: one JSON object a line, or coloured lines on a terminal.

Use `structlog.get_logger()` and key=value arguments. Secrets never go into a log: keys that sound like one are hidden.
"""

import logging
import sys
from collections import deque
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog

from tidewire.settings.tree import Log

_SECRET = ("password", "token", "secret", "cookie", "authorization", "dsn", "url")
_LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING, "error": logging.ERROR}


TAIL_LINES = 2_000  # some 600 KB; what administrators may look at from afar
tail: deque[str] = deque(maxlen=TAIL_LINES)  # the last lines of this process


class _Kept:
    """A stream that remembers what went through it. Where nothing can be written, on a full disk, the work goes on."""

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, text: str) -> int:
        """Pass a line on."""
        if line := text.strip():
            tail.append(line)
        with suppress(OSError):  # who logs is often about to answer why; there is no other place to say this
            self._stream.write(text)
        return len(text)

    def flush(self) -> None:
        """Pass it on."""
        with suppress(OSError):
            self._stream.flush()


def _hide(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    for key in event:
        if key != "event" and any(word in key.lower() for word in _SECRET):
            event[key] = "(hidden)"
    return event


def setup(settings: Log, *, process: str, stream: TextIO | None = None) -> None:
    """Send structlog's and the standard library's records to standard error, each with the process's name."""
    stream = stream or sys.stderr
    console = settings.format == "console" or (settings.format == "auto" and stream.isatty())
    level = _LEVELS[settings.level]

    def name(_: Any, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        event.setdefault("process", process)
        return event

    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        name,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _hide,
    ]
    if console:
        # plain: the default renderer prints every frame's local variables, tokens and passwords among them.
        renderer = structlog.dev.ConsoleRenderer(
            colors=stream.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        final: list[Any] = [renderer]
    else:
        tracebacks = structlog.tracebacks.ExceptionDictTransformer(show_locals=False)
        final = [structlog.processors.ExceptionRenderer(tracebacks), structlog.processors.JSONRenderer()]
    kept = cast(TextIO, _Kept(stream))
    structlog.configure(
        processors=[*shared, *final],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(file=kept),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(kept)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *final],
        )
    )
    logging.basicConfig(handlers=[handler], level=max(level, logging.INFO), force=True)
    # One line and several calls for each socket otherwise.
    logging.getLogger("picows").setLevel(logging.WARNING)
