"""Every operation of the contract, so that those without a handler answer 501 instead of 404.

The table stands beside this file: `METHOD<TAB>path<TAB>tier` a line, below /api/v4. Tier 0: from the login page to a
live channel; 1: what users, bots and small administrators expect; 2: the rest. Where two paths differ in a variable's
name at the same place, one name was chosen: the router wants that.
"""

from importlib.resources import files

_LINES = [line.split("\t") for line in files("api").joinpath("contract_routes.tsv").read_text().splitlines()]
TIERS: dict[tuple[str, str], int] = {(method, path): int(tier) for method, path, tier in _LINES}
OPERATIONS: list[tuple[str, str]] = list(TIERS)
