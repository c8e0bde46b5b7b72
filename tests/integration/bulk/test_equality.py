"""An export of an imported workspace equals the original; the export of that export's import equals it to the byte.

Nothing is normalised but the version's line, which says who wrote the file and when: workspace.py writes what an export
would. It is compared as JSON, since the database keeps members of `props` in an order of its own.
"""

import json
from itertools import zip_longest
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.fixtures.api import new_settings
from tests.fixtures.postgres import Postgres, cloned
from tests.integration.bulk.conftest import Site
from tests.integration.bulk.town import run
from tests.integration.bulk.workspace import Workspace
from tidewire.bulk.export import export
from tidewire.bulk.export_job import Options, Report
from tidewire.store.db import Database
from tidewire.store.objects import Objects, Place

Lines = list[bytes]


async def through(postgres: Postgres, source: Path, target: Path) -> Report:
    """Import a file into an empty installation and export that."""
    async with cloned(postgres) as url:
        files = target.with_suffix(".files")
        found = await run(new_settings(url, "redis://unused", files={"directory": str(files)}), source)
        assert not found.reasons, found.reasons
        return await export(Database(url), lambda: Objects(Place(str(files))), target, Options())


def lines(path: Path) -> Lines:
    """Return the lines but for the first one."""
    with ZipFile(path) as archive:
        first, *rest = archive.read("import.jsonl").splitlines()
    assert json.loads(first)["type"] == "version"
    return rest


def attachments(path: Path) -> dict[str, bytes]:
    """Return path → bytes of the files of posts."""
    with ZipFile(path) as archive:
        return {name: archive.read(name) for name in archive.namelist() if name.startswith("data/attachments/")}


def names(path: Path) -> list[str]:
    """Return what is in a zip."""
    with ZipFile(path) as archive:
        return sorted(archive.namelist())


def differing(wanted: Any, found: Any, where: str = "") -> list[str]:
    """Return where two JSON values differ, and how."""
    if type(wanted) is type(found) is dict:
        pairs = [(f"{where}.{key}", wanted.get(key), found.get(key)) for key in {**wanted, **found}]
    elif type(wanted) is type(found) is list:
        pairs = [(f"{where}[{n}]", *pair) for n, pair in enumerate(zip_longest(wanted, found))]
    else:
        return [] if wanted == found else [f"{where}: {wanted!r}, {found!r}"]
    return [text for place, one, other in pairs for text in differing(one, other, place)]


def decoded(some: Lines) -> list[Any]:
    """Return lines as JSON."""
    return [json.loads(line) for line in some]


@pytest.mark.parametrize("seed", [1, 2, 3])
async def test_an_export_of_an_import_equals_the_original(postgres: Postgres, tmp_path: Path, seed: int) -> None:
    workspace = Workspace(seed)
    original, first, second = (tmp_path / f"{name}.zip" for name in ("original", "first", "second"))
    workspace.write(original)
    report = await through(postgres, original, first)
    assert not differing(decoded(lines(original)), decoded(lines(first)))
    assert not report.left_out
    assert attachments(first) == attachments(original) and names(first) == names(original)
    await through(postgres, first, second)
    assert lines(second) == lines(first)
    assert attachments(second) == attachments(first) and names(second) == names(first)


async def test_what_people_made_comes_back(site: Site, postgres: Postgres, tmp_path: Path) -> None:
    first, second = tmp_path / "first.zip", tmp_path / "second.zip"
    await site.export(first)
    async with cloned(postgres) as url:
        files = tmp_path / "files"
        found = await run(new_settings(url, "redis://unused", files={"directory": str(files)}), first)
        assert {one.type for one in found.reasons} == {"role"}
        await export(Database(url), lambda: Objects(Place(str(files))), second, Options())
    wanted = [line for line in lines(first) if json.loads(line)["type"] != "role"]
    assert not differing(decoded(wanted), decoded(lines(second)))
    assert lines(second) == wanted
    assert attachments(second) == attachments(first) and names(second) == names(first)
