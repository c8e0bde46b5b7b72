"""Autobahn's cases (PyPI kosoku) against the real door, gate and room.

    python -m tests.protocol.autobahn [GROUP …]      default: all of 12 and 13, compression; some minutes

Prints what each kind of verdict was given to; ends with 1 if a case failed.
"""

import asyncio
import collections
import sys

import kosoku
import kosoku._caseindex

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


async def verdicts(groups: list[str], *flags: str) -> dict[str, list[str]]:
    """Run the groups against an echo gateway with these flags; return the cases of each verdict."""
    _mend_compression_cases()
    async with echo_gateway(*flags) as server:
        try:
            results = await kosoku.run_fuzzingclient(f"ws://127.0.0.1:{server.port}", cases=groups, concurrency=8)
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
