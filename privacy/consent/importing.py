"""Rows of an import: read one by one, each refused alone."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from pydantic import ValidationError

from candor.kernel.errors import CandorError
from candor.kernel.secrets import Secrets
from privacy.consent.act import Act
from privacy.consent.ledger import ImportReport, RefusedRow
from privacy.consent.schemas import ActBody


def read_rows(
    documents: Iterable[Any], report: ImportReport, secrets: Secrets, now: datetime
) -> list[tuple[int, Act]]:
    """Return the numbered acts that rows describe; what describes none is in the report."""
    rows = []
    for number, document in enumerate(documents):
        try:
            act = ActBody.model_validate(document).act(secrets, now)
        except ValidationError as error:
            fault = error.errors(include_input=False, include_url=False, include_context=False)[0]
            path = ".".join(str(part) for part in fault["loc"]) or None
            report.refused.append(
                RefusedRow(number, "invalid_input", path, f"Not as it must be: {fault['type']}.")
            )
        except CandorError as error:
            report.refused.append(RefusedRow(number, error.code, error.path, error.detail))
        else:
            rows.append((number, act))
    return rows


def lines_of(body: bytes) -> list[Any]:
    """Return the JSON values of lines that are not blank; what is none is None."""
    return [_value(line) for line in body.splitlines() if line.strip()]


def _value(line: bytes) -> Any:  # noqa: ANN401 - any JSON value
    try:
        return json.loads(line)
    except (ValueError, RecursionError):
        return None
