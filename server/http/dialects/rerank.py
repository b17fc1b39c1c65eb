"""Rerank on the paths that Cohere, Jina, vLLM, Voyage, Fireworks, llama.cpp and others share.

Their requests have one structure, as no field means two things; their answers have one too, as each
client reads its own fields and passes over the others. Two of them can be told by the body alone:
Voyage's, whose documents come back as plain strings, and Mixedbread's, whose texts are `input`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import msgspec

from twopass.server.errors import InvalidRequestError
from twopass.server.http.bodies import decode, encode
from twopass.server.http.dialects.ranking import (
    Caps,
    Order,
    RankTexts,
    Texts,
    read_texts,
    read_top_n,
    read_truncation,
    told_of_cuts,
)
from twopass.server.http.dialects.superset import SHARED, Usage, usage_of
from twopass.server.http.dialects.text_parts import TextPart, text_of
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.parts import HttpParts
from twopass.server.request import Request
from twopass.server.search.open_set import RankedSet
from twopass.server.search.spans.settings import MAX_HITS, MAX_UNITS, SpanSettings, SpansStatus
from twopass.server.servicers.options import read_instruction

# Mixedbread returns so many unless `top_k` says otherwise.
_MIXEDBREAD_TOP_K = 10
# Cohere counts a search for every hundred documents.
_DOCUMENTS_OF_A_SEARCH = 100
# Bytes of a result in an answer, its document not counted.
_RESULT_BYTES = 64
# Cohere's spans have at least this score unless `threshold` says otherwise.
_SPAN_THRESHOLD = 0.1
_WITHOUT_SPANS = {
    SpansStatus.PARTIAL: "time did not suffice for all results",
    SpansStatus.SKIPPED_DEADLINE: "time did not suffice; results have none",
    SpansStatus.SKIPPED_OVERLOAD: "the queue was full; results have none",
    SpansStatus.FAILED: "the reranker failed; results have none",
}


class RelevantSpans(msgspec.Struct):
    """What Cohere's clients ask of the parts of documents that answer."""

    mode: str | None = None
    threshold: float | None = None
    max_spans: int | None = None


class RerankBody(msgspec.Struct):
    """A request, with the fields of all dialects; null is the same as nothing."""

    query: str | TextPart
    documents: list[str | dict[str, Any]] | str | None = None
    model: str | None = None
    top_n: int | None = None
    return_documents: bool | str | None = None
    # Cohere's.
    rank_fields: list[str] | None = None
    max_chunks_per_doc: int | None = None
    max_tokens_per_doc: int | None = None
    relevant_spans: RelevantSpans | None = None
    # vLLM's.
    max_tokens_per_query: int | None = None
    truncate_prompt_tokens: int | None = None
    instruction: str | None = None
    chat_template_kwargs: dict[str, Any] | None = None
    use_activation: bool | None = None
    # Voyage's; Mixedbread has `top_k` too.
    top_k: int | None = None
    truncation: bool | None = None
    # Mixedbread's.
    input: list[str | dict[str, Any]] | None = None
    return_input: bool | None = None

    @property
    def is_voyages(self) -> bool:
        """Whether only Voyage's clients send such a request."""
        return self.top_n is None and (self.top_k is not None or self.truncation is not None)

    @property
    def is_mixedbreads(self) -> bool:
        """Whether only Mixedbread's clients send such a request."""
        return self.documents is None and self.input is not None

    @property
    def is_vllms(self) -> bool:
        """Whether only vLLM's clients send such a request."""
        told = (self.max_tokens_per_query, self.truncate_prompt_tokens, self.use_activation)
        return any(value is not None for value in (*told, self.instruction))


class RelevantSpan(msgspec.Struct):
    """A part of a document: its first code point, one past its last, and how well it answers."""

    start: int
    end: int
    score: float


class Result(msgspec.Struct, omit_defaults=True):
    """A document in order."""

    index: int
    relevance_score: float
    document: dict[str, Any] | str | None = None
    relevant_spans: list[RelevantSpan] | None = None


class MixedbreadResult(msgspec.Struct, omit_defaults=True):
    """A document in order, in Mixedbread's names."""

    index: int
    score: float
    object: str
    input: dict[str, Any] | str | None = None


class ApiVersion(msgspec.Struct):
    """The version of Cohere's interface."""

    version: str


class BilledUnits(msgspec.Struct):
    """What Cohere would bill."""

    search_units: int


class Tokens(msgspec.Struct):
    """Cohere's count of tokens."""

    input_tokens: int
    output_tokens: int = 0


class Meta(msgspec.Struct):
    """What Cohere's clients are told of a request."""

    api_version: ApiVersion
    billed_units: BilledUnits
    tokens: Tokens
    warnings: list[str] | msgspec.UnsetType = msgspec.UNSET


