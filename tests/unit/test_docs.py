"""What the documents name is there: files, make targets, commands with their flags, settings, metrics."""

import re
from collections.abc import Iterator
from dataclasses import fields
from functools import cache
from pathlib import Path

import pytest
from cyclopts import App

from tidewire.cli import app
from tidewire.settings import Settings

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", ROOT / "ARCHITECTURE.md", *sorted((ROOT / "docs").glob("*.md"))]
DEPLOY = sorted(path for path in (ROOT / "deploy").rglob("*") if path.is_file())
FOLDERS = ("api", "gateway", "hotpath", "push", "tidewire", "loadtest", "bench", "tests", "deploy", "docs", ".ci")
SECTIONS = {one.name: {field.name for field in fields(getattr(Settings(), one.name))} for one in fields(Settings)}
CODE = re.compile(r"```.*?```|`[^`\n]+`", re.DOTALL)
NO_SETTINGS = {"metrics.url", "serve.lock", "typing.channel_id", "typing.parent_id"}
# Of Prometheus' text, not of the name: a counter is declared without _total.
METRIC = re.compile(r"\b(?:tidewire|mattermost|service)_(?:[a-z]+_)+(?:total|seconds|waiting|up|undecided|bucket)\b")
SUFFIXES = ("_total", "_bucket", "_sum", "_count")


def code_of(page: Path) -> Iterator[str]:
    """Return what is set as code, each piece without its fence."""
    for piece in CODE.findall(page.read_text()):
        yield piece.strip("`")


def each(pages: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("page", pages, ids=lambda page: str(page.relative_to(ROOT)))


@each(PAGES)
def test_links_lead_somewhere(page: Path) -> None:
    text = CODE.sub("", page.read_text())
    for target in re.findall(r"\]\(([^)\s]+)\)", text):
        if not target.startswith(("http:", "https:", "mailto:", "#")):
            assert (page.parent / target.partition("#")[0]).exists(), target


def test_every_page_is_named_where_one_reads_on() -> None:
    named = re.findall(r"`([a-z-]+)`", (ROOT / "ARCHITECTURE.md").read_text().partition("**Where to read on.**")[2])
    assert set(named) == {page.stem for page in PAGES if page.parent.name == "docs"}


@each(PAGES)
def test_paths_exist(page: Path) -> None:
    for piece in code_of(page):
        for path in re.findall(rf"(?<![\w./-])((?:{'|'.join(FOLDERS)})/[\w./-]*\w)", piece):
            if re.search(r"[A-Z]{4}", path):
                continue  # a place for a name
            found = (ROOT / path).exists() or (ROOT / f"{path}.py").exists() or (ROOT / "tidewire" / path).exists()
            assert found, path


@cache
def targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))


@each(PAGES)
def test_make_targets_exist(page: Path) -> None:
    for piece in code_of(page):
        for words in re.findall(r"^(?:\S+=\S+ )*make ((?:[a-z]+(?:\|| |$))+)", piece, re.MULTILINE):
            assert set(re.split(r"[| ]+", words.strip())) <= targets(), piece


def command_at(words: list[str]) -> tuple[App, list[str]]:
    """Return the command that these words name, and the words behind it."""
    found: App = app
    for number, word in enumerate(words):
        if not re.fullmatch(r"[a-z]+", word) or word not in list(found):
            return found, words[number:]
        found = found[word]
    return found, []


@each([*PAGES, *DEPLOY])
def test_commands_and_flags_exist(page: Path) -> None:
    pieces = list(code_of(page)) if page.suffix == ".md" else [page.read_text()]
    text = "\n".join(pieces).replace("\\\n", " ")
    for line in re.findall(r"(?:^|[/ ])tidewire((?: [^\s#`&|;]+)+)", text, re.MULTILINE):
        command, rest = command_at(line.split())
        if command.default_command is None:
            assert not rest or not re.fullmatch(r"[a-z]+", rest[0]) or page.suffix != ".md", f"tidewire{line}"
            continue
        if re.search(r"loadtest (run|capacity)", line):
            continue  # they take flags of the suite and of Locust as well
        known = {name for argument in command.assemble_argument_collection() for name in argument.names}
        for flag in (word.partition("=")[0] for word in rest if word.startswith("--")):
            assert flag.rstrip(".,)]") in known | {"--help"}, f"tidewire{line}"


@each([*PAGES, *DEPLOY])
def test_settings_exist(page: Path) -> None:
    text = page.read_text() if page.suffix != ".md" else "\n".join(code_of(page))
    for section, field in re.findall(r"(?<![\w./$-])([a-z_]+)\.([a-z_0-9]+)(?![\w./(:-])", text):
        if section in SECTIONS and f"{section}.{field}" not in NO_SETTINGS and field not in ("md", "py", "lua"):
            names = SECTIONS[section]
            assert any(name == field or (field[-1] == "_" and name.startswith(field)) for name in names), field
    for name in re.findall(r"TIDEWIRE_([A-Z0-9_]*[A-Z0-9])\b", text):
        section, _, field = name.lower().partition("_")
        if name not in ("CONFIG", "SECTION_FIELD"):
            assert field in SECTIONS.get(section, ()), f"TIDEWIRE_{name}"


@cache
def sources() -> str:
    folders = ("api", "gateway", "push", "tidewire", "hotpath")
    found = (path for name in folders for path in (ROOT / name).rglob("*.py*"))
    return "\n".join(path.read_text() for path in found if path.suffix in (".py", ".pyx"))


@each([*PAGES, *DEPLOY])
def test_metrics_exist(page: Path) -> None:
    for name in METRIC.findall(page.read_text()):
        short = name
        for suffix in SUFFIXES:
            short = short.removesuffix(suffix)
        families = ("tidewire_gateway_", "tidewire_gate_")  # declared without what all of them begin with
        tails = [short, name, *(short.removeprefix(family) for family in families if short.startswith(family))]
        assert any(f"{before}{tail}" in sources() for tail in tails for before in ('"', "'", " ")), name
