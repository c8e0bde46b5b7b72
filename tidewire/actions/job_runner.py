"""Does jobs, one at a time: each in a process of its own, which a worker starts, watches and may stop.

An export of a large workspace takes minutes of CPU, which requests must not wait for. The process is the command that
people use; its files are put into the file store and taken from it here.
"""

import asyncio
import fcntl
import shutil
import sys
import tempfile
import time
from contextlib import suppress
from pathlib import Path
from typing import IO

import structlog

from tidewire.actions import transfers
from tidewire.actions.jobs import EXPORT
from tidewire.actions.services import Services
from tidewire.loops import again
from tidewire.settings import child_environment
from tidewire.store import jobs as store
from tidewire.store.objects import Missing
from tidewire.wire.errors import AppError, Unavailable
from tidewire.wire.ids import now_ms
from tidewire.wire.jobs import Job

EVERY_S = 15.0  # how long a job may wait that another worker was told of, and that one died
BEAT_S = 2.0
LOST_MS = 60_000  # how long nothing is heard of a job that is given up
STOP_S = 5.0  # how long a process may take to clear up
LEAVE_S = 0.05  # the same where this one stops; below its share of the worker's end (start.py)
LEFTOVERS_S = 86_400
OPTIONS = "attachments", "archived_channels", "profile_pictures"  # what is left out of an export unless asked for
TAIL_BYTES = 4_000  # of what a process said, in the job's data
_log = structlog.get_logger("jobs")


class _Stopped(Exception):
    """Somebody wants the job to end."""


