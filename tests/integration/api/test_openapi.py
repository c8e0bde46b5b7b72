"""The OpenAPI document describes every built operation, and the operations do what it says."""

import asyncio
import re
from pathlib import Path
from typing import Any

import httpx
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from api.compatibility import render
from api.routing import ROUTES
from tests.fixtures.api import PASSWORD, People

EXAMPLES = 4
CHECKS = [not_a_server_error, status_code_conformance, content_type_conformance, response_schema_conformance]
# These end the login that the test uses.
ENDING = ("/users/logout", "/sessions/revoke", "/users/{user_id}/password", "/active", "/mfa")


async def test_every_built_operation_is_described(people: People) -> None:
    document = await people.anonymous.get("/openapi.json")
    described = {
        (method.upper(), path.removeprefix("/api/v4"))
        for path, methods in document["paths"].items()
        for method in methods
    }
    assert described == ROUTES.keys() - {("GET", "/openapi.json")}
    ids = [one["operationId"] for methods in document["paths"].values() for one in methods.values()]
    assert len(ids) == len(set(ids))
    post = document["paths"]["/api/v4/posts"]["post"]
    assert post["requestBody"]["content"]["application/json"]["schema"]["$ref"].startswith(
        "#/components/schemas/"
    )
    assert "200" not in post["responses"] and "201" in post["responses"]
    queries = {one["name"] for one in document["paths"]["/api/v4/config"]["get"]["parameters"]}
    assert queries == {"remove_masked", "remove_defaults"}
    text = str(document)
    for reference in set(re.findall(r"#/components/schemas/(\w+)", text)):
        assert reference in document["components"]["schemas"]


def try_operation(operation: Any, url: str, headers: dict[str, str]) -> None:
    """Send a few made-up requests of an operation and check the answers against its description."""

    @given(case=operation.as_strategy())
    @settings(
        max_examples=EXAMPLES,
        deadline=None,
        database=None,
        derandomize=True,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    def tried(case: Any) -> None:
        answer = case.call(base_url=url, headers=headers)
        # 501 is declared for all, and no fault; the contract has a few 404 without a body.
        if answer.status_code == 501 or (answer.status_code == 404 and not answer.content):
            return
        case.validate_response(answer, checks=CHECKS)

    tried()


async def test_operations_do_what_the_document_says(people: People) -> None:
    """No 5xx and nothing undeclared, for an administrator: he gets furthest. What ends logins has logins of its own."""
    document = await people.anonymous.get("/openapi.json")
    headers = {"Authorization": people.admin.http.headers["Authorization"]}
    await people.api.user("spare")
    spare = {"login_id": "spare", "password": PASSWORD}
    schema = schemathesis.openapi.from_dict(document)
    failed: list[str] = []

    def try_all() -> int:
        count = 0
        for found in schema.get_all_operations():
            operation = found.ok()
            count += 1
            used = headers
            if any(part in operation.path for part in ENDING):
                answer = httpx.post(people.api.url + "/api/v4/users/login", json=spare, timeout=30)
                used = {"Authorization": "Bearer " + answer.headers["Token"]}
            try:
                try_operation(operation, people.api.url, used)
            except BaseExceptionGroup as error:
                failed.append(f"{operation.label}: {[str(one)[:600] for one in error.exceptions]}")
            except AssertionError as error:
                failed.append(f"{operation.label}: {str(error)[:600]}")
        return count

    assert await asyncio.to_thread(try_all) == len(ROUTES) - 1  # all but the document itself
    assert not failed, "\n".join(failed)


def test_the_page_of_compatibility_is_current() -> None:
    page = Path(__file__).parents[3] / "docs" / "compatibility.md"
    assert page.read_text() == render(), "run `make docs`"
