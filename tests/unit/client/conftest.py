"""A server on a real socket, whose services answer as each test scripts them, and both clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
import trustme
from grpc_health.v1 import health_pb2_grpc

from twopass.client import AsyncClient, Client
from twopass.v1 import (
    collection_pb2_grpc,
    embed_pb2_grpc,
    model_pb2_grpc,
    rerank_pb2_grpc,
    search_pb2_grpc,
)

_ADD = {
    collection_pb2_grpc.CollectionServiceServicer: (
        collection_pb2_grpc.add_CollectionServiceServicer_to_server
    ),
    embed_pb2_grpc.EmbedServiceServicer: embed_pb2_grpc.add_EmbedServiceServicer_to_server,
    health_pb2_grpc.HealthServicer: health_pb2_grpc.add_HealthServicer_to_server,
    model_pb2_grpc.ModelServiceServicer: model_pb2_grpc.add_ModelServiceServicer_to_server,
    rerank_pb2_grpc.RerankServiceServicer: rerank_pb2_grpc.add_RerankServiceServicer_to_server,
    search_pb2_grpc.SearchServiceServicer: search_pb2_grpc.add_SearchServiceServicer_to_server,
}


class Serve:
    """Serves the servicers it is called with and returns the address."""

    def __init__(self) -> None:
        self._servers: list[Served] = []

    def __call__(self, *services) -> str:
        return self.server(*services).target

    def server(self, *services, credentials: grpc.ServerCredentials | None = None) -> "Served":
        """The server itself, which a test may stop."""
        self._servers.append(Served(services, credentials))
        return self._servers[-1]

    def tls(self, issued: trustme.LeafCert) -> grpc.ServerCredentials:
        """Credentials of a server that shows a certificate."""
        chain = b"".join(blob.bytes() for blob in issued.cert_chain_pems)
        return grpc.ssl_server_credentials([(issued.private_key_pem.bytes(), chain)])

    def stop(self) -> None:
        for server in self._servers:
            server.stop(None).wait()


class Served:
    """A server of some services."""

    def __init__(self, services, credentials: grpc.ServerCredentials | None) -> None:
        server = grpc.server(ThreadPoolExecutor(8))
        for service in services:
            (add,) = (add for base, add in _ADD.items() if isinstance(service, base))
            add(service, server)
        if credentials is None:
            port = server.add_insecure_port("127.0.0.1:0")
        else:
            port = server.add_secure_port("127.0.0.1:0", credentials)
        server.start()
        self.target = f"127.0.0.1:{port}"
        self.stop = server.stop


@pytest.fixture
def serve() -> Iterator[Serve]:
    serving = Serve()
    yield serving
    serving.stop()


class Awaited:
    """An `AsyncClient` whose coroutines are run, so that one test is good for both clients."""

    def __init__(self, runner: asyncio.Runner, *args, **kwargs) -> None:
        self._runner = runner
        self._client = AsyncClient(*args, **kwargs)

    def __getattr__(self, name: str):
        method = getattr(self._client, name)

        def call(*args, **kwargs):
            outcome = method(*args, **kwargs)
            if isinstance(outcome, Coroutine):
                return self._runner.run(outcome)
            return self._iterate(outcome)

        return call

    def _iterate(self, items: AsyncIterator) -> Iterator:
        async def following():
            return await anext(items)

        try:
            while True:
                try:
                    yield self._runner.run(following())
                except StopAsyncIteration:
                    return
        finally:
            self._runner.run(items.aclose())

    def shut(self) -> None:
        self._runner.run(self._client.close())


@pytest.fixture(scope="session")
def runner():
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(params=["sync", "asyncio"])
def connect(request, runner) -> Iterator[Callable]:
    """Makes a client; the test runs once with each of the two."""
    clients = []

    def make(*args, **kwargs):
        is_sync = request.param == "sync"
        client = Client(*args, **kwargs) if is_sync else Awaited(runner, *args, **kwargs)
        clients.append(client)
        return client

    yield make
    for client in clients:
        client.close() if isinstance(client, Client) else client.shut()
