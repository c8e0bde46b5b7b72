"""Every operation of the contract, so that those without a handler answer 501 instead of 404.

The table stands beside this file: one `METHOD<TAB>path` a line, below /api/v4. Where two paths differ in a
variable's name at the same place, one name was chosen: the router wants that.
"""

from importlib.resources import files

OPERATIONS: list[tuple[str, str]] = [
    (method, path)
    for method, _, path in (
        line.partition("\t") for line in files("api").joinpath("contract_routes.tsv").read_text().splitlines()
    )
]
