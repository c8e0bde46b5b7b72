"""The echo gateway as a process of its own: for suites that need its CPU, its descriptors or its memory apart."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).parents[2]


@dataclass(frozen=True)
class EchoGateway:
    """A running process."""

    pid: int
    port: int

    def descriptors(self) -> int:
        """Return how many descriptors are open."""
        return len(os.listdir(f"/proc/{self.pid}/fd"))

    def rss_bytes(self) -> int:
        """Return the resident memory."""
        return int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")


@asynccontextmanager
async def echo_gateway(*flags: str) -> AsyncIterator[EchoGateway]:
    """Run `python -m tests.protocol.echo_gateway` on a free port; it must stop cleanly on SIGTERM."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "tests.protocol.echo_gateway", *flags, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    assert process.stdout is not None
    try:
        async with asyncio.timeout(30):
            ready = (await process.stdout.readline()).decode()
        assert ready.startswith("ready ws://"), ready
        yield EchoGateway(process.pid, int(ready.split(":")[2].split("/")[0]))
        process.terminate()
        async with asyncio.timeout(30):
            assert await process.wait() == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
