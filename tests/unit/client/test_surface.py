import importlib.metadata
import inspect
import subprocess
import sys

import pytest

from twopass import client
from twopass.client import AsyncClient, Client
from twopass.client._rpcs import Rpc
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)

MODULES = (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)
METHODS = [name for name in vars(Client) if not name.startswith("_")]


def test_both_clients_have_the_same_methods():
    assert [name for name in vars(AsyncClient) if not name.startswith("_")] == METHODS


@pytest.mark.parametrize("name", [*METHODS, "__init__"])
def test_a_method_takes_the_same_on_both_clients(name):
    def shape(method):
        parameters = inspect.signature(method).parameters.values()
        return [(parameter.name, parameter.kind, parameter.default) for parameter in parameters]

    assert shape(getattr(Client, name)) == shape(getattr(AsyncClient, name))


@pytest.mark.parametrize("name", METHODS)
def test_a_method_says_what_it_does_and_what_it_returns(name):
    method = getattr(Client, name)
    assert inspect.getdoc(method)
    signature = inspect.signature(method)
    assert "Call" not in str(signature.return_annotation)
    for parameter in signature.parameters:
        assert parameter == "self" or f"{parameter}:" in method.__doc__


def test_calls_of_the_asyncio_client_are_coroutines():
    assert inspect.iscoroutinefunction(AsyncClient.search)
    assert inspect.isasyncgenfunction(AsyncClient.rerank_stream)


async def test_a_client_for_asyncio_has_the_server_and_the_key_of_the_one_it_comes_from():
    with Client("localhost:1", api_key="secret", timeout=3) as one:
        async with one.for_asyncio() as two, two.for_asyncio() as three:
            assert isinstance(two, AsyncClient)
            assert isinstance(three, AsyncClient)
            assert one._connection is two._connection is three._connection
        await two.close()
        assert not one.is_ready(timeout=0.1)  # asked, so it is still open


def test_the_public_names_are_sorted_and_there():
    assert client.__all__ == sorted(client.__all__)
    assert all(hasattr(client, name) for name in client.__all__)


def test_every_rpc_is_one_of_the_contract_with_its_messages():
    services = {
        service.full_name: service
        for module in MODULES
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    rpcs = [rpc for rpc in vars(client._rpcs).values() if isinstance(rpc, Rpc)]
    # The client writes documents by the stream alone.
    assert {f"{rpc.service}.{rpc.method}" for rpc in rpcs} == {
        method.full_name for service in services.values() for method in service.methods
    } - {"twopass.v1.CollectionService.UpsertDocuments"}
    for rpc in rpcs:
        method = services[rpc.service].methods_by_name[rpc.method]
        assert rpc.parse.__self__.DESCRIPTOR is method.output_type
        assert not (rpc.is_repeatable and method.client_streaming)
        assert rpc.is_repeatable or not rpc.is_read
    writes = ("Create", "Delete", "Rename", "Update", "Upsert", "Restore")
    assert not any(rpc.is_read for rpc in rpcs if rpc.method.startswith(writes))


def test_the_client_needs_grpc_and_protobuf_alone():
    program = "import sys, twopass.client; print(*sys.modules)"
    answer = subprocess.run([sys.executable, "-c", program], capture_output=True, check=True)
    imported = {tuple(name.split(".")[:2]) for name in answer.stdout.decode().split()}
    assert {name for name in imported if name[0] == "twopass"} == {
        ("twopass",),
        ("twopass", "client"),
        ("twopass", "v1"),
    }
    assert not {name[0] for name in imported} & {"numpy", "googleapis", "pydantic"}
    needed = importlib.metadata.requires("twopass-client")
    assert sorted(need.partition(">")[0].partition("<")[0] for need in needed) == [
        "grpcio",
        "protobuf",
    ]
