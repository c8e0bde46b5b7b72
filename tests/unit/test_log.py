"""One JSON object a line, with the process's name, and no secrets."""

import errno
import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from tidewire import log
from tidewire.settings.tree import Log


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """Let later tests capture what is logged, at any level."""
    before = structlog.get_config()
    yield
    structlog.configure(**before)


def fail(secret: str) -> None:
    raise ValueError("boom")


def write(level: str = "info", form: str = "json") -> io.StringIO:
    stream = io.StringIO()
    log.setup(Log(level=level, format=form), process="api-1", stream=stream)
    logger = structlog.get_logger()
    logger.debug("quiet")
    logger.info("login", user="ann", password="hunter2", access_token="t0ken")
    try:
        fail("".join(["hunter", "3"]))
    except ValueError:
        logger.exception("failed")
    logging.getLogger("other").warning("from %s", "outside")
    logging.getLogger("picows").info("a line for each socket")
    return stream


def lines(level: str = "info") -> list[dict[str, object]]:
    return [json.loads(line) for line in write(level).getvalue().splitlines()]


@pytest.mark.parametrize("form", ["json", "console"])
def test_no_secret_is_written(form: str) -> None:
    text = write(form=form).getvalue()
    assert "boom" in text and "login" in text
    assert "hunter2" not in text and "t0ken" not in text
    assert "hunter3" not in text, "a traceback shows no local variables"


def test_records_are_json() -> None:
    records = lines()
    assert [record["event"] for record in records] == ["login", "failed", "from outside"]
    assert all(record["process"] == "api-1" and record["timestamp"] for record in records)
    assert "boom" in json.dumps(records[1]["exception"])


def test_the_level_counts() -> None:
    assert lines("debug")[0]["event"] == "quiet"
    assert [record["event"] for record in lines("error")] == ["failed"]


class Full(io.StringIO):
    """A file on a disk without room."""

    full = True

    def write(self, text: str) -> int:
        if self.full:
            raise OSError(errno.ENOSPC, "No space left on device")
        return super().write(text)


def test_a_log_that_cannot_be_written_hinders_nobody() -> None:
    stream = Full()
    log.setup(Log(level="info", format="json"), process="api-1", stream=stream)
    structlog.get_logger().warning("lost")
    logging.getLogger("other").warning("lost too")
    assert stream.getvalue() == "" and "lost too" in log.tail[-1]
    stream.full = False
    structlog.get_logger().warning("there is room again")
    assert "there is room again" in stream.getvalue()
