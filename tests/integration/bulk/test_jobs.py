"""Exports and imports through the API: jobs, and the files that they make and take."""

import asyncio
import json
from io import BytesIO
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zipfile import ZipFile

import psutil
import pytest
from structlog.testing import capture_logs

from tests.fixtures.api import Client
from tests.integration.bulk.conftest import Site
from tests.integration.bulk.town import channel, team, write
from tidewire.actions import job_runner
from tidewire.store import jobs
from tidewire.wire.ids import new_id, now_ms
from tidewire.wire.jobs import Job

pytestmark = pytest.mark.asyncio(loop_scope="package")
NO = "api.context.permissions.app_error"


async def ended(who: Client, job: dict[str, Any]) -> dict[str, Any]:
    """Wait for the end of a job and return it."""
    async with asyncio.timeout(60):
        while job["status"] in ("pending", "in_progress", "cancel_requested"):
            await asyncio.sleep(0.1)
            job = await who.get(f"/jobs/{job['id']}")
    return job


async def test_an_export_is_made_fetched_and_deleted(site: Site) -> None:
    admin = site.people.admin
    data = {"include_attachments": "true"}
    job = await admin.post("/jobs", {"type": "export_process", "data": data}, expect=201)
    assert (job["status"], job["progress"], job["data"], job["priority"]) == ("pending", 0, data, 0)
    job = await ended(admin, job)
    name = f"{job['id']}_export.zip"
    assert (job["status"], job["progress"], job["data"]["export_file"]) == ("success", 100, name), job
    assert job["start_at"] >= job["create_at"] > 0
    assert "exported " in job["data"]["result"] and str(site.files) not in str(job)
    assert await admin.get("/exports") == [name]
    answer = await admin.request("GET", f"/exports/{name}")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert answer.headers["Cache-Control"] == "no-store"
    with ZipFile(BytesIO(answer.content)) as archive:
        lines = [json.loads(line) for line in archive.read("import.jsonl").splitlines()]
        assert any(path.startswith("data/attachments/") for path in archive.namelist())
    assert {line["type"] for line in lines} > {"team", "user", "post"}
    assert not any("password_hash" in line["user"] for line in lines if line["type"] == "user")
    part = await admin.request("GET", f"/exports/{name}", headers={"Range": "bytes=2-3"})
    assert (part.status_code, part.content) == (206, answer.content[2:4])
    assert job["id"] in [one["id"] for one in await admin.get("/jobs/type/export_process")]
    assert await admin.get("/jobs/type/ldap_sync") == []
    assert [one["id"] for one in await admin.get("/jobs?status=success&job_type=export_process")] == [job["id"]]
    await admin.post(f"/jobs/{job['id']}/cancel", expect=400)
    assert await admin.delete(f"/exports/{name}") == {"status": "OK"}
    assert await admin.get("/exports") == []
    assert (await admin.get(f"/exports/{name}", expect=404))["id"] == "api.export.export_not_found.app_error"
    await admin.delete(f"/exports/{name}")
    audits = {(one["action"], one["extra_info"]) for one in await admin.get(f"/users/{admin.id}/audits")}
    assert {("/api/v4/jobs", "success"), (f"/api/v4/exports/{name}", "success")} <= audits


async def test_jobs_are_listed_in_pages(site: Site) -> None:
    admin, body = site.people.admin, {"type": "import_process", "data": {"import_file": "none.zip"}}
    made = [await admin.post("/jobs", body, expect=201) for _ in range(7)]
    newest = [job["id"] for job in reversed(made)]
    listed = await admin.get("/jobs?job_type=import_process")
    assert [one["id"] for one in listed][:7] == newest  # 60 unless asked otherwise
    pages = [await admin.get(f"/jobs?job_type=import_process&per_page=3&page={page}") for page in (0, 1)]
    assert [[one["id"] for one in page] for page in pages] == [newest[:3], newest[3:6]]
    assert [(await ended(admin, job))["status"] for job in made] == ["error"] * 7


async def test_an_import_is_done(site: Site, tmp_path: Path) -> None:
    admin = site.people.admin
    content = write(tmp_path / "new.zip", team("terns"), channel("terns", "nest", purpose="eggs")).read_bytes()
    upload = await admin.post("/uploads", {"filename": "new.zip", "file_size": len(content), "type": "import"})
    assert (await admin.request("POST", f"/uploads/{upload['id']}", content=content)).status_code == 200
    name = f"{upload['id']}_new.zip"
    job = await ended(admin, await admin.post("/jobs", {"type": "import_process", "data": {"import_file": name}}))
    assert job["status"] == "success", job
    made = await admin.get("/teams/name/terns/channels/name/nest")
    assert made["purpose"] == "eggs"
    await admin.delete(f"/imports/{name}")


