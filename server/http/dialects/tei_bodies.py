"""The bodies of TEI's requests and answers, in its names, and what they mean.

Its unions are untagged: what stands in `inputs` tells what is meant.
"""

from typing import Annotated, Any, Literal

import msgspec

from twopass.server.http.bodies import MalformedBodyError
from twopass.server.http.dialects.embedding import component_bytes
from twopass.server.http.endpoint import HttpRequest
from twopass.server.http.vectors import VectorType
from twopass.server.tei.types import (
    IdsToDecode,
    Info,
    Predictions,
    Ranks,
    SentencesToCompare,
    Text,
    TextsToClassify,
    TextsToEmbed,
    TextsToRank,
    TextsToTokenize,
    TruncationDirection,
)

_Direction = Literal["right", "left", "Right", "Left"]
TOKEN_BYTES = 88
"""Bytes of a token in an answer beside its text, as an upper bound: names, numbers of up to seven
digits, and what JSON writes for a character that it escapes."""

_Name = Annotated[str, msgspec.Meta(max_length=1_000)]


class RerankBody(msgspec.Struct):
    """A request to `/rerank`; TEI knows no `top_n`, but clients send it."""

    query: str
    texts: list[str]
    truncate: bool | None = None
    truncation_direction: _Direction | None = None
    raw_scores: bool | None = None
    return_text: bool | None = None
    top_n: int | None = None

    def read(self, http: HttpRequest) -> TextsToRank:
        """What is asked for."""
        return TextsToRank(
            query=self.query,
            texts=self.texts,
            model=http.model,
            truncate=self.truncate is not False,
            direction=_direction(self.truncation_direction),
            raw_scores=bool(self.raw_scores),
            top_n=self.top_n or 0,
        )


class PredictBody(msgspec.Struct):
    """A request to `/predict`: a text, a pair of texts, or a list of lists of one or two texts."""

    inputs: str | list[str | list[str]]
    truncate: bool | None = None
    truncation_direction: _Direction | None = None
    raw_scores: bool | None = None

    @property
    def is_batch(self) -> bool:
        """Whether the answer is a list with one item for each text or pair."""
        return isinstance(self.inputs, list) and isinstance(self.inputs[0], list)

    def read(self, http: HttpRequest) -> TextsToClassify:
        """What is asked for."""
        return TextsToClassify(
            inputs=self._inputs(),
            model=http.model,
            truncate=self.truncate is not False,
            direction=_direction(self.truncation_direction),
            raw_scores=bool(self.raw_scores),
        )

    def _inputs(self) -> list[list[str]]:
        given = self.inputs
        if isinstance(given, str):
            return [[given]]
        texts = [each for each in given if isinstance(each, str)]
        if texts and len(texts) == len(given) and len(texts) <= 2:
            return [texts]
        lists = [each for each in given if not isinstance(each, str)]
        if not given or len(lists) < len(given):
            raise MalformedBodyError(
                "inputs: a text, a pair of texts, or a list of lists of one or two texts is needed",
                is_syntax=False,
            )
        return lists


class EmbedBody(msgspec.Struct):
    """A request to `/embed`, `/embed_all` or `/embed_sparse`.

    `inputs` is a text, the token ids of one, or a list of texts and lists of token ids.
    """

    inputs: str | list[str | int | list[int]]
    truncate: bool | None = None
    truncation_direction: _Direction | None = None
    prompt_name: _Name | None = None
    normalize: bool | None = None
    dimensions: int | None = None

    def read(self, http: HttpRequest) -> TextsToEmbed:
        """What is asked for."""
        return TextsToEmbed(
            inputs=self._inputs(),
            model=http.model,
            truncate=self.truncate is not False,
            direction=_direction(self.truncation_direction),
            prompt_name=self.prompt_name,
            dimensions=self.dimensions,
            normalize=self.normalize is not False,
            component_bytes=component_bytes(VectorType.FLOAT, is_base64=False),
        )

    def _inputs(self) -> list[Text]:
        if isinstance(self.inputs, str):
            return [self.inputs]
        ids = [each for each in self.inputs if isinstance(each, int)]
        if ids and len(ids) == len(self.inputs):
            return [ids]
        texts: list[Text] = [each for each in self.inputs if not isinstance(each, int)]
        if ids:
            at = next(i for i, each in enumerate(self.inputs) if isinstance(each, int))
            raise MalformedBodyError(
                f"inputs[{at}]: a token id among texts; put the ids of each text into a list",
                is_syntax=False,
            )
        return texts


