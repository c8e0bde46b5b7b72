"""Jobs. Rules are in tidewire.actions.jobs. Source: Mattermost API v4, jobs."""

from api.call import Call
from api.routing import OK, Created, route
from tidewire.actions import jobs
from tidewire.wire.jobs import Job, NewJob


@route("GET", "/jobs")
async def list_jobs(call: Call) -> list[Job]:
    """Jobs, newest first."""
    page, per_page = call.paging()
    kind, status = call.query("job_type"), call.query("status")
    return await jobs.list_jobs(call.services, call.login, kind=kind, status=status, page=page, per_page=per_page)


@route("GET", "/jobs/type/{job_type}")
async def jobs_of_type(call: Call) -> list[Job]:
    """Jobs of a type, newest first."""
    page, per_page = call.paging()
    kind = call.param("job_type")
    return await jobs.list_jobs(call.services, call.login, kind=kind, page=page, per_page=per_page)


@route("GET", "/jobs/{job_id}")
async def get_job(call: Call) -> Job:
    """A job."""
    return await jobs.get_job(call.services, call.login, call.path_id("job_id"))


@route("POST", "/jobs", audit=True)
async def create_job(call: Call) -> Created:
    """Let an export or an import be done."""
    new: NewJob = await call.body(NewJob, "job")
    return Created(await jobs.do_create(call.services, call.login, new))


@route("POST", "/jobs/{job_id}/cancel", audit=True)
async def cancel_job(call: Call) -> bytes:
    """Stop a job."""
    await jobs.do_cancel(call.services, call.login, call.path_id("job_id"))
    return OK