async def test_a_job_of_a_dead_worker_ends(site: Site) -> None:
    admin, lost = site.people.admin, new_id()
    query = "INSERT INTO jobs (id, type, user_id, create_at, last_activity_at, status) VALUES ($1, $2, $3, 1, 1, $4)"
    await site.db.execute(query, lost, "export_process", admin.id, "in_progress")
    job = await ended(admin, await admin.post("/jobs", {"type": "import_process", "data": {"import_file": "a/../b"}}))
    assert job["status"] == "error" and job["data"]["error"]
    found = await admin.get(f"/jobs/{lost}")
    assert (found["status"], found["data"]) == ("error", {"error": "The worker that did it died."})


async def test_a_job_whose_end_cannot_be_written_down_holds_up_nothing(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    """PostgreSQL takes no NUL in what a job said."""
    admin, body = site.people.admin, {"type": "export_process"}

    async def stumble(*given: Any) -> dict[str, str]:
        return {"error": "a\0b"}

    with monkeypatch.context() as patch, capture_logs() as lines:
        patch.setattr(job_runner, "_command", stumble)
        poison = await admin.post("/jobs", body, expect=201)
        async with asyncio.timeout(30):
            while not [line for line in lines if line["event"] == "work failed"]:
                await asyncio.sleep(0.05)
    monkeypatch.setattr(job_runner, "LOST_MS", -1000)
    later = await ended(admin, await admin.post("/jobs", body, expect=201))
    assert later["status"] == "success"
    await admin.delete(f"/exports/{later['data']['export_file']}")
    assert (await admin.get(f"/jobs/{poison['id']}"))["status"] == "error"


async def test_an_upload_for_an_import_is_listed_and_deleted(site: Site) -> None:
    admin, content = site.people.admin, b"PK" * 1000
    body = {"filename": "../old\r\nserver.zip", "file_size": len(content), "type": "import"}
    upload = await admin.post("/uploads", body, expect=201)
    assert (upload["type"], upload["channel_id"]) == ("import", "")
    assert await admin.get("/imports") == []
    assert (await admin.request("POST", f"/uploads/{upload['id']}", content=content[:1000])).status_code == 204
    assert await admin.get("/imports") == []
    answer = await admin.request("POST", f"/uploads/{upload['id']}", content=content[1000:])
    assert answer.status_code == 200, answer.text
    assert (answer.json()["name"], answer.json()["size"]) == ("oldserver.zip", len(content))
    name = f"{upload['id']}_oldserver.zip"
    assert await admin.get("/imports") == [name]
    assert b"".join([piece async for piece in (await site.objects.get(f"import/{name}")).pieces]) == content
    await admin.get(f"/uploads/{upload['id']}", expect=404)
    job = await ended(admin, await admin.post("/jobs", {"type": "import_process", "data": {"import_file": name}}))
    assert job["status"] == "error" and job["data"]["error"]  # it is no zip
    assert str(site.files) not in str(job)
    await admin.delete(f"/imports/{name}")
    assert await admin.get("/imports") == []
    job = await ended(admin, await admin.post("/jobs", {"type": "import_process", "data": {"import_file": name}}))
    assert (job["status"], job["data"]["error"]) == ("error", "There is no such file among the imports.")


@pytest.mark.parametrize("name", ["..%2Fsecret", "%2e%2e", ".hidden", "a%00b", "a%0Ab", "a%5Cb"])
async def test_a_name_is_no_path(site: Site, name: str) -> None:
    expected = 400, "api.context.invalid_url_param.app_error"
    if "%2F" in name:  # no route is as long
        expected = 404, "api.context.404.app_error"
    for method, folder in (("GET", "exports"), ("DELETE", "exports"), ("DELETE", "imports")):
        answer = await site.people.admin.request(method, f"/{folder}/{name}")
        assert (answer.status_code, answer.json()["id"]) == expected, (method, folder, answer.text)


async def test_only_administrators_may(site: Site) -> None:
    member = site.people.member
    calls = [("GET", "/exports"), ("GET", "/imports"), ("GET", "/exports/a.zip"), ("DELETE", "/exports/a.zip")]
    for method, path in [*calls, ("DELETE", "/imports/a.zip"), ("GET", f"/jobs/{new_id()}")]:
        assert (await member.call(method, path, expect=403))["id"] == NO
    assert (await member.post("/jobs", {"type": "export_process"}, expect=403))["id"] == NO
    assert (await member.post(f"/jobs/{new_id()}/cancel", expect=403))["id"] == NO
    assert (await member.get("/jobs", expect=400))["id"] == "api.job.retrieve.nopermissions"
    body = {"filename": "a.zip", "file_size": 1, "type": "import"}
    assert (await member.post("/uploads", body, expect=403))["id"] == NO
    admin = site.people.admin
    wrong = "api.job.unable_to_create_job.incorrect_job_type"
    assert (await admin.post("/jobs", {"type": "ldap_sync"}, expect=400))["id"] == wrong
    assert (await admin.get(f"/jobs/{new_id()}", expect=404))["id"] == "app.job.get.app_error"
    assert (await admin.get("/jobs?status=wrong", expect=400))["id"] == "api.job.status.invalid"


async def test_a_job_can_be_stopped(site: Site) -> None:
    admin, job_id = site.people.admin, ""
    async with site.db.connection() as lock, lock.transaction():
        await lock.execute("LOCK TABLE threads IN ACCESS EXCLUSIVE MODE")
        job = await admin.post("/jobs", {"type": "export_process"})
        later = await admin.post("/jobs", {"type": "export_process"})
        job_id = job["id"]
        async with asyncio.timeout(30):
            while (await admin.get(f"/jobs/{job_id}"))["status"] != "in_progress":
                await asyncio.sleep(0.05)
        await admin.post(f"/jobs/{later['id']}/cancel")
        assert (await admin.get(f"/jobs/{later['id']}"))["status"] == "canceled"
        await admin.post(f"/jobs/{job_id}/cancel")
        assert (await ended(admin, job))["status"] == "canceled"
    assert await admin.get("/exports") == []
    assert not list((site.files / "jobs").iterdir())


async def test_two_workers_take_one_job(site: Site) -> None:
    ids = [new_id(), new_id()]
    insert = "INSERT INTO jobs (id, type, user_id, create_at) VALUES ($1, 'import_process', '', $2)"

    async def take() -> Job | None:
        async with site.db.transaction() as tx:
            return await jobs.take(tx, now_ms())

    async with site.db.transaction() as tx:
        assert await jobs.take(tx, now_ms()) is None
        await tx.execute(insert, ids[0], 1)
        await site.db.execute(insert, ids[1], 2)
        taken = await jobs.take(tx, now_ms())
        assert taken is not None and taken.id == ids[0]
        other = asyncio.create_task(take())
        await asyncio.wait([other], timeout=0.2)
    assert await other is None
    await site.db.execute("DELETE FROM jobs WHERE id = ANY($1)", ids)


async def test_a_stopping_worker_leaves_no_process(site: Site, tmp_path: Path) -> None:
    services: Any = SimpleNamespace(
        db=site.db, settings=site.people.api.settings, files=SimpleNamespace(directory=site.files, objects=site.objects)
    )
    job = Job(new_id(), "import_process", 1, 0, 0, "pending", 0, {"import_file": "a.zip"})
    await site.objects.put("import/a.zip", write(tmp_path / "a.zip", team("gulls")).read_bytes())
    insert = "INSERT INTO jobs (id, type, user_id, create_at, last_activity_at, status) VALUES ($1, $2, '', 1, $3, $4)"
    await site.db.execute(insert, job.id, job.type, now_ms(), "in_progress")
    async with site.db.connection() as lock, lock.transaction():
        await lock.execute("LOCK TABLE teams IN ACCESS EXCLUSIVE MODE")
        work = asyncio.create_task(job_runner._watched(services, job))
        async with asyncio.timeout(30):
            while not (imports := [one for one in psutil.Process().children() if "import" in one.cmdline()]):
                await asyncio.sleep(0.05)
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted AND relation = 'teams'::regclass"
            while not await site.db.fetchval(waits):
                await asyncio.sleep(0.05)
        work.cancel()
        await asyncio.wait([work], timeout=30)
        assert work.cancelled()  # while the import could not clear up: it waits for the lock
        assert not imports[0].is_running()
    assert await site.db.fetchval("DELETE FROM jobs WHERE id = $1 RETURNING status", job.id) == "pending"
    await site.objects.delete(["import/a.zip"])
