"""Which addresses count as public, and how long an exchange may take."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import httpx
import pytest

from privacy.propagation.outbound import is_public, new_transport, within


@pytest.mark.parametrize(
    ("address", "public"),
    [
        ("93.184.216.34", True),
        ("2606:2800:220:1::1", True),
        ("64:ff9b::5db8:d822", True),
        ("127.0.0.1", False),
        ("10.0.0.1", False),
        ("169.254.169.254", False),
        ("100.64.0.1", False),
        ("192.168.1.1", False),
        ("224.0.0.1", False),
        ("::1", False),
        ("fe80::1%eth0", False),
        ("fd00::1", False),
        ("::ffff:127.0.0.1", False),
        ("2002:7f00:1::", False),
        ("64:ff9b::a9fe:a9fe", False),
    ],
)
def test_an_address_is_public_whatever_it_is_dressed_in(address: str, *, public: bool) -> None:
    assert is_public(address) is public


@contextmanager
def dripping() -> Iterator[tuple[str, list[bytes]]]:
    """A server that sends one byte of its headers at a time, and never ends; and what it sent."""
    over = threading.Event()
    sent: list[bytes] = []

    def drip(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nx: ")
            while not over.wait(0.05):
                try:
                    connection.sendall(b"x")
                    sent.append(b"x")
                except OSError:
                    return

    def accept(server: socket.socket) -> None:
        connection, _ = server.accept()
        drip(connection)

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=accept, args=(server,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.getsockname()[1]}", sent
        finally:
            over.set()
            thread.join()


def test_an_exchange_ends_however_slowly_the_other_side_answers() -> None:
    transport = new_transport(ssl.create_default_context(), allow_private=True)
    with dripping() as (url, sent), httpx.Client(transport=transport, timeout=5) as client:
        with pytest.raises(httpx.ReadTimeout), within(0.5):
            client.post(url)
        assert 0 < len(sent) < 60
        with pytest.raises(httpx.TimeoutException), within(0):
            client.post(url)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_private_address_is_not_connected_to(host: str) -> None:
    transport = new_transport(ssl.create_default_context(), allow_private=False)
    with (
        httpx.Client(transport=transport) as client,
        pytest.raises(httpx.ConnectError, match="private address"),
    ):
        client.post(f"http://{host}:9/")