class RerankAnswer(msgspec.Struct):
    """An answer with the fields of all dialects.

    Attributes:
        results: What all but Voyage's and Fireworks' clients read.
        data: The same, for those two.
    """

    object: str
    id: str
    model: str
    results: msgspec.Raw
    data: msgspec.Raw | msgspec.UnsetType
    usage: Usage
    meta: Meta


class MixedbreadAnswer(msgspec.Struct):
    """An answer to Mixedbread's clients."""

    object: str
    model: str
    data: list[MixedbreadResult]
    usage: Usage
    top_k: int
    return_input: bool


@dataclass(frozen=True, slots=True)
class _Asked:
    """A request, read.

    Attributes:
        body: Its fields.
        documents: Its documents as they came.
        texts: What the model is to read.
        order: How it wants them ordered.
    """

    body: RerankBody
    documents: list[str | dict[str, Any]]
    texts: Texts
    order: Order


class Rerank:
    """Answers rerank requests on one path."""

    def __init__(
        self,
        parts: HttpParts,
        *,
        version: str = "1",
        returns_documents: bool = False,
        has_data: bool = True,
    ) -> None:
        """Prepares a path.

        Args:
            parts: What it works with.
            version: That of Cohere's interface.
            returns_documents: Whether documents come back where a request does not say.
            has_data: Whether results are also under the name `data`.
        """
        self._parts = parts
        self._ranking = RankTexts(parts)
        self._version = version
        self._returns_documents = returns_documents
        self._has_data = has_data

    async def answer(self, http: HttpRequest, request: Request) -> Answer:
        """Ranks the documents of a request."""
        run = self._parts.translating.run_json
        asked = await run(len(http.body), self._read, http, request=request)
        ranked = await self._ranking.rank(asked.texts, asked.order, request)
        num_bytes = _RESULT_BYTES * (len(ranked.order) + MAX_UNITS * len(ranked.spans.hits))
        if self._returns(asked.body):
            num_bytes += len(http.body)
        body = await run(num_bytes, self._written, asked, ranked, request.id, request=request)
        return Answer(body=body, headers=told_of_cuts(ranked))

    def _read(self, http: HttpRequest) -> _Asked:
        body: RerankBody = decode(http.body, RerankBody)
        field, documents = _documents(body)
        passages = [
            document
            if isinstance(document, str)
            else text_of(document, body.rank_fields or (), f"{field}[{i}]")
            for i, document in enumerate(documents)
        ]
        count = len(documents)
        top_n = read_top_n("top_n", body.top_n, count)
        if body.top_n is None:
            top_n = read_top_n("top_k", body.top_k, count)
        if body.is_mixedbreads and body.top_k is None:
            top_n = min(_MIXEDBREAD_TOP_K, count)
        order = Order(
            reranker=self._parts.named_models.reranker(http, body.model),
            field=field,
            top_n=top_n,
            truncates=body.truncation is not False,
            way_out="set truncation to true",
            truncation=read_truncation(http),
            instruction=read_instruction("instruction", _instruction(body), self._parts.limits),
            spans=_span_settings(body, top_n or count),
            caps=Caps(
                query=max(0, body.max_tokens_per_query or 0),
                passage=max(0, body.max_tokens_per_doc or 0),
                pair=max(0, body.truncate_prompt_tokens or 0),
                windows=max(0, body.max_chunks_per_doc or 0),
            ),
        )
        query = body.query if isinstance(body.query, str) else body.query.text
        return _Asked(
            body, documents, read_texts(query, passages, order, self._parts.limits), order
        )

    def _returns(self, body: RerankBody) -> bool:
        """Whether documents come back."""
        if body.is_mixedbreads:
            return bool(body.return_input)
        stated = body.return_documents
        if stated is None:
            return self._returns_documents or body.is_vllms
        return stated if isinstance(stated, bool) else stated.lower() in ("true", "1")

    def _written(self, asked: _Asked, ranked: RankedSet, call_id: str) -> bytes:
        body = asked.body
        order = ranked.order.tolist()
        values = ranked.logits if body.use_activation is False else ranked.scores
        scores = values[ranked.order].tolist()
        documents: list[dict[str, Any] | str | None] = [None] * len(order)
        if self._returns(body):
            written = _as_text if body.is_voyages or body.is_mixedbreads else _as_object
            documents = [written(asked, i) for i in order]
        usage = usage_of(ranked.num_tokens)
        if body.is_mixedbreads:
            return encode(
                MixedbreadAnswer(
                    object="list",
                    model=ranked.model,
                    data=[
                        MixedbreadResult(index, score, "rank_result", document)
                        for index, score, document in zip(order, scores, documents, strict=True)
                    ],
                    usage=usage,
                    top_k=len(order),
                    return_input=bool(body.return_input),
                )
            )
        spans = [_relevant_spans(ranked, rank) for rank in range(len(order))]
        results = msgspec.Raw(encode(list(map(Result, order, scores, documents, spans))))
        return encode(
            RerankAnswer(
                object="list",
                id=call_id,
                model=ranked.model,
                results=results,
                data=results if self._has_data or body.is_voyages else msgspec.UNSET,
                usage=usage,
                meta=self._meta(asked, ranked),
            )
        )

    def _meta(self, asked: _Asked, ranked: RankedSet) -> Meta:
        warnings = list(_span_warnings(asked, ranked))
        return Meta(
            api_version=ApiVersion(self._version),
            billed_units=BilledUnits(-(-len(asked.documents) // _DOCUMENTS_OF_A_SEARCH)),
            tokens=Tokens(ranked.num_tokens),
            warnings=warnings or msgspec.UNSET,
        )


def endpoints(parts: HttpParts) -> list[Endpoint]:
    """Rerank on every path that no other dialect has."""
    first = Rerank(parts)
    second = Rerank(parts, version="2", has_data=False)
    answers = {
        "/v1/rerank": ("cohere.v1.rerank", first),
        "/v2/rerank": ("cohere.v2.rerank", second),
        "/inference/v1/rerank": ("fireworks.rerank", first),
        "/reranking": ("llamacpp.rerank", first),
        "/v1/reranking": ("llamacpp.rerank", first),
    }
    return [
        Endpoint(name=name, method="POST", path=path, answer=rerank.answer, dialect=SHARED)
        for path, (name, rerank) in answers.items()
    ]


def vllm_endpoint(parts: HttpParts) -> Endpoint:
    """Rerank at `/rerank`, for requests that have `documents`; TEI's have `texts`."""
    rerank = Rerank(parts, returns_documents=True, has_data=False)
    return Endpoint(
        name="vllm.rerank", method="POST", path="/rerank", answer=rerank.answer, dialect=SHARED
    )


def _documents(body: RerankBody) -> tuple[str, list[str | dict[str, Any]]]:
    """The documents of a request, and the field that they came in."""
    if body.documents is None:
        if body.input is None:
            raise InvalidRequestError("documents: missing; give a list of texts")
        return "input", body.input
    if isinstance(body.documents, str):
        return "documents", [body.documents]
    return "documents", body.documents


def _instruction(body: RerankBody) -> str:
    if body.instruction is not None:
        return body.instruction
    stated = (body.chat_template_kwargs or {}).get("instruction", "")
    return stated if isinstance(stated, str) else ""


def _span_settings(body: RerankBody, num_results: int) -> SpanSettings | None:
    """Which sentences are looked for; None where none are asked for.

    Raises:
        InvalidRequestError: `max_spans` is below 1.
    """
    asked = body.relevant_spans
    if asked is None or asked.mode != "enabled":
        return None
    most = MAX_UNITS if asked.max_spans is None else asked.max_spans
    if most < 1:
        raise InvalidRequestError(
            f"relevant_spans.max_spans: {most} given, at least 1 is needed; leave it out for all",
            limit=1,
            value=most,
        )
    return SpanSettings(
        hits=min(num_results, MAX_HITS),
        max_spans=min(most, MAX_UNITS),
        min_score=_SPAN_THRESHOLD if asked.threshold is None else asked.threshold,
    )


def _relevant_spans(ranked: RankedSet, rank: int) -> list[RelevantSpan] | None:
    """The spans of a result as Cohere has them; None where there is none."""
    spans = ranked.spans.of(rank).spans
    return [RelevantSpan(span.start, span.end, span.score) for span in spans] or None


def _span_warnings(asked: _Asked, ranked: RankedSet) -> Iterator[str]:
    """Why results are without spans though they are asked for."""
    if asked.order.spans is None:
        return
    if why := _WITHOUT_SPANS.get(ranked.spans.status):
        yield f"relevant_spans: {why}"
    if len(ranked.order) > MAX_HITS:
        yield f"relevant_spans: told of the first {MAX_HITS} results"


def _as_text(asked: _Asked, index: int) -> dict[str, Any] | str:
    """A document as Voyage has it: as it came."""
    return asked.documents[index]


def _as_object(asked: _Asked, index: int) -> dict[str, Any] | str:
    """A document as an object whose `text` is a text, as Cohere's clients demand."""
    document = asked.documents[index]
    if isinstance(document, str):
        return {"text": document}
    if isinstance(document.get("text"), str):
        return document
    return {**document, "text": asked.texts.passages[index]}
