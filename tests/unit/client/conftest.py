"""A server on a real socket, whose services answer as each test scripts them, and both clients."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor

import grpc
import pytest
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


@pytest.fixture
def serve():
    """Serves the servicers it is called with and returns the address."""
    servers = []

    def start(*services) -> str:
        server = grpc.server(ThreadPoolExecutor(8))
        for service in services:
            (add,) = (add for base, add in _ADD.items() if isinstance(service, base))
            add(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        server.start()
        servers.append(server)
        return f"127.0.0.1:{port}"

    yield start
    for server in servers:
        server.stop(None).wait()


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
