"""tei.v1.Predict: texts and pairs of texts in, scores of classes out."""

from collections.abc import AsyncIterator, Sequence

from google.protobuf.message import Message

from twopass.server.edge.calls import HeadedAnswer
from twopass.server.errors import InvalidRequestError
from twopass.server.request import Request
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.servicers.messages import metadata_of, read_direction, with_headers
from twopass.server.tei.servicers.streams import answers_in_order
from twopass.server.tei.types import Predictions, TextsToClassify
from twopass.tei.v1 import tei_pb2

# Of an answer: a few labels with their scores, and the metadata.
_ANSWER_BYTES = 256


class PredictServicer:
    """Translates; `Scoring` does the work."""

    def __init__(self, operations: TeiOperations, model: str) -> None:
        """Takes the operations, and the id of the port's model."""
        self._operations = operations
        self._model = model

    async def predict(self, message: tei_pb2.PredictRequest, request: Request) -> HeadedAnswer:
        """Classifies one text."""
        return _headed(await self._predictions([message.inputs], message, request))

    async def predict_pair(
        self, message: tei_pb2.PredictPairRequest, request: Request
    ) -> HeadedAnswer:
        """Classifies a text or a pair."""
        return _headed(await self._predictions(_text_or_pair(message), message, request))

    def predict_stream(
        self, messages: AsyncIterator[tei_pb2.PredictRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Classifies texts as they come."""

        async def answer(message: tei_pb2.PredictRequest, part: Request) -> Message:
            return _response(await self._predictions([message.inputs], message, part))

        return answers_in_order(messages, answer, request, lambda _: _ANSWER_BYTES)

    def predict_pair_stream(
        self, messages: AsyncIterator[tei_pb2.PredictPairRequest], request: Request
    ) -> AsyncIterator[Message]:
        """Classifies texts and pairs as they come."""

        async def answer(message: tei_pb2.PredictPairRequest, part: Request) -> Message:
            return _response(await self._predictions(_text_or_pair(message), message, part))

        return answers_in_order(messages, answer, request, lambda _: _ANSWER_BYTES)

    async def _predictions(
        self,
        texts: Sequence[str],
        message: tei_pb2.PredictRequest | tei_pb2.PredictPairRequest,
        request: Request,
    ) -> Predictions:
        asked = TextsToClassify(
            inputs=[texts],
            model=self._model,
            truncate=message.truncate,
            direction=read_direction(message),
            raw_scores=message.raw_scores,
        )
        return await self._operations.scoring.predict(asked, request)


def _text_or_pair(message: tei_pb2.PredictPairRequest) -> Sequence[str]:
    if not 1 <= len(message.inputs) <= 2:
        raise InvalidRequestError(
            f"`inputs` must have a single or two elements. Given: {len(message.inputs)}"
        )
    return message.inputs


def _response(predictions: Predictions) -> tei_pb2.PredictResponse:
    (labels,) = predictions.results
    return tei_pb2.PredictResponse(
        predictions=[tei_pb2.Prediction(score=each.score, label=each.label) for each in labels],
        metadata=metadata_of(predictions.cost),
    )


def _headed(predictions: Predictions) -> HeadedAnswer:
    return with_headers(_response(predictions), predictions.cost)
