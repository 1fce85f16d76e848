"""Events through the whole pipeline, on both transports."""

from candor.kernel.services import Services
from collector.assembly import open_collector
from collector.receivers.decoding import Reception
from collector.receivers.native import decode_native


def reception(services: Services) -> Reception:
    return Reception(services.clock(), services.settings.limits, services.secrets)


def test_every_column_of_an_event_is_stored_as_it_was_sent(services: Services) -> None:
    body = b"""[{"id": "e-1", "name": "checkout.payment", "schema": "checkout.payment/1-0-0",
      "time": "2026-11-22T09:00:00.123Z", "journey": "checkout", "instance": "c-4711",
      "step": "payment", "outcome": "ok", "channel": "web", "service": "checkout-api",
      "duration_ms": 182.4, "subject": {"type": "email", "value": "Customer-1@example.org "},
      "error_code": null, "experiment": {"key": "new-form", "variant": "b"},
      "value": {"amount": 49.90, "currency": "EUR"},
      "attributes": {"plan": "pro", "count": 3, "paid": true, "none": null,
                     "list": [1, {"a": "b"}]}}]"""
    with open_collector(services) as collector:
        batch = decode_native(body, "application/json", reception(services))
        receipt = collector.intake.submit(batch).wait()
        collector.flush()
        row = services.telemetry.query("SELECT * FROM events")[0]
    assert receipt.accepted == 1
    assert row | {"time": row["time"].isoformat(), "amount": str(row["amount"])} == {
        "id": "e-1",
        "door": "native",
        "name": "checkout.payment",
        "schema": "checkout.payment/1-0-0",
        "time": "2026-11-22T09:00:00.123000+00:00",
        "received_at": services.clock(),
        "journey": "checkout",
        "instance": "c-4711",
        "step": "payment",
        "outcome": "ok",
        "channel": "web",
        "service": "checkout-api",
        "duration_ms": 182.4,
        "subject_key": services.secrets.subject_key("email", "customer-1@example.org"),
        "subject_type": "email",
        "error_code": "",
        "experiment": "new-form",
        "variant": "b",
        "amount": "49.9000",
        "currency": "EUR",
        "attributes": {
            "plan": "pro",
            "count": "3",
            "paid": "true",
            "none": "",
            "list": '[1, {"a": "b"}]',
        },
    }
