"""Acts and policies that come in bulk: read one by one, and told where they are wrong."""

import json
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import yaml
from pydantic import ValidationError
from sqlalchemy.orm import Session

from candor.kernel.errors import CandorError, InvalidInputError, MalformedError
from candor.kernel.input_faults import invalid_input
from candor.kernel.secrets import Secrets
from privacy.audit.head import key_id, public_key
from privacy.consent.act import Act
from privacy.consent.exported import ExportedBody
from privacy.consent.ledger import ImportReport, ImportRow, Ledger, RefusedRow
from privacy.consent.register import put_all
from privacy.consent.schemas import ActBody, ApplyBody, change_document, report_document
from privacy.subjects.originals import keep_originals


def read_rows(
    documents: Iterable[Any],
    report: ImportReport,
    secrets: Secrets,
    now: datetime,
    *,
    takes_exported: bool,
) -> list[ImportRow]:
    """Return the acts that rows describe, numbered from 1; what describes none is in the report."""
    rows = []
    key = key_id(public_key(secrets.audit_seed))
    for number, document in enumerate(documents, 1):
        try:
            if is_exported(document):
                row = _read_exported(number, document, key, is_taken=takes_exported)
            else:
                row = ImportRow(number, read_act(document, secrets, now))
        except CandorError as error:
            report.refused.append(RefusedRow(number, error.code, error.path, error.detail))
        else:
            rows.append(row)
    return rows


def is_exported(document: Any) -> bool:  # noqa: ANN401 - any JSON value
    """Whether a row is one of an export: it names the person by the pseudonym."""
    return isinstance(document, dict) and "subject_key" in document and "kind" not in document


def _read_exported(number: int, document: Any, key: str, *, is_taken: bool) -> ImportRow:  # noqa: ANN401 - any JSON value
    if not is_taken:
        raise InvalidInputError(
            "A row of an export is taken beside the state store alone: run candor consent import"
            " there, without --url.",
            path="subject_key",
        )
    try:
        body = ExportedBody.model_validate(document)
    except ValidationError as error:
        raise invalid_input(error) from None
    return ImportRow(number, body.act(key), body.elsewhere())


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
    takes_exported: bool = False,
) -> dict[str, Any]:
    """Append the acts of rows, keep their identifiers, and return the report as a document.

    Rows of an export may hold decisions of the installation: they are for who holds its stores.
    """
    report = ImportReport()
    acts = read_rows(rows, report, secrets, at, takes_exported=takes_exported)
    ledger.bring_in(session, acts, report, at=at, by=by, dry_run=dry_run)
    if not dry_run:
        refused = {one.row for one in report.refused}
        named = (one for one in acts if one.elsewhere is None and one.number not in refused)
        said = ((one.act.subject_type, rows[one.number - 1]["subject"]["value"]) for one in named)
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
