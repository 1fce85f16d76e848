"""Access logs in the combined format of Apache and nginx, as requests to a service.

An answer of 5xx is the outcome ``error``, any other is ``ok``. The client's address becomes the
subject, of which only the pseudonym is stored. Query strings, referers and user agents may hold
personal values and are left out.

Source: Apache HTTP Server, mod_log_config, "Combined Log Format".
"""

import re
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from typing import Any

from collector.importers.record import Record, open_text

DEFAULT_SERVICE = "web-access"
_LINE = re.compile(
    r'(?P<client>\S+) \S+ \S+ \[(?P<time>[^\]]+)\] "(?P<request>[^"]*)"'
    r" (?P<status>\d{3}) (?P<bytes>\d+|-)"
)
_TIME = "%d/%b/%Y:%H:%M:%S %z"
_SERVER_FAULT = 500
_ID_LENGTH = 32


def read_access_log(path: Path, service: str = DEFAULT_SERVICE) -> Iterator[Record]:
    """Yield a request for each line.

    A log has no ids: an event's is a digest of its line and of how often that line came before, so
    the same file gives the same ids again, whatever its name.
    """
    seen: Counter[bytes] = Counter()
    with open_text(path) as file:
        for number, line in enumerate(file, start=1):
            match = _LINE.match(line)
            if match is None:
                yield Record(number, fault="The line is not in the combined log format.")
                continue
            digest = sha256(line.rstrip("\r\n").encode()).digest()
            seen[digest] += 1
            event_id = sha256(digest + str(seen[digest]).encode()).hexdigest()[:_ID_LENGTH]
            yield _record(number, match, event_id, service)


def _record(number: int, match: re.Match[str], event_id: str, service: str) -> Record:
    try:
        at = datetime.strptime(match["time"], _TIME)  # noqa: DTZ007 - _TIME has the zone
    except ValueError:
        return Record(number, fault="The time is not like 17/May/2015:10:05:03 +0000.")
    status = int(match["status"])
    method, _, rest = match["request"].partition(" ")
    attributes: dict[str, Any] = {"status": status, "method": method[:16]}
    attributes["path"] = rest.partition(" ")[0].partition("?")[0][:1000]
    if match["bytes"] != "-":
        attributes["bytes"] = int(match["bytes"])
    return Record(
        number,
        {
            "id": event_id,
            "name": "http.request",
            "time": at.isoformat(),
            "service": service,
            "channel": "web",
            "outcome": "error" if status >= _SERVER_FAULT else "ok",
            "error_code": str(status) if status >= _SERVER_FAULT else None,
            "subject": {"type": "ip_address", "value": match["client"]},
            "attributes": attributes,
        },
    )
