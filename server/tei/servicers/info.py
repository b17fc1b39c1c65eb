"""tei.v1.Info: the model of a port."""

from twopass.server.request import Request
from twopass.server.tei.operations import TeiOperations
from twopass.tei.v1 import tei_pb2


class InfoServicer:
    """Tells what a port serves."""

    def __init__(self, operations: TeiOperations, model: str) -> None:
        """Takes the operations, and the id of the port's model."""
        self._operations = operations
        self._model = model

    async def info(self, message: tei_pb2.InfoRequest, request: Request) -> tei_pb2.InfoResponse:
        """Describes the model and the limits."""
        del message, request
        info = self._operations.served.info(self._model)
        is_encoder = info.pooling is not None
        return tei_pb2.InfoResponse(
            version=info.version,
            docker_label=info.docker_label,
            model_id=info.model_id,
            model_sha=info.model_sha,
            model_dtype=info.model_dtype,
            model_type=(
                tei_pb2.MODEL_TYPE_EMBEDDING if is_encoder else tei_pb2.MODEL_TYPE_RERANKER
            ),
            max_concurrent_requests=info.max_concurrent_requests,
            max_input_length=info.max_input_length,
            max_batch_tokens=info.max_batch_tokens,
            max_client_batch_size=info.max_client_batch_size,
            tokenization_workers=info.tokenization_workers,
        )
