"""Each operation is tried by every kind of caller: it has a row in a table, or is of a family with tests of its own."""

import re

import api.resources  # noqa: F401  (fills the route table)
from api.routing import ROUTES
from tests.integration.accounts.test_table import ROWS
from tests.integration.api.test_permissions import READS, WRITES
from tests.integration.people.table import MAY
from tests.integration.teams.more_rows import ELSEWHERE, MORE
from tests.integration.teams.rows import PERMISSIONS

Key = tuple[str, str]


def route_of(method: str, path: str) -> Key:
    """Return the route that a row's path leads to."""
    parts = re.sub(r"\{[^}]*\}", "x", path.partition("?")[0]).strip("/").split("/")
    found: list[tuple[int, Key]] = []
    for known, pattern in ROUTES:
        names = pattern.strip("/").split("/")
        if known == method and len(names) == len(parts):
            fixed = [name == part for name, part in zip(names, parts, strict=True) if not name.startswith("{")]
            if all(fixed):
                found.append((len(fixed), (known, pattern)))
    assert found, f"a row asks for {method} {path}, which is no route"
    return max(found)[1]


def test_every_operation_has_a_row_for_each_kind_of_caller() -> None:
    asked = {route_of("GET", str(path)) for path, *_ in READS}
    for rows in (PERMISSIONS, MORE, MAY, WRITES, ROWS):
        asked |= {route_of(row[0], row[1]) for row in rows}
    left = {
        (method, path)
        for (method, path), route in ROUTES.items()
        if route.session and (method, path) not in asked and not any(path.startswith(one) for one in ELSEWHERE)
    }
    assert not left
    for beginning in ELSEWHERE:  # none that nothing needs
        assert any(path.startswith(beginning) and key not in asked for key in ROUTES for path in key[1:]), beginning
