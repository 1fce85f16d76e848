"""chDB behind the ClickHouse HTTP protocol, so that the real HTTP client is exercised.

For tests alone: it runs any SQL, on the loopback only. What it cannot show, because results are
buffered and the engine has none of it: users and roles, KILL QUERY and query ids, real
``async_insert``, errors in mid-stream, ``read_rows``, replication and cluster DDL.
"""

import gzip
import json
import re
import tempfile
import threading
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from email import message_from_bytes
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from socket import IPPROTO_TCP, TCP_NODELAY
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import lz4.frame
from backports import zstd

_NOT_SETTINGS = {
    *(
        "query",
        "query_id",
        "database",
        "default_format",
        "session_id",
        "session_timeout",
        "compress",
    ),
    *("enable_http_compression", "client_protocol_version", "wait_end_of_query"),
    *("send_progress_in_http_headers", "http_headers_progress_interval_ms", "cancel_http_readonly"),
}
_INSERT = re.compile(
    rb"\s*(INSERT\s+INTO\s+.*?)\s+FORMAT\s+(\w+)[ \t]*\n?", re.IGNORECASE | re.DOTALL
)
_CODE = re.compile(r"Code:\s*(\d+)")
_NOT_FOUND_CODES = {60, 81}


@contextmanager
def serve_clickhouse(path: Path) -> Iterator[str]:
    """Serve the engine at ``path`` and give the address, without a database."""
    import chdb  # noqa: PLC0415 - starts an engine

    open_engine: Any = chdb.connect

    def connect() -> Any:  # noqa: ANN401 - chDB ships no types
        return open_engine(str(path.resolve()))

    class Bound(_Handler):
        open = staticmethod(connect)

    with ThreadingHTTPServer(("127.0.0.1", 0), Bound) as server:
        server.daemon_threads = True
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_address[1]}"
        finally:
            server.shutdown()
            thread.join()


def _form(kind: str, body: bytes) -> dict[str, str]:
    """Return the fields of a form by their names."""
    message = message_from_bytes(b"Content-Type: " + kind.encode() + b"\r\n\r\n" + body)
    fields = {}
    for part in message.walk():
        name = part.get_param("name", header="content-disposition")
        content = part.get_payload(decode=True)
        if isinstance(name, str) and isinstance(content, bytes):
            fields[name] = content.decode()
    return fields


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    open: Any

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(IPPROTO_TCP, TCP_NODELAY, 1)

    def do_GET(self) -> None:
        if urlsplit(self.path).path == "/ping":
            self._answer(200, b"Ok.\n", {})
        else:
            self.do_POST()

    def do_POST(self) -> None:
        parameters = dict(parse_qsl(urlsplit(self.path).query, keep_blank_values=True))
        body = self._body()
        kind = self.headers.get("Content-Type", "")
        if kind.startswith("multipart/form-data"):  # so the client sends long parameters
            parameters |= _form(kind, body)
            body = b""
        try:
            payload = self._run(parameters, body)
        except RuntimeError as error:
            code = int(found[1]) if (found := _CODE.search(str(error))) else 0
            status = 404 if code in _NOT_FOUND_CODES else 500
            self._answer(status, str(error).encode(), {"X-ClickHouse-Exception-Code": str(code)})
            return
        self._answer(200, payload, {"X-ClickHouse-Summary": json.dumps({"written_rows": "0"})})

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base names it so
        """Say nothing."""

    def _run(self, parameters: dict[str, str], body: bytes) -> bytes:
        connection = self.open()
        try:
            if database := parameters.get("database"):
                connection.query(f"USE `{database}`", "TabSeparated")
            settings = ", ".join(
                f"{name} = '{value}'"
                for name, value in parameters.items()
                if name not in _NOT_SETTINGS and not name.startswith("param_")
            )
            if settings:
                connection.query(f"SET {settings}", "TabSeparated")
            values = {
                name.removeprefix("param_"): value
                for name, value in parameters.items()
                if name.startswith("param_")
            }
            sql, data = self._statement(parameters, body)
            fmt = self.headers.get("X-ClickHouse-Format") or parameters.get("default_format")
            if data is None:
                result = connection.query(sql.decode(), fmt or "TabSeparated", params=values)
            else:
                result = self._insert(connection, sql, data)
            return bytes(result.bytes() or b"")
        finally:
            connection.close()

    @staticmethod
    def _statement(parameters: dict[str, str], body: bytes) -> tuple[bytes, bytes | None]:
        """Return the SQL, and for an insert the data that follows ``FORMAT x``."""
        whole = parameters.get("query", "").encode()
        whole = whole + b"\n" + body if whole else body
        if match := _INSERT.match(whole):
            return match[1] + b"|" + match[2], whole[match.end() :]
        return whole.strip(), None

    @staticmethod
    def _insert(connection: Any, head: bytes, data: bytes) -> Any:  # noqa: ANN401 - as above
        statement, _, fmt = head.decode().rpartition("|")
        with tempfile.NamedTemporaryFile(delete=False) as file:
            file.write(data)
        try:
            return connection.query(
                f"{statement} FROM INFILE '{file.name}' FORMAT {fmt}", "TabSeparated"
            )
        finally:
            Path(file.name).unlink()

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding", "").lower() == "chunked":
            raw = b"".join(self._chunks())
        else:
            raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        encoding = self.headers.get("Content-Encoding", "")
        unpack = {
            "gzip": gzip.decompress,
            "zstd": zstd.decompress,
            "lz4": lz4.frame.decompress,
            "deflate": zlib.decompress,
        }.get(encoding)
        return bytes(unpack(raw)) if unpack else raw

    def _chunks(self) -> Iterator[bytes]:
        while size := int(self.rfile.readline().strip() or b"0", 16):
            yield self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()

    def _answer(self, status: int, payload: bytes, headers: dict[str, str]) -> None:
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.send_header("X-ClickHouse-Timezone", "UTC")
        self.send_header("Content-Length", str(len(payload)))
        self.end_headers()
        self.wfile.write(payload)