class SimilarityInputs(msgspec.Struct):
    """What is compared."""

    source_sentence: str
    sentences: list[str]


class SimilarityParameters(msgspec.Struct):
    """How it is read."""

    truncate: bool | None = None
    truncation_direction: _Direction | None = None
    prompt_name: _Name | None = None


class SimilarityBody(msgspec.Struct):
    """A request to `/similarity`."""

    inputs: SimilarityInputs
    parameters: SimilarityParameters | None = None

    def read(self, http: HttpRequest) -> SentencesToCompare:
        """What is asked for."""
        parameters = self.parameters or SimilarityParameters()
        return SentencesToCompare(
            source_sentence=self.inputs.source_sentence,
            sentences=self.inputs.sentences,
            model=http.model,
            truncate=parameters.truncate is not False,
            direction=_direction(parameters.truncation_direction),
            prompt_name=parameters.prompt_name,
        )


class TokenizeBody(msgspec.Struct):
    """A request to `/tokenize`."""

    inputs: str | list[str]
    add_special_tokens: bool | None = None
    prompt_name: _Name | None = None

    def read(self, http: HttpRequest) -> TextsToTokenize:
        """What is asked for."""
        return TextsToTokenize(
            inputs=[self.inputs] if isinstance(self.inputs, str) else self.inputs,
            model=http.model,
            add_special_tokens=self.add_special_tokens is not False,
            prompt_name=self.prompt_name,
            token_bytes=TOKEN_BYTES,
        )


class DecodeBody(msgspec.Struct):
    """A request to `/decode`: the token ids of a text, or a list of them for each."""

    ids: list[int | list[int]]
    skip_special_tokens: bool | None = None

    def read(self, http: HttpRequest) -> IdsToDecode:
        """What is asked for."""
        single = [each for each in self.ids if isinstance(each, int)]
        lists = [each for each in self.ids if not isinstance(each, int)]
        if single and lists:
            raise MalformedBodyError(
                "ids: token ids, or lists of token ids are needed, not both", is_syntax=False
            )
        return IdsToDecode(
            ids=[single] if single else lists,
            model=http.model,
            skip_special_tokens=self.skip_special_tokens is not False,
        )


class VertexBody(msgspec.Struct):
    """A request to `/vertex`: requests of any kind."""

    instances: list[msgspec.Raw]


class Glance(msgspec.Struct):
    """What tells one kind of request from another; everything else is passed over."""

    texts: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    inputs: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET


class Rank(msgspec.Struct):
    """A text in the order."""

    index: int
    text: str | msgspec.UnsetType
    score: float


class ErrorBody(msgspec.Struct, omit_defaults=True):
    """A failure; `detail` is ours."""

    error: str
    error_type: str
    detail: str = ""


def ranks_of(ranks: Ranks, texts: list[str] | None) -> list[Rank]:
    """The answer to `/rerank`; `texts` are repeated in it, None for none."""
    return [
        Rank(index, msgspec.UNSET if texts is None else texts[index], score)
        for index, score in zip(ranks.order.tolist(), ranks.scores.tolist(), strict=True)
    ]


def predictions_of(predictions: Predictions, *, is_batch: bool) -> Any:
    """The answer to `/predict`."""
    return predictions.results if is_batch else predictions.results[0]


def info_of(info: Info) -> dict[str, Any]:
    """The answer to `/info`; every key is there, since clients need them all."""
    return {
        "model_id": info.model_id,
        "model_sha": info.model_sha,
        "model_dtype": info.model_dtype,
        "served_model_name": info.model_id,
        "model_type": _model_type(info),
        "max_concurrent_requests": info.max_concurrent_requests,
        "max_input_length": info.max_input_length,
        "max_batch_tokens": info.max_batch_tokens,
        "max_batch_requests": None,
        "max_client_batch_size": info.max_client_batch_size,
        "auto_truncate": info.auto_truncate,
        "tokenization_workers": info.tokenization_workers,
        "version": info.version,
        "sha": None,
        "docker_label": info.docker_label,
    }


def _model_type(info: Info) -> dict[str, Any]:
    if info.pooling is not None:
        return {"embedding": {"pooling": info.pooling}}
    return {"reranker": {"id2label": info.id2label, "label2id": info.label2id}}


def _direction(given: _Direction | None) -> TruncationDirection:
    return TruncationDirection(given.lower()) if given else TruncationDirection.RIGHT
