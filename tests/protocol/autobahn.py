"""Autobahn's cases (PyPI kosoku) against the real door, gate and room.

    python -m tests.protocol.autobahn [GROUP …]      default: all of 12 and 13, compression; some minutes

Prints what each kind of verdict was given to; ends with 1 if a case failed.
"""

import asyncio
import collections
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path

import kosoku
import kosoku._caseindex

from tests.fixtures.authority import authority
from tests.protocol.processes import echo_gateway

# Offers of these cases ask for a server window of 512 bytes: declined, because everyone gets the same bytes.
DECLINED = ("13.3.", "13.5.")


def _mend_compression_cases() -> None:
    """kosoku 0.1 hands messages to the cases of groups 12 and 13 as str, these want bytes: every verdict is ERROR."""
    kosoku._caseindex.initialize_shims()
    import case12_x_x  # kosoku's, on the path since the line above

    for case in (*case12_x_x.Case12_X_X, *case12_x_x.Case13_X_X):
        if "mended" not in vars(case):
            case.mended, case.on_message_bytes, case.onMessage = True, case.onMessage, _on_message


def _on_message(case, message, binary):
    if isinstance(message, str):
        message = message.encode("latin-1" if binary else "utf-8")
    case.on_message_bytes(message, binary)


@contextlib.asynccontextmanager
async def _encrypted(port: int) -> AsyncIterator[int]:
    """Yield a port whose connections go on to the other one over TLS, which kosoku does not speak."""
    trust = authority().trusting()

    async def forward(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", port, ssl=trust)
        await asyncio.gather(forward(reader, far_writer), forward(far_reader, writer))

    async with await asyncio.start_server(accept, "127.0.0.1") as server:
        yield server.sockets[0].getsockname()[1]


async def verdicts(groups: list[str], *flags: str, tls: bool = False) -> dict[str, list[str]]:
    """Run the groups against an echo gateway with these flags; return the cases of each verdict."""
    _mend_compression_cases()
    async with contextlib.AsyncExitStack() as stack:
        if tls:
            files = authority().issue(Path(stack.enter_context(tempfile.TemporaryDirectory())))
            flags = (*flags, "--tls-cert", str(files.cert), "--tls-key", str(files.key))
        port = (await stack.enter_async_context(echo_gateway(*flags))).port
        if tls:
            port = await stack.enter_async_context(_encrypted(port))
        try:
            results = await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{port}", cases=groups, concurrency=8)
        except kosoku.FailureError as error:  # it counts what is not implemented too
            results = error.results
    found = collections.defaultdict(list)
    for case in results:
        passed = case.passed or case.behavior.value == "UNIMPLEMENTED"
        found[case.behavior.value if passed else f"FAILED: {case.behavior.value}"].append(case.case_id)
    return dict(found)


def main() -> int:
    found = asyncio.run(verdicts(sys.argv[1:] or ["12.*", "13.*"], "--compression"))
    for verdict, cases in sorted(found.items()):
        print(f"{verdict}: {len(cases)} cases: {' '.join(cases)}")
    wrong = [case for case in found.get("UNIMPLEMENTED", []) if not case.startswith(DECLINED)]
    return int(bool(wrong) or any(verdict.startswith("FAILED") for verdict in found))


if __name__ == "__main__":
    sys.exit(main())
