"""Jobs: who may ask for which, see and stop them. They are done by tidewire.actions.job_runner.

Source: Mattermost API v4, jobs. Types that only its server has, or its licences, cannot be asked for.
"""

from tidewire.actions import permissions
from tidewire.actions.services import Services
from tidewire.store import jobs as store
from tidewire.wire.errors import AppError, body_param
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.jobs import Job, NewJob
from tidewire.wire.models import Session

EXPORT, IMPORT = "export_process", "import_process"
TYPES = frozenset({EXPORT, IMPORT})
STATUSES = frozenset({"pending", "in_progress", "success", "error", "cancel_requested", "canceled", "warning"})
OPEN_MAX = 100
_DATA_MAX = 1_000  # characters of all names and values


def check_read(session: Session) -> None:
    """Raise 400 unless the caller may see jobs: the id and the status are the contract's."""
    if not any(permissions.has_system(session, name) for name in ("read_jobs", "manage_jobs")):
        raise AppError("api.job.retrieve.nopermissions", 400, "You do not have permission to read jobs.")


async def list_jobs(
    services: Services, session: Session, *, kind: str = "", status: str = "", page: int, per_page: int
) -> list[Job]:
    """Return jobs, newest first. Raises: 400."""
    check_read(session)
    if status and status not in STATUSES:
        raise AppError("api.job.status.invalid", 400, "Invalid job status.")
    return await store.page(services.db, kind, status, per_page, page * per_page)


async def get_job(services: Services, session: Session, job_id: str) -> Job:
    """Return a job. Raises: 403, 404."""
    permissions.check_system(session, "read_jobs")
    return await _find(services, job_id)


async def do_create(services: Services, session: Session, new: NewJob) -> Job:
    """Let a job be done. Raises: 403, to every OAuth app; 400 for a type that there is not, or where too many wait."""
    if new.type not in TYPES:
        raise AppError("api.job.unable_to_create_job.incorrect_job_type", 400, "There is no such type of job.")
    permissions.check_not_oauth(session)  # an export holds what every user wrote, an import may change all of it
    permissions.check_system(session, "manage_jobs")
    data = new.data or {}
    if sum(len(name) + len(value) for name, value in data.items()) > _DATA_MAX:
        raise body_param("job")
    if await store.count_open(services.db) >= OPEN_MAX:
        raise AppError("app.job.save.app_error", 400, f"{OPEN_MAX} jobs wait already.")
    job = Job(new_id(), new.type, now_ms(), 0, 0, "pending", 0, data)
    await store.insert(services.db, job, session.user_id)
    services.jobs.wake()
    return job


async def do_cancel(services: Services, session: Session, job_id: str) -> None:
    """Stop a job, or keep it from being begun. Raises: 403, 404; 400 for one that is over."""
    permissions.check_system(session, "manage_jobs")
    await _find(services, job_id)
    if not await store.cancel(services.db, job_id):
        raise AppError("jobs.request_cancellation.status.error", 400, "The job is over.")


async def _find(services: Services, job_id: str) -> Job:
    job = await store.find(services.db, job_id)
    if job is None:
        raise AppError("app.job.get.app_error", 404, "There is no such job.")
    return job
