"""Events to send, valid unless a test says otherwise."""

from typing import Any

NOW = "2026-11-22T11:00:00Z"


def native_event(number: int = 1, **fields: Any) -> dict[str, Any]:  # noqa: ANN401 - any field
    return {"id": f"e-{number}", "name": "checkout.payment", "time": NOW} | fields
