"""`tidewire loadtest seed` as a command: where it finds the database, what it writes, how it fails."""

import os
import stat
import subprocess
import sys
from pathlib import Path


def run(*flags: str | Path, **variables: str) -> subprocess.CompletedProcess[str]:
    environ = {
        name: value for name, value in os.environ.items() if not name.startswith("TIDEWIRE_")
    } | variables
    words = [sys.executable, "-m", "tidewire", "loadtest", "seed", *map(str, flags)]
    return subprocess.run(words, env=environ, capture_output=True, text=True, check=False)


def test_external_database(database_url: str, tmp_path: Path) -> None:
    tokens = tmp_path / "tokens"
    flags = ("--users", "20", "--channels", "4", "--channel-members", "5", "--tokens", tokens)
    done = run(*flags, TIDEWIRE_DATABASE_URL=database_url)
    assert (done.returncode, done.stderr) == (0, "")
    lines = [line.split() for line in tokens.read_text().splitlines()]
    assert [len(line) for line in lines] == [5] * 20
    assert len({line[3] for line in lines}) == 4 and len({line[4] for line in lines}) == 1
    assert stat.S_IMODE(tokens.stat().st_mode) == 0o600


def test_database_of_a_running_serve(database_url: str, tmp_path: Path) -> None:
    (tmp_path / "database.url").write_text(database_url + "\n")
    done = run("--users", "3", "--tokens", tmp_path / "tokens", "--data-dir", tmp_path)
    assert done.returncode == 0, done.stderr


def test_errors_are_one_line(tmp_path: Path) -> None:
    for done in (
        run("--tokens", tmp_path / "tokens", "--data-dir", tmp_path),
        run("--tokens", tmp_path / "tokens", "--users", "5", "--channel-members", "6"),
        run("--tokens", tmp_path / "tokens", TIDEWIRE_DATABASE_URL="postgresql://nobody@localhost:1/none"),
    ):
        assert done.returncode == 1
        assert done.stderr.startswith("tidewire loadtest: ") and done.stderr.count("\n") == 1, done.stderr
