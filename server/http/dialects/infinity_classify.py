"""Classification as Infinity has it, below `/infinity`: the scores of a reranker's labels."""

import time

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.superset import SHARED, Usage, usage_of
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.models.passages import check_count
from twopass.server.request import Request
from twopass.server.tei.types import Predictions, TextsToClassify

# Bytes of an answer for each input: two labels and their scores.
_RESULT_BYTES = 96


class ClassifyBody(msgspec.Struct):
    """A request; beside texts, pairs are read, since that is what rerankers are made for."""

    input: list[str | list[str]]
    model: str | None = None
    raw_scores: bool | None = None


class LabelScore(msgspec.Struct):
    """The score of a label."""

    score: float
    label: str


class ClassifyAnswer(msgspec.Struct):
    """For each text the labels, the highest score first."""

    object: str
    data: list[list[LabelScore]]
    model: str
    usage: Usage
    id: str
    created: int


class InfinityClassify:
    """Answers classification requests."""

    def __init__(self, parts: HttpParts) -> None:
        self._parts = parts
        self._scoring = parts.tei.scoring

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Scores the texts of a request."""
        run = self._parts.translating.run
        asked = await run(len(http.body), self._read, http, request=request)
        predicted = await self._scoring.predict(asked, request)
        num_bytes = _RESULT_BYTES * len(predicted.results)
        body = await run(num_bytes, _written, predicted, asked.model, request.id, request=request)
        return Answer(body=body)

    def _read(self, http: HttpRequest) -> TextsToClassify:
        body: ClassifyBody = decode(http.body, ClassifyBody)
        limit = self._parts.limits.max_candidates
        check_count("input", len(body.input), limit, "send them in several requests")
        inputs = [[item] if isinstance(item, str) else item for item in body.input]
        for i, texts in enumerate(inputs):
            if not texts or not all(text.strip() for text in texts):
                raise InvalidRequestError(f"input[{i}]: empty, at least one word is needed")
        return TextsToClassify(
            inputs=inputs,
            model=self._parts.named_models.reranker(http, body.model).spec.id,
            raw_scores=bool(body.raw_scores),
        )


def _written(predicted: Predictions, model: str, request_id: str) -> bytes:
    """The answer as JSON."""
    answer = ClassifyAnswer(
        object="classify",
        data=[
            [LabelScore(prediction.score, prediction.label) for prediction in predictions]
            for predictions in predicted.results
        ],
        model=model,
        usage=usage_of(predicted.cost.num_tokens),
        id=request_id,
        created=int(time.time()),
    )
    return encode(answer)


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """The one path."""
    return [
        Endpoint(
            name="infinity.classify",
            method="POST",
            path="/infinity/classify",
            answer=InfinityClassify(parts).answer,
            dialect=SHARED,
        )
    ]
