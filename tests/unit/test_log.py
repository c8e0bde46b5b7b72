"""One JSON object a line, with the process's name, and no secrets."""

import io
import json
import logging

import structlog

from tidewire import log
from tidewire.settings.tree import Log


def lines(level: str = "info") -> tuple[io.StringIO, list[dict[str, object]]]:
    stream = io.StringIO()
    log.setup(Log(level=level, format="json"), process="api-1", stream=stream)  # type: ignore[arg-type]  # a literal
    logger = structlog.get_logger()
    logger.debug("quiet")
    logger.info("login", user="ann", password="hunter2", access_token="t0ken")
    try:
        raise ValueError("boom")
    except ValueError:
        logger.exception("failed")
    logging.getLogger("other").warning("from %s", "outside")
    logging.getLogger("picows").info("a line for each socket")
    return stream, [json.loads(line) for line in stream.getvalue().splitlines()]


def test_records_are_json_without_secrets() -> None:
    stream, records = lines()
    assert [record["event"] for record in records] == ["login", "failed", "from outside"]
    assert all(record["process"] == "api-1" and record["timestamp"] for record in records)
    assert "hunter2" not in stream.getvalue() and "t0ken" not in stream.getvalue()
    assert "boom" in json.dumps(records[1]["exception"])


def test_the_level_counts() -> None:
    assert lines("debug")[1][0]["event"] == "quiet"
    assert [record["event"] for record in lines("error")[1]] == ["failed"]
