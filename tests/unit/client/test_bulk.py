"""Batches of texts that wait for room."""

import asyncio

import grpc
import pytest
from google.protobuf.any_pb2 import Any

from twopass.client import Client, InvalidArgumentError, OverloadedError, bulk
from twopass.v1 import embed_pb2, embed_pb2_grpc
from twopass.v1.status_pb2 import RetryInfo, Status


def retry_after(seconds: float) -> bytes:
    retry = RetryInfo()
    retry.retry_delay.FromNanoseconds(round(seconds * 1e9))
    detail = Any(type_url="type.googleapis.com/google.rpc.RetryInfo")
    detail.value = retry.SerializeToString()
    return Status(code=8, message="full", details=[detail]).SerializeToString()


class Encoder(embed_pb2_grpc.EmbedServiceServicer):
    """Fails as often as it is told, then embeds."""

    def __init__(self, failures=0, details=b"", code=grpc.StatusCode.RESOURCE_EXHAUSTED) -> None:
        self.failures, self.details, self.code = failures, details, code
        self.num_calls = 0

    def Embed(self, request, context):
        self.num_calls += 1
        if self.num_calls <= self.failures:
            if self.details:
                context.set_trailing_metadata((("grpc-status-details-bin", self.details),))
            context.abort(self.code, "full")
        return embed_pb2.EmbedResponse(
            embeddings=[embed_pb2.Embedding() for _ in request.texts], model=request.model
        )


@pytest.fixture(params=["sync", "async"])
def embed(request, serve):
    """Embeds two texts by a server, for threads or in an event loop."""

    def embedded(encoder):
        texts = iter(["a", "b"])
        with Client(serve(encoder)) as client:
            if request.param == "sync":
                return bulk.embed_batch(client, texts, model="m")

            async def awaited():
                async with client.for_asyncio() as own:
                    return await bulk.embed_batch_async(own, texts, model="m")

            return asyncio.run(awaited())

    return embedded


def test_a_batch_is_sent_again_whole_when_there_is_room(embed):
    encoder = Encoder(failures=3, details=retry_after(0.01))
    result = embed(encoder)
    assert (len(result.vectors), result.model, encoder.num_calls) == (2, "m", 4)


def test_a_server_that_has_no_room_for_long_is_overloaded(embed, monkeypatch):
    monkeypatch.setattr(bulk, "MAX_WAIT", 0.1)
    encoder = Encoder(failures=100, details=retry_after(0.04))
    with pytest.raises(OverloadedError, match="full") as raised:
        embed(encoder)
    assert raised.value.retry_after == pytest.approx(0.04)
    assert encoder.num_calls == 3


def test_what_waiting_does_not_help_is_raised_at_once(embed):
    for encoder, error in (
        (Encoder(failures=9), OverloadedError),  # a message above the limit
        (Encoder(failures=9, code=grpc.StatusCode.INVALID_ARGUMENT), InvalidArgumentError),
    ):
        with pytest.raises(error):
            embed(encoder)
        assert encoder.num_calls == 1
