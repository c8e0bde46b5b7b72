"""Rows of jobs."""

from tidewire.store import sql
from tidewire.store.db import Database, Transaction
from tidewire.wire.jobs import Job

_Q = sql.load("jobs")


async def insert(db: Database, job: Job, user_id: str) -> None:
    """Write a new job."""
    await db.execute(_Q["insert"], job.id, job.type, user_id, job.create_at, job.data)


async def find(db: Database, job_id: str) -> Job | None:
    """Return a job, or None."""
    found = sql.structs(Job, await db.fetch(_Q["find"], job_id))
    return found[0] if found else None


async def page(db: Database, kind: str, status: str, limit: int, offset: int) -> list[Job]:
    """Return jobs, newest first; kind, status: only those, "" for any."""
    return sql.structs(Job, await db.fetch(_Q["page"], kind, status, limit, offset))


async def count_open(db: Database) -> int:
    """Return how many are not done."""
    count: int = await db.fetchval(_Q["count_open"])
    return count


async def take(tx: Transaction, now: int) -> Job | None:
    """Take the oldest job that waits, unless one is being done; two workers ask one after the other."""
    await tx.execute(_Q["wait_to_take"])
    found = sql.structs(Job, await tx.fetch(_Q["take"], now))
    return found[0] if found else None


async def beat(db: Database, job_id: str, now: int) -> str | None:
    """Say that a job goes on; return its status, None if it is over."""
    status: str | None = await db.fetchval(_Q["beat"], job_id, now)
    return status


async def finish(db: Database, job_id: str, status: str, now: int, said: dict[str, str]) -> None:
    """End a job. said: what is added to its data."""
    await db.execute(_Q["finish"], job_id, status, now, said)


async def put_back(db: Database, job_id: str) -> None:
    """Let another worker begin it anew."""
    await db.execute(_Q["put_back"], job_id)


async def give_up(db: Database, before: int, said: dict[str, str]) -> None:
    """End those of which nothing was heard since."""
    await db.execute(_Q["give_up"], before, said)


async def cancel(db: Database, job_id: str) -> bool:
    """Ask for the end of a job; False if it is over."""
    return await db.fetchval(_Q["cancel"], job_id) is not None
