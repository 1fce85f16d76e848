import io
import json
import logging
from collections.abc import Iterator

import pytest
import structlog

from candor.kernel.logging import configure_logging, log

SECRET = "anna@example.org"


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before, level = root.handlers, root.level
    configure_logging("info")
    stream = io.StringIO()
    handler = root.handlers[0]
    assert isinstance(handler, logging.StreamHandler)
    handler.setStream(stream)
    yield stream
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def last(stream: io.StringIO) -> dict[str, object]:
    document: dict[str, object] = json.loads(stream.getvalue().splitlines()[-1])
    return document


def test_a_line_is_json_with_its_fields(lines: io.StringIO) -> None:
    log().info("segment loaded", events=3)
    assert last(lines)["event"] == "segment loaded"
    assert last(lines)["events"] == 3


def failing() -> None:
    raise ValueError(SECRET)


def test_an_exception_is_its_type_and_frames_and_never_its_message(lines: io.StringIO) -> None:
    try:
        failing()
    except ValueError as error:
        log().error("it failed", exc_info=True)
        log().error("it failed", exc_info=error)
    assert last(lines)["exception"] == "ValueError"
    assert "failing" in str(last(lines)["frames"])
    assert SECRET not in lines.getvalue()


def test_a_librarys_exception_keeps_its_message_to_itself_too(lines: io.StringIO) -> None:
    try:
        failing()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert last(lines)["exception"] == "ValueError"
    assert SECRET not in lines.getvalue()
