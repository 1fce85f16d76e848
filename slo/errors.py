"""What can go wrong between a document and a budget."""

from collections.abc import Sequence

from candor.kernel.errors import InvalidInputError, NotFoundError


class ObjectiveNotFoundError(NotFoundError):
    """No objective bears that name."""

    def __init__(self) -> None:
        super().__init__("No objective bears that name. `GET /api/v1/objectives` lists them.")


class InvalidDocumentsError(InvalidInputError):
    """OpenSLO documents with faults; nothing of them was applied."""

    code = "invalid_documents"
    title = "Invalid OpenSLO documents"

    def __init__(self, findings: Sequence[dict[str, object]]) -> None:
        super().__init__("Mend the faults that are listed; nothing was applied.")
        self.findings = list(findings)
