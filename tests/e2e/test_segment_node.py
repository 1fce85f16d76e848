"""Segment's own library for Node, unmodified, pointed at a running ``candor serve``."""

import json
import subprocess
from pathlib import Path

import httpx

from tests.support.programs import node_package, program
from tests.support.server import query_stores, serve

SENDER = """
const { Analytics } = require(process.argv[2])
const analytics = new Analytics({ writeKey: process.argv[4], host: process.argv[3] })
const failed = []
analytics.on('error', (error) => failed.push(String(error.code)))
const delivered = []
const after = (error, context) => { if (!error) delivered.push(context.event.type) }
analytics.track({ userId: 'u1', anonymousId: 'a1', event: 'Order Completed',
  properties: { revenue: 39.95, currency: 'EUR', journey: 'buy', plan: 'pro' } }, after)
analytics.identify({ userId: 'u1', traits: { email: 'customer-1@example.org' } }, after)
analytics.page({ userId: 'u1', category: 'Docs', name: 'Home',
  properties: { url: 'https://shop.example.org/docs?mail=customer-1@example.org' } }, after)
analytics.screen({ anonymousId: 'a1', name: 'Start' }, after)
analytics.group({ userId: 'u1', groupId: 'g1', traits: { name: 'Acme' } }, after)
analytics.alias({ userId: 'u1', previousId: 'a0' }, after)
analytics.closeAndFlush().then(() => console.log(JSON.stringify({ delivered, failed })))
"""


def test_segments_node_library_is_taken_with_all_its_calls(tmp_path: Path) -> None:
    node = program("node", "nodejs")
    package = node_package("@segment/analytics-node")
    script = tmp_path / "send.cjs"
    script.write_text(SENDER, encoding="utf-8")
    with serve(tmp_path) as server:
        done = subprocess.run(
            [node, str(script), str(package), server.url, server.key],
            check=True,
            capture_output=True,
            text=True,
        )
        outcome = json.loads(done.stdout)
        person = httpx.post(
            f"{server.url}/api/v1/subjects/links",
            json={"type": "email", "value": "customer-1@example.org"},
            headers=server.headers,
        ).json()
    assert outcome["failed"] == []
    assert sorted(outcome["delivered"]) == [
        *("alias", "group", "identify", "page", "screen", "track")
    ]
    assert {one["type"] for one in person["identifiers"]} == {"user_id", "anonymous_id", "email"}
    assert len(person["identifiers"]) == 5
    rows = query_stores(
        tmp_path,
        "SELECT name, step, journey, toFloat64(amount) AS paid, attributes['url'] AS url,"
        " attributes['context.library.name'] AS library FROM events ORDER BY name",
    )
    assert {row["library"] for row in rows} == {"@segment/analytics-node"}
    by_name = {row["name"]: row for row in rows}
    assert (by_name["Order Completed"]["journey"], by_name["Order Completed"]["paid"]) == (
        "buy",
        39.95,
    )
    assert (by_name["page"]["step"], by_name["page"]["url"]) == (
        "Home",
        "https://shop.example.org/docs",
    )
    assert by_name["screen"]["step"] == "Start"
