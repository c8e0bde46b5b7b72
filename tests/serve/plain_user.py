"""Run `serve` as a plain user although the tests run as root: what that user may read is found, or staged."""

import os
import pwd
import shutil
import subprocess
import sys
import sysconfig
import tempfile
from pathlib import Path

from tests.fixtures.serve import ROOT, Runner

PACKAGES = ("api", "gateway", "hotpath", "tidewire")


def works(runner: Runner) -> bool:
    """Tell whether a runner's Python can load the server."""
    check = [*runner.python, "-c", "import tidewire.cli, api.main, gateway.main"]
    env = {**os.environ, **runner.env}
    try:
        done = subprocess.run(check, cwd=runner.cwd, env=env, user=runner.user or None, capture_output=True)
    except OSError:
        return False
    return done.returncode == 0


def plain_runner(stage: Path) -> Runner:
    """Return a runner of an account without rights. stage: an empty folder that everybody may enter."""
    if os.geteuid() != 0:
        return Runner()
    user = "nobody"
    packages, scripts = sysconfig.get_path("purelib"), sysconfig.get_path("scripts")
    own = f"/usr/bin/python3.{sys.version_info.minor}"

    def runner(python: str, root: Path, libraries: str, programs: str, home: str = "") -> Runner:
        env = {
            "PYTHONPATH": f"{root}:{libraries}",
            "PATH": f"{programs}:{os.environ['PATH']}",
            "HOME": str(stage),
        }
        # Root's folders may be named in these.
        env |= {"XDG_DATA_HOME": str(stage), "TMPDIR": "/tmp"}
        if home:  # its own library too: the one it was built to look for is behind a closed folder
            env |= {"PYTHONHOME": home, "LD_LIBRARY_PATH": f"{home}/lib"}
        return Runner([python], env, root, user)

    for python in (sys.executable, own):
        if works(found := runner(python, ROOT, packages, scripts)) and _may_run(scripts, user):
            return found
    for name in PACKAGES:
        shutil.copytree(ROOT / name, stage / name)
    _link_tree(Path(packages), stage / "packages")
    (stage / "bin").mkdir()
    if (Path(scripts) / "caddy").exists():
        shutil.copy(Path(scripts) / "caddy", stage / "bin" / "caddy")
    libraries, programs = str(stage / "packages"), str(stage / "bin")
    if not works(found := runner(own, stage, libraries, programs)):
        _link_tree(Path(sys.base_prefix), stage / "python")
        python = stage / "python" / "bin" / f"python3.{sys.version_info.minor}"
        found = runner(str(python), stage, libraries, programs, str(stage / "python"))
    assert works(found), f"no Python that {user} can run"
    return found


def open_folder() -> Path:
    """Return a new folder that everybody may enter and, if we are root, the plain user owns."""
    path = Path(tempfile.mkdtemp(prefix="tw-plain-", dir="/tmp"))
    path.chmod(0o755)
    if os.geteuid() == 0:
        entry = pwd.getpwnam("nobody")
        os.chown(path, entry.pw_uid, entry.pw_gid)
    return path


def _may_run(scripts: str, user: str) -> bool:
    done = subprocess.run(["/bin/sh", "-c", 'cd "$0"', scripts], user=user, cwd="/", capture_output=True)
    return done.returncode == 0


def _link_tree(source: Path, target: Path) -> None:
    """Copy a tree by hard links: the folder above it is closed, the files are not."""

    def link(one: str, other: str) -> str:
        try:
            os.link(one, other, follow_symlinks=False)
        except OSError:  # another file system
            shutil.copy2(one, other, follow_symlinks=False)
        return other

    shutil.copytree(source, target, symlinks=True, copy_function=link, ignore_dangling_symlinks=True)
