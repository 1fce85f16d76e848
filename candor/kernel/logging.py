"""Structured logs, one JSON object a line on stderr, without personal values.

Events are fixed sentences; fields are counts, codes, ids and names of places. An exception is
logged by its type and frames, never by its message: a driver's message may quote a row. Where a
line cannot be written, the standard library would print the exception in flight, message and all;
here the failure alone is told.
"""

import logging
import sys
from collections.abc import MutableMapping
from contextlib import suppress
from typing import Any

import structlog


def configure_logging(level: str) -> None:
    """Send Candor's logs and those of its libraries to stderr as JSON lines."""
    number = logging.getLevelNamesMapping()[level.upper()]
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _exception_without_message,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(number),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = _StandardError()
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(max(number, logging.WARNING))
    logging.getLogger("candor").setLevel(number)


def log() -> structlog.stdlib.BoundLogger:
    """Return the logger of the house."""
    logger: structlog.stdlib.BoundLogger = structlog.stdlib.get_logger("candor")
    return logger


class _StandardError(logging.Handler):
    """Writes each line to what is ``sys.stderr`` at that moment."""

    def emit(self, record: logging.LogRecord) -> None:
        """Write one line, or tell that it could not be written."""
        try:
            sys.stderr.write(self.format(record) + "\n")
            sys.stderr.flush()
        except Exception:  # noqa: BLE001 - a log line may not end what it tells of
            self.handleError(record)

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802 - the base class's name
        """Tell the kind of the failure and the place of the call: neither holds a value."""
        kind = getattr(sys.exc_info()[0], "__name__", "Exception")
        place = f"{record.filename}:{record.lineno}"
        with suppress(OSError, ValueError):  # without standard error there is nobody to tell
            if sys.__stderr__:
                sys.__stderr__.write(f"candor could not write a log line of {place}: {kind}\n")


def _exception_without_message(
    logger: object, method: str, event: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace an exception by its type and the places it passed through."""
    del logger, method
    info = event.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    elif isinstance(info, BaseException):
        info = (type(info), info, info.__traceback__)
    if isinstance(info, tuple) and info[0] is not None:
        event["exception"] = info[0].__name__
        event["frames"] = _frames(info[2])
    return event


def _frames(traceback: Any) -> list[str]:  # noqa: ANN401 - a traceback or none
    frames = []
    while traceback is not None:
        code = traceback.tb_frame.f_code
        frames.append(f"{code.co_filename.rsplit('/', 1)[-1]}:{traceback.tb_lineno}:{code.co_name}")
        traceback = traceback.tb_next
    return frames
