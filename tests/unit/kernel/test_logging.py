import io
import json
import logging
import sys
from collections.abc import Callable, Iterator
from contextlib import redirect_stderr

import pytest
import structlog

from candor.kernel.logging import configure_logging, log

SECRET = "anna@example.org"


@pytest.fixture
def last(capsys: pytest.CaptureFixture[str]) -> Iterator[Callable[[], dict[str, object]]]:
    """The last line that was logged; nothing that was written holds the secret."""
    root = logging.getLogger()
    before, level = root.handlers, root.level
    configure_logging("info")

    def read() -> dict[str, object]:
        written = capsys.readouterr().err
        assert SECRET not in written
        document: dict[str, object] = json.loads(written.splitlines()[-1])
        return document

    yield read
    root.handlers, root.level = before, level
    structlog.reset_defaults()


def test_a_line_is_json_with_its_fields(last: Callable[[], dict[str, object]]) -> None:
    log().info("segment loaded", events=3)
    line = last()
    assert line["event"] == "segment loaded"
    assert line["events"] == 3


def failing() -> None:
    raise ValueError(SECRET)


def test_an_exception_is_its_type_and_frames_and_never_its_message(
    last: Callable[[], dict[str, object]],
) -> None:
    for by_value in (False, True):
        try:
            failing()
        except ValueError as error:
            log().error("it failed", exc_info=error if by_value else True)
        line = last()
        assert line["exception"] == "ValueError"
        assert "failing" in str(line["frames"])


def test_a_librarys_exception_keeps_its_message_to_itself_too(
    last: Callable[[], dict[str, object]],
) -> None:
    try:
        failing()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("Exception in ASGI application")
    assert last()["exception"] == "ValueError"


@pytest.mark.usefixtures("last")
def test_a_line_that_cannot_be_written_shows_nothing_of_the_exception_in_flight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    process, closed = io.StringIO(), io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "__stderr__", process)
    with redirect_stderr(closed):
        try:
            failing()
        except ValueError:
            log().error("it failed")
        monkeypatch.setattr(sys, "__stderr__", closed)
        log().error("nobody can be told")
    told = process.getvalue()
    assert told.startswith("candor could not write a log line of test_logging.py:")
    assert told.endswith(": ValueError\n")
