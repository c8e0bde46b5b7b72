"""What a run must keep: limits in a TOML file, one for each suite, and whether they were kept.

    error_share = 0.001            # failures by requests, of everything
    requests_per_s = 50            # at least
    [rows."POST /api/v4/posts"]    # a row of Locust's table: type and name
    p50_ms = 50
    p99_ms = 500
    error_share = 0
    count = 100                    # at least
    [figures]                      # figures of the suite: exactly so, or within bounds
    gaps = 0
    bytes_per_connection = { at_most = 300 }

A row or figure that a run does not have misses its target: nothing passes by not being measured.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from loadtest.swarm.herd import CannotRun

HTTP = frozenset({"DELETE", "GET", "HEAD", "OPTIONS", "PATCH", "POST", "PUT"})  # rows of other types are no requests
FOLDER = Path(__file__).parent / "limits"  # SUITE.toml


class Bounds(msgspec.Struct, forbid_unknown_fields=True):
    """What a figure may be."""

    at_least: float | None = None
    at_most: float | None = None


class RowLimits(msgspec.Struct, forbid_unknown_fields=True):
    """What a row may be. p50_ms, p99_ms, error_share: at most; count: requests, at least."""

    p50_ms: float | None = None
    p99_ms: float | None = None
    error_share: float | None = None
    count: int | None = None


class Targets(msgspec.Struct, forbid_unknown_fields=True):
    """The limits of a suite."""

    error_share: float | None = None
    requests_per_s: float | None = None
    rows: dict[str, RowLimits] = {}
    figures: dict[str, float | Bounds] = {}


@dataclass(frozen=True)
class Row:
    """One row of a run: requests, failures by requests, percentiles and the longest in ms."""

    count: int
    error_share: float
    p50_ms: float
    p99_ms: float
    p90_ms: float = 0.0
    p999_ms: float = 0.0
    max_ms: float = 0.0


@dataclass
class Measured:
    """What a run came to. rows: by "TYPE name"."""

    error_share: float = 0.0
    requests_per_s: float = 0.0
    rows: Mapping[str, Row] = field(default_factory=dict)
    figures: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Verdict:
    """One limit. found: None if there was nothing to measure."""

    what: str
    limit: str
    found: float | None
    met: bool


def load_targets(path: Path) -> Targets:
    """Read a file. Raises: CannotRun, with what is wrong where."""
    try:
        return msgspec.toml.decode(path.read_bytes(), type=Targets)
    except OSError as error:
        raise CannotRun(f"{path}: {error.strerror}") from error
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CannotRun(f"{path} is no file of targets: {error}") from error


def check(targets: Targets, measured: Measured) -> list[Verdict]:
    """Return every limit with what was found."""
    return list(_verdicts(targets, measured))


def _verdicts(targets: Targets, measured: Measured) -> Iterator[Verdict]:
    if targets.error_share is not None:
        yield _most("error share", targets.error_share, measured.error_share)
    if targets.requests_per_s is not None:
        yield _least("requests/s", targets.requests_per_s, measured.requests_per_s)
    for name, limits in targets.rows.items():
        row = measured.rows.get(name)
        for key in ("p50_ms", "p99_ms", "error_share"):
            limit = getattr(limits, key)
            if limit is not None:
                yield _most(f"{name} {key}", limit, getattr(row, key) if row and row.count else None)
        yield _least(f"{name} count", limits.count or 1, row.count if row else None)
    for name, wanted in targets.figures.items():
        found = measured.figures.get(name)
        bounds = wanted if isinstance(wanted, Bounds) else Bounds(wanted, wanted)
        if bounds.at_least is not None and bounds.at_least == bounds.at_most:
            yield Verdict(name, f"= {bounds.at_least:g}", found, found == bounds.at_least)
            continue
        if bounds.at_most is not None:
            yield _most(name, bounds.at_most, found)
        if bounds.at_least is not None:
            yield _least(name, bounds.at_least, found)


def _most(what: str, limit: float, found: float | None) -> Verdict:
    return Verdict(what, f"≤ {limit:g}", found, found is not None and found <= limit)


def _least(what: str, limit: float, found: float | None) -> Verdict:
    return Verdict(what, f"≥ {limit:g}", found, found is not None and found >= limit)


def table(verdicts: list[Verdict]) -> str:
    """Return a table for people: what fell short first."""
    lines = []
    width = max((len(one.what) for one in verdicts), default=0)
    for one in sorted(verdicts, key=lambda one: one.met):
        found = "nothing measured" if one.found is None else f"{one.found:,.4g}"
        lines.append(f"{'met   ' if one.met else 'MISSED'}  {one.what:<{width}}  {one.limit:>10}  {found:>10}")
    missed = sum(not one.met for one in verdicts)
    lines.append(f"{len(verdicts) - missed} of {len(verdicts)} targets met")
    return "\n".join(lines)
