"""The suites push and soak, and people who log in by password: small runs on the whole product."""

import json
from pathlib import Path

import httpx

from tests.fixtures.serve import Serve
from tests.integration.push.test_proxy import proxied
from tests.load.conftest import run_suite


async def test_pushes_reach_the_provider(redis_url: str, tmp_path: Path) -> None:
    (tmp_path / "limits.toml").write_text('error_share = 0\n[rows."POST /api/v1/send_push message"]\n[figures]\n')
    async with proxied(redis_url, tmp_path) as (proxy, apple, _):
        files = ["--targets", tmp_path / "limits.toml", "--report", tmp_path / "report.json"]
        load = ["--users", "8", "--push-rate", "60", "--time", "3s"]
        status, output = await run_suite("push", "--host", proxy.url, *load, *files)
        assert status == 0, output
        figures = json.loads((tmp_path / "report.json").read_text())["figures"]
        assert figures["verdict_ok"] > 20  # of 180; a busy machine is slow
        assert len(apple.received) > 10
        assert apple.violations == []
        # A platform that the proxy does not know is a failure, and said.
        status, output = await run_suite("push", "--host", proxy.url, *load, "--platform", "nokia", *files)
        assert status == 3, output
        assert "missing platform property" in output
    status, output = await run_suite("push", "--host", "http://127.0.0.1:9")
    assert (status, "http://127.0.0.1:9 does not answer" in output) == (1, True)


async def test_people_log_in_by_password_and_soak(two_gateways: Serve, tmp_path: Path) -> None:
    people = []
    async with httpx.AsyncClient(base_url=two_gateways.url + "/api/v4", timeout=30) as http:
        for name in ("soaker", "soaked"):
            body = {"username": name, "email": f"{name}@example.org", "password": "Tide-and-time-1"}
            (await http.post("/users", json=body)).raise_for_status()
            people.append(f"{name} Tide-and-time-1\n")
        login = {"login_id": "soaker", "password": "Tide-and-time-1"}
        http.headers["Authorization"] = "Bearer " + (await http.post("/users/login", json=login)).headers["Token"]
        http.cookies.clear()
        team = (await http.post("/teams", json={"name": "soakers", "display_name": "S", "type": "O"})).json()
        other = (await http.get("/users/username/soaked")).json()
        answer = await http.post(f"/teams/{team['id']}/members", json={"team_id": team["id"], "user_id": other["id"]})
        answer.raise_for_status()
    file, limits = tmp_path / "people", tmp_path / "limits.toml"
    file.write_text("".join(people))
    limits.write_text("error_share = 0.01\n[figures]\ngaps = 0\nmemory_growth = { at_most = 3 }\n"
                      "descriptors_growth = { at_most = 3 }\nlag_ms = { at_most = 20000 }\n")  # fmt: skip
    words = ["--host", two_gateways.url, "--data-dir", two_gateways.data_dir, "--tokens", file]
    flags = ["--users", "4", "-r", "4", "--pace", "20", "--time", "12s", "--targets", limits]
    flags += ["--report", tmp_path / "report.json"]
    status, output = await run_suite("soak", *words, *flags)
    assert status == 0, output
    assert "most memory_growth: " in output
    assert "Tide-and-time-1" not in output + (tmp_path / "report.json").read_text()
    file.write_text("soaker wrong\n")
    status, output = await run_suite("soak", *words)
    assert (status, f"{file}, line 1: soaker: {two_gateways.url} answers 401" in output) == (1, True), output
