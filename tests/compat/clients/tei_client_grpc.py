"""tei-client over gRPC: one address for each model."""

import grpc
from tei_client import GrpcClient
from trial import Ask, run


class _WithKey(
    grpc.UnaryUnaryClientInterceptor,
    grpc.StreamStreamClientInterceptor,
):
    """Sends the key, since the client has no place for one."""

    def __init__(self, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),)

    def intercept_unary_unary(self, continuation, details, request):
        return continuation(details._replace(metadata=self._metadata), request)

    def intercept_stream_stream(self, continuation, details, requests):
        return continuation(details._replace(metadata=self._metadata), requests)


def client_of(ask: Ask, target: str) -> GrpcClient:
    client = GrpcClient(target)
    channel = grpc.intercept_channel(grpc.insecure_channel(target), _WithKey(ask.key))
    client._stubs = type(client._stubs)(channel)
    return client


def rerank(ask: Ask, *, truncate: bool = True):
    client = client_of(ask, ask.rerank_target)
    ranks = client.rerank(ask.query, ask.passages, truncate=truncate).ranks
    return [(hit.index, hit.score) for hit in ranks]


def embed(ask: Ask):
    return client_of(ask, ask.embed_target).embed(ask.texts)


run(
    rerank=rerank,
    embed=embed,
    uncut=lambda ask: rerank(ask, truncate=False),
    without={"model": "an address is one model's"},
)