class Jobs:
    """One in each API worker. `wake` lets it look at once."""

    def __init__(self) -> None:
        self._woken = asyncio.Event()
        self._cleared = False
        self._task: asyncio.Task[None] | None = None

    def start(self, services: Services) -> None:
        """Begin, on the running loop."""
        self._task = asyncio.get_running_loop().create_task(
            again("jobs", lambda: self._do_all(services), EVERY_S, wake=self._woken)
        )

    def wake(self) -> None:
        """There is a new job."""
        self._woken.set()

    async def close(self) -> None:
        """Stop; a job that is under way is begun anew by another worker."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _do_all(self, services: Services) -> None:
        if not self._cleared:
            await asyncio.to_thread(_clear, _folder(services))
            self._cleared = True
        await store.give_up(services.db, now_ms() - LOST_MS, {"error": "The worker that did it died."})
        while job := await _take(services):
            await _do(services, job)


async def _take(services: Services) -> Job | None:
    async with services.db.transaction() as tx:
        return await store.take(tx, now_ms())


def _folder(services: Services) -> Path:
    """Return where files of jobs are while they are made: on the disk of the file store, so that they can be moved."""
    return services.files.directory / "jobs"


def _clear(folder: Path) -> None:
    """Delete what died workers left."""
    with suppress(OSError):  # the folder is not there, or another worker was faster
        for path in folder.iterdir():
            if path.stat().st_mtime < time.time() - LEFTOVERS_S:
                shutil.rmtree(path, ignore_errors=True)


async def _do(services: Services, job: Job) -> None:
    """Do a job and write down how it ended. Raises: Unavailable (the database)."""
    status, said = "error", {}
    try:
        said = await _watched(services, job)
        status = "error" if "error" in said else "success"
    except _Stopped:
        status = "canceled"
    except Unavailable as error:
        if error.service == "database":
            raise  # nothing can be written down
        said = {"error": f"There was no answer from: {error.service}."}
    except AppError as error:
        said = {"error": error.message}
    except OSError as error:
        said = {"error": error.strerror or str(error)}
    except Exception:  # the worker's loop goes on whatever a job runs into
        _log.exception("a job failed", job_id=job.id)
        said = {"error": "It failed; the server's log says why."}
    await store.finish(services.db, job.id, status, now_ms(), said)
    _log.info("job", job_id=job.id, kind=job.type, status=status)


async def _watched(services: Services, job: Job) -> dict[str, str]:
    """Do a job, say meanwhile that it goes on, and end it when somebody wants that. Raises: _Stopped."""
    work = asyncio.create_task(_work(services, job))
    try:
        while not work.done():
            await asyncio.wait([work], timeout=BEAT_S)
            if not work.done() and await store.beat(services.db, job.id, now_ms()) != "in_progress":
                work.cancel()
                await asyncio.wait([work])
                raise _Stopped
    except asyncio.CancelledError:  # this process stops, and has little time
        work.cancel()
        await asyncio.wait([work], timeout=LEAVE_S)
        work.cancel()  # who still clears up is killed: as long as an import lives, nobody can begin it anew
        await asyncio.wait([work])
        with suppress(Unavailable):
            await store.put_back(services.db, job.id)
        raise
    finally:
        work.cancel()
    return work.result()


async def _work(services: Services, job: Job) -> dict[str, str]:
    folder = _folder(services)
    folder.mkdir(parents=True, exist_ok=True, mode=0o700)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        return await (_export if job.type == EXPORT else _import)(services, job, Path(scratch))


async def _export(services: Services, job: Job, scratch: Path) -> dict[str, str]:
    """Export without hashes of passwords: what can be fetched from afar need not hold them."""
    path, name = scratch / f"{job.id}_export.zip", f"{job.id}_export.zip"
    left_out = [f"--no-{what.replace('_', '-')}" for what in OPTIONS if job.data.get(f"include_{what}") != "true"]
    words = ["export", str(path), "--no-passwords", *left_out]
    said = await _command(services, scratch, words)
    if "error" not in said:
        await _keep(services, path, transfers.key("export", name))
        said["export_file"] = name
    return said


async def _import(services: Services, job: Job, scratch: Path) -> dict[str, str]:
    """Import a file that was uploaded for it."""
    name = job.data.get("import_file", "")
    key = transfers.key("import", name)
    path = scratch / name
    try:
        opened = await services.files.objects.get(key)
    except Missing:
        return {"error": "There is no such file among the imports."}
    with path.open("wb") as file:
        async for piece in opened.pieces:
            await asyncio.to_thread(file.write, piece)
    return await _command(services, scratch, ["import", str(path)])


async def _command(services: Services, scratch: Path, words: list[str]) -> dict[str, str]:
    """Run a command of ours; return the end of what it said. Raises: OSError."""
    settings = services.settings
    env = child_environment(
        {
            "database": {"url": settings.database.url},
            "redis": {"url": settings.redis.url},
            "files": {"directory": str(services.files.directory)},
        }
    )
    with (scratch / "said").open("w+b") as output, (scratch / "errors").open("w+b") as errors:
        argv, nothing = [sys.executable, "-m", "tidewire", *words], asyncio.subprocess.DEVNULL
        process = await asyncio.create_subprocess_exec(*argv, env=env, stdin=nothing, stdout=output, stderr=errors)
        try:
            await process.wait()
        except asyncio.CancelledError:
            process.terminate()  # it clears up
            try:
                await _ended(process, STOP_S)
            finally:
                if process.returncode is None:
                    process.kill()
                    await process.wait()
            raise
        if process.returncode:
            return {"error": _tail(errors, scratch) or f"ended with status {process.returncode}"}
        return {"result": _tail(output, scratch)}


async def _ended(process: asyncio.subprocess.Process, within_s: float) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(within_s):
            await process.wait()


def _tail(file: IO[bytes], scratch: Path) -> str:
    """Return the end of what was said, without the folder: where that is here is nobody's business."""
    file.seek(0, 2)
    file.seek(max(0, file.tell() - TAIL_BYTES))
    return file.read().decode(errors="replace").replace("\0", " ").strip().replace(f"{scratch}/", "")


async def _keep(services: Services, path: Path, key: str) -> None:
    """Move a file into the store."""
    objects = services.files.objects
    place = objects.incoming / path.name
    with path.open("r+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # what nobody holds is swept out of there
        path.rename(place)
        try:
            await objects.put_file(key, place)
        finally:
            place.unlink(missing_ok=True)
