"""Conditional and partial requests: RFC 9110, sections 13 and 14. Pure functions."""

import re
from email.utils import parsedate_to_datetime

_RANGE = re.compile(r"bytes=(\d{0,18})-(\d{0,18})\Z", re.A)


class Unsatisfiable(Exception):
    """No byte of the range is there: 416."""


def parse(header: str, size: int) -> tuple[int, int] | None:
    """Return the one range of a Range header as (start, end), end excluded; None where the whole is to be sent.

    What is no valid range is ignored (14.2); several ranges are answered by the whole, as 15.3.7 allows.
    Raises: Unsatisfiable.
    """
    found = _RANGE.match(header.replace(" ", ""))
    if found is None or found.group() == "bytes=-":
        return None
    first, last = found.groups()
    if not first:
        length = min(int(last), size)
        if not length:
            raise Unsatisfiable
        return size - length, size
    start = int(first)
    end = min(int(last) + 1, size) if last else size
    if last and int(last) < start:
        return None
    if start >= size:
        raise Unsatisfiable
    return start, end


def is_known(etag: str, if_none_match: str) -> bool:
    """Tell whether a client has this version (13.1.2, weak comparison)."""
    tags = [tag.strip().removeprefix("W/") for tag in if_none_match.split(",")]
    return etag in tags or "*" in tags


def may_continue(etag: str, modified_s: int, if_range: str) -> bool:
    """Tell whether a range may be sent to one who has a part of this version (13.1.5, strong comparison)."""
    if not if_range or if_range == etag:
        return True
    if '"' in if_range:
        return False
    try:
        return int(parsedate_to_datetime(if_range).timestamp()) == modified_s
    except (ValueError, TypeError, OverflowError):
        return False
