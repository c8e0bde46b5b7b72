"""Each operation is tried by every kind of caller: it has a row in a table, or is of a family with tests of its own."""

import ast
import re
from functools import cache
from pathlib import Path

import api.resources  # noqa: F401  (fills the route table)
from api.routing import ROUTES
from tests.contract_errors import LISTED
from tests.contract_errors import ROWS as BY_ROWS
from tests.integration.accounts.test_table import ERRORS as OF_ACCOUNTS
from tests.integration.accounts.test_table import ROWS
from tests.integration.api.test_permissions import READS, WRITES
from tests.integration.people.table import ADMIN_FAULTS, FAULTS, MAY
from tests.integration.teams.more_rows import ELSEWHERE, MORE, WRONG
from tests.integration.teams.program_rows import PROGRAMS
from tests.integration.teams.rows import ERRORS, PERMISSIONS

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
    for rows in (PERMISSIONS, MORE, PROGRAMS, MAY, WRITES, ROWS):
        asked |= {route_of(row[0], row[1]) for row in rows}
    left = {
        (method, path)
        for (method, path), route in ROUTES.items()
        if route.session and (method, path) not in asked and not any(path.startswith(one) for one in ELSEWHERE)
    }
    assert not left
    for beginning in ELSEWHERE:  # none that nothing needs
        assert any(path.startswith(beginning) and key not in asked for key in ROUTES for path in key[1:]), beginning


def provoked() -> set[tuple[Key, int, str]]:
    """Return (route, status, id) of all rows that provoke an error."""
    rows = [row[1:] for row in (*ERRORS, *WRONG, *OF_ACCOUNTS)] + [*FAULTS, *ADMIN_FAULTS]
    return {(route_of(row[0], row[1]), row[3], row[4]) for row in rows}


@cache
def source_of(test: str) -> str:
    """Return the file of a test, named as file::name. Raises: AssertionError if there is none of that name."""
    file, _, name = test.partition("::")
    text = (Path(__file__).parents[2] / file).read_text()
    names = {node.name for node in ast.parse(text).body if isinstance(node, ast.AsyncFunctionDef)}
    assert name in names, test
    return text


def test_every_listed_error_is_provoked_or_cannot_come() -> None:
    rows, seen = provoked(), set()
    for method, path, status, error, shown in LISTED:
        what = (method, path), status, error
        assert (method, path) in ROUTES, what
        assert what not in seen, what
        seen.add(what)
        if shown == BY_ROWS:
            assert what in rows, what
        elif not shown.startswith("no: "):
            text = source_of(shown)
            word = error.removesuffix(".app_error").rpartition(".")[2]  # families of ids are made of their last word
            assert error in text or f'"{word}"' in text, (what, shown)


def test_what_cannot_come_is_in_no_code() -> None:
    code = "".join(
        file.read_text() for folder in ("api", "tidewire") for file in Path(folder).rglob("*.py")
    )
    for _, _, _, error, shown in LISTED:
        assert not shown.startswith("no: ") or f'"{error}"' not in code, error
