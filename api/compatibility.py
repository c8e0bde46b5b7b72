"""Writes docs/compatibility.md from the route table: `python -m api.compatibility [FILE]`. `make docs` does it too."""

import sys
from collections import defaultdict
from pathlib import Path

import api.resources  # noqa: F401  (fills the route table)
from api.not_implemented import TIERS
from api.routing import ROUTES

_HEAD = """# Compatibility

Written by `make docs` from the route table. Operations of Mattermost API v4 (the 11.6 line) that are built, and those
that answer 501 `api.context.not_implemented.app_error`. What a built operation takes and returns is in
`/api/v4/openapi.json` of a running server.
"""
_TITLES = {
    0: "Tier 0: from the login page to a live channel",
    1: "Tier 1: what users, bots and small administrators expect",
    2: "Tier 2: the rest",
}


def _lines(operations: list[tuple[str, str]]) -> list[str]:
    """Return one line for each first part of the paths, its operations in it."""
    grouped: dict[str, list[str]] = defaultdict(list)
    for method, path in sorted(operations, key=lambda one: (one[1], one[0])):
        grouped[path.split("/")[1]].append(f"{method} `{path}`")
    return [f"- **{name}** ({len(found)}): {', '.join(found)}" for name, found in sorted(grouped.items())]


def render() -> str:
    """Return the page."""
    parts = [_HEAD, "| tier | built | of |", "|---|---|---|"]
    for tier in _TITLES:
        known = [key for key, its in TIERS.items() if its == tier]
        parts.append(f"| {tier} | {sum(key in ROUTES for key in known)} | {len(known)} |")
    for tier, title in _TITLES.items():
        known = [key for key, its in TIERS.items() if its == tier]
        parts += ["", f"## {title}", "", "Built:", "", *_lines([key for key in known if key in ROUTES])]
        parts += ["", "501:", "", *(_lines([key for key in known if key not in ROUTES]) or ["- none"])]
    return "\n".join(parts) + "\n"


if __name__ == "__main__":
    Path(sys.argv[1] if len(sys.argv) > 1 else "docs/compatibility.md").write_text(render())
