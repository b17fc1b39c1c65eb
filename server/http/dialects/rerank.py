"""Rerank on the paths that Cohere, Jina, vLLM, Voyage, Fireworks, llama.cpp and others share.

Their requests have one structure, as no field means two things; their answers have one too, as each
client reads its own fields and passes over the others. Two of them can be told by the body alone:
Voyage's, whose documents come back as plain strings, and Mixedbread's, whose texts are `input`.
"""

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
from twopass.server.servicers.options import read_instruction

# Mixedbread returns so many unless `top_k` says otherwise.
_MIXEDBREAD_TOP_K = 10
# Cohere counts a search for every hundred documents.
_DOCUMENTS_OF_A_SEARCH = 100
# Bytes of a result in an answer, its document not counted.
_RESULT_BYTES = 64
_SPANS_WARNING = "relevant_spans: not told by this server; results have none"


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
    relevant_spans: dict[str, Any] | None = None
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


class Result(msgspec.Struct, omit_defaults=True):
    """A document in order."""

    index: int
    relevance_score: float
    document: dict[str, Any] | str | None = None


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
        num_bytes = _RESULT_BYTES * len(ranked.order)
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
        results = msgspec.Raw(encode(list(map(Result, order, scores, documents))))
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
        spans = asked.body.relevant_spans
        return Meta(
            api_version=ApiVersion(self._version),
            billed_units=BilledUnits(-(-len(asked.documents) // _DOCUMENTS_OF_A_SEARCH)),
            tokens=Tokens(ranked.num_tokens),
            warnings=[_SPANS_WARNING]
            if spans and spans.get("mode") == "enabled"
            else msgspec.UNSET,
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
