"""Stubs of tei.v1, made of our descriptors; the stubs of other clients call the same."""

from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import grpc
from google.protobuf import message_factory
from google.protobuf.descriptor import MethodDescriptor

from twopass.tei.v1 import tei_pb2

from .serving import WithKey


class TeiStubs:
    """A connection to a port that speaks tei.v1.

    Attributes:
        channel: The connection.
        info: The rpc `tei.v1.Info.Info`.
        embed, predict, rerank, tokenize: The rpcs of the services, by their names.
    """

    def __init__(
        self,
        target: str,
        *,
        api_key: str | None = None,
        credentials: grpc.ChannelCredentials | None = None,
    ) -> None:
        self.channel = (
            grpc.secure_channel(target, credentials)
            if credentials
            else grpc.insecure_channel(target)
        )
        if api_key is not None:
            self.channel = grpc.intercept_channel(self.channel, WithKey(api_key))
        self.info = self._rpcs("Info").Info
        self.embed, self.predict = self._rpcs("Embed"), self._rpcs("Predict")
        self.rerank, self.tokenize = self._rpcs("Rerank"), self._rpcs("Tokenize")

    def _rpcs(self, service: str) -> SimpleNamespace:
        methods = tei_pb2.DESCRIPTOR.services_by_name[service].methods
        return SimpleNamespace(**{method.name: self._rpc(method) for method in methods})

    def _rpc(self, method: MethodDescriptor) -> Callable[..., Any]:
        kinds = {
            (False, False): self.channel.unary_unary,
            (True, False): self.channel.stream_unary,
            (True, True): self.channel.stream_stream,
        }
        made: Callable[..., Any] = kinds[method.client_streaming, method.server_streaming](
            f"/{method.containing_service.full_name}/{method.name}",
            message_factory.GetMessageClass(method.input_type).SerializeToString,
            message_factory.GetMessageClass(method.output_type).FromString,
        )
        return made
