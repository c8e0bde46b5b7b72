"""HTTP/1.0, which the health checks of balancers speak."""

import asyncio

import pytest

from tests.fixtures.api import Api


@pytest.mark.parametrize("path", ["/api/v4/system/ping", "/", "/api/v4/nowhere"])
async def test_an_old_request_is_answered(api: Api, path: str) -> None:
    host, port = api.url.removeprefix("http://").split(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    writer.write(f"GET {path} HTTP/1.0\r\n\r\n".encode())
    answer = await reader.read()
    writer.close()
    assert answer.split(b" ")[1] == (b"404" if path.endswith("nowhere") else b"200"), answer
