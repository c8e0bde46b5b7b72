"""npm @mattermost/client, unmodified, drives two users through a day of chat."""

import asyncio
from pathlib import Path

from tests.fixtures.serve import Serve

NODE = Path(__file__).parent / "node"
STEPS = 13


async def test_two_people_chat(serve: Serve) -> None:
    process = await asyncio.create_subprocess_exec(
        "node", "chat.cjs", serve.url, cwd=NODE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    printed, _ = await asyncio.wait_for(process.communicate(), 60)
    lines = printed.decode().splitlines()
    assert process.returncode == 0, "\n".join(lines)
    assert len([line for line in lines if line.startswith("ok ")]) == STEPS
