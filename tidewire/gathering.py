"""The figures of several processes as one: each is asked on its unix socket, its samples get a `process` label."""

import asyncio
import ssl
from collections.abc import Mapping
from pathlib import Path

Target = Path | tuple[str, int]

_TIMEOUT_S = 2.0  # a frozen process must not keep the others' figures back


async def fetch(
    target: Target, path: str, *, context: ssl.SSLContext | None = None, name: str = ""
) -> tuple[int, bytes]:
    """GET a path from a unix socket or (host, port); return status and body. name: the Host, and the TLS name.

    Raises: OSError, EOFError, ValueError.
    """
    if isinstance(target, Path):
        reader, writer = await asyncio.open_unix_connection(target)
    else:
        server_name = (name or target[0]) if context else None
        reader, writer = await asyncio.open_connection(*target, ssl=context, server_hostname=server_name)
    try:
        writer.write(
            f"GET {path} HTTP/1.1\r\nHost: {name or 'localhost'}\r\nConnection: close\r\n\r\n".encode()
        )
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    finally:
        writer.close()
    if not head.startswith(b"HTTP/1."):
        raise EOFError("no HTTP answer")
    return int(head.split(b" ", 2)[1]), body


async def gather(folder: Path) -> dict[str, str]:
    """Return the metrics of every process with a socket in the folder, by its name; who does not answer is left out."""
    sockets = sorted(folder.glob("*.sock"))
    answers = await asyncio.gather(*(_ask(path) for path in sockets))
    return {path.stem: text for path, text in zip(sockets, answers, strict=True) if text}


async def _ask(path: Path) -> str:
    try:
        status, body = await asyncio.wait_for(fetch(path, "/metrics"), _TIMEOUT_S)
    except (OSError, EOFError, ValueError, TimeoutError):
        return ""
    return body.decode() if status == 200 else ""


def merge(texts: Mapping[str, str]) -> str:
    """Return one exposition (text format 0.0.4): per metric family its HELP and TYPE once, then everybody's samples."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for process, text in texts.items():
        family = ""
        fresh: dict[str, list[str]] = {}
        for line in text.splitlines():
            if line.startswith(("# HELP ", "# TYPE ")):
                family = line.split(" ", 3)[2]
                fresh.setdefault(family, []).append(line)
            elif line and not line.startswith("#"):
                samples.setdefault(family, []).append(_labelled(line, process))
        for name, lines in fresh.items():
            heads.setdefault(name, lines)
    parts: list[str] = []
    for name in dict.fromkeys([*heads, *samples]):
        parts += [*heads.get(name, ()), *samples.get(name, ())]
    return "\n".join(parts) + "\n"


def _labelled(sample: str, process: str) -> str:
    """Add process="…" to a sample. Label values may hold spaces and braces, so the first "{" decides."""
    name_end = min(at for at in (sample.find("{"), sample.find(" ")) if at >= 0)
    name, rest = sample[:name_end], sample[name_end:]
    label = f'process="{process}"'
    if rest.startswith("{}"):
        return f"{name}{{{label}}}{rest[2:]}"
    return f"{name}{{{label},{rest[1:]}" if rest.startswith("{") else f"{name}{{{label}}}{rest}"
