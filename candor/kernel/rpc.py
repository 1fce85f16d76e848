"""gRPC: one port, on which the packages' services answer side by side."""

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import grpc

from candor.kernel.errors import ConflictError
from candor.kernel.settings import Settings

_THREADS = 32
_GRACE_SECONDS = 10


@contextmanager
def serving_rpc(settings: Settings, handlers: Sequence[grpc.GenericRpcHandler]) -> Iterator[None]:
    """Answer gRPC calls inside the block; at its end finish the calls at hand.

    Raises:
        ConflictError: the port is taken or not allowed.
    """
    pool = ThreadPoolExecutor(_THREADS, thread_name_prefix="grpc")
    server = grpc.server(
        pool,
        handlers=list(handlers),
        options=[
            ("grpc.max_receive_message_length", settings.limits.body_bytes),
            ("grpc.so_reuseport", 0),
        ],
    )
    _bind(server, settings)
    server.start()
    try:
        yield
    finally:
        server.stop(_GRACE_SECONDS).wait()
        pool.shutdown()


def _bind(server: grpc.Server, settings: Settings) -> None:
    host = f"[{settings.host}]" if ":" in settings.host else settings.host
    try:
        server.add_insecure_port(f"{host}:{settings.grpc_port}")
    except RuntimeError:
        raise ConflictError(
            f"Cannot listen on {host}:{settings.grpc_port} for gRPC. Choose another port with"
            " CANDOR_GRPC_PORT, or none with 0."
        ) from None
