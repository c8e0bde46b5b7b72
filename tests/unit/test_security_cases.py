"""The table of attack cases names tests that exist, for every case."""

import ast
from functools import cache
from pathlib import Path

from tests.security_cases import CASES

ROOT = Path(__file__).parents[2]


@cache
def named_in(file: str) -> set[str]:
    """Return the names of the tests in a file."""
    tree = ast.parse((ROOT / file).read_text())
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    return {node.name for node in tree.body if isinstance(node, kinds) and node.name.startswith("test_")}


def test_every_case_is_shown_by_tests() -> None:
    last = {"A": 10, "B": 14, "C": 7, "D": 6, "E": 6, "F": 5, "G": 7}
    expected = {f"{letter}{number}" for letter, count in last.items() for number in range(1, count + 1)}
    assert CASES.keys() == expected
    for case, (what, names) in CASES.items():
        assert what
        assert names, case
        for name in names:
            file, _, test = name.partition("::")
            assert test in named_in(file), (case, name)
