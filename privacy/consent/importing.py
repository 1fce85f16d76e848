"""Acts and policies that come in bulk: read one by one, and told where they are wrong."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import yaml
from pydantic import ValidationError
from sqlalchemy.orm import Session

from candor.kernel.errors import CandorError, MalformedError
from candor.kernel.input_faults import invalid_input
from candor.kernel.secrets import Secrets
from privacy.consent.act import Act
from privacy.consent.ledger import ImportReport, Ledger, RefusedRow
from privacy.consent.register import put_all
from privacy.consent.schemas import ActBody, ApplyBody, change_document, report_document
from privacy.subjects.originals import keep_originals


def read_rows(
    documents: Iterable[Any], report: ImportReport, secrets: Secrets, now: datetime
) -> list[tuple[int, Act]]:
    """Return the acts that rows describe, numbered from 1; what describes none is in the report."""
    rows = []
    for number, document in enumerate(documents, 1):
        try:
            act = read_act(document, secrets, now)
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


def read_act(document: Any, secrets: Secrets, now: datetime) -> Act:  # noqa: ANN401 - any JSON value
    """Return the act that a document describes.

    Raises:
        InvalidInputError: it describes none; the place is named.
    """
    try:
        return ActBody.model_validate(document).act(secrets, now)
    except ValidationError as error:
        raise invalid_input(error) from None


def import_rows(  # noqa: PLR0913 - the rows, whose, and when
    session: Session,
    ledger: Ledger,
    rows: list[Any],
    secrets: Secrets,
    *,
    at: datetime,
    by: str,
    dry_run: bool,
) -> dict[str, Any]:
    """Append the acts of rows, keep their identifiers, and return the report as a document."""
    report = ImportReport()
    acts = read_rows(rows, report, secrets, at)
    ledger.bring_in(session, acts, report, at=at, by=by, dry_run=dry_run)
    if not dry_run:
        refused = {one.row for one in report.refused}
        taken = ((number, act) for number, act in acts if number not in refused)
        said = ((act.subject_type, rows[number - 1]["subject"]["value"]) for number, act in taken)
        keep_originals(session, secrets, said, at)
    return report_document(report, dry_run=dry_run)


def apply_text(
    session: Session, text: bytes, at: datetime, by: str, *, dry_run: bool
) -> dict[str, Any]:
    """Put the purposes and notices of a YAML document, and return what changes.

    Raises:
        MalformedError: it is no YAML.
        InvalidInputError: it holds something else than purposes and notices; the place is named.
        ConflictError: a notice that was served would change.
    """
    try:
        document = yaml.safe_load(text)
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError):
        raise MalformedError("The document is no YAML that can be read.") from None
    try:
        subjects = ApplyBody.model_validate(document).subjects()
    except ValidationError as error:
        raise invalid_input(error) from None
    changes = put_all(session, subjects, at, by, dry_run=dry_run)
    return {"dry_run": dry_run, "changes": [change_document(one) for one in changes]}
