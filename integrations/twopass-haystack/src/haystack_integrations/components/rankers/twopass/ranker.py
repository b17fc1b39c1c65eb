"""The second pass alone, for documents that something else has found."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Literal

from haystack import Document, component, default_to_dict, logging
from haystack.utils import Secret
from haystack_integrations.common.twopass.connected_component import ConnectedComponent
from haystack_integrations.common.twopass.connection import (
    Connection,
    default_api_key,
)
from haystack_integrations.document_stores.twopass.converters import (
    ANSWER,
    milliseconds,
    text_of_meta,
    without_nul,
)

from twopass.client import Passage, RerankHit, RerankResult

logger = logging.getLogger(__name__)


@component
class TwopassRanker(ConnectedComponent):
    """Orders documents by how relevant to the query the server's cross-encoder finds them.

    For documents of a twopass collection `TwopassRetriever` does both passes in one call.

    ```python
    ranker = TwopassRanker(top_k=1)
    texts = ["Dates grow on palms.", "strptime parses a date."]
    documents = [Document(content=text) for text in texts]
    ranker.run("How do I parse a date?", documents)["documents"][0].content  # texts[1]
    ```
    """

    def __init__(
        self,
        model: str | None = None,
        top_k: int | None = 10,
        *,
        score_threshold: float | None = None,
        meta_fields_to_embed: list[str] | None = None,
        embedding_separator: str = "\n",
        blend: float | None = None,
        truncation: Literal["truncate", "max_window", "reject"] | None = None,
        instruction: str | None = None,
        target: str | None = None,
        api_key: Secret | None = default_api_key(),  # noqa: B008  # a Secret never changes
        ca: str | None = None,
        client_certificate: str | None = None,
        client_key: str | None = None,
        timeout: float = 30.0,
    ) -> None:
        """Takes the options; connects when it is first run.

        Args:
            model: The id of the server's reranker. None: its default.
            top_k: How many documents to return. None: all.
            score_threshold: Leaves out documents whose score, in [0, 1], is lower. None: leaves
                none out.
            meta_fields_to_embed: Fields of `meta` that the model reads before the content.
            embedding_separator: What stands between the values of these fields.
            blend: Weight in [0, 1] of the documents' own scores in the order. Above 0, every
                document must have one. None: the model's own where every document has one, else 0.
            truncation: What happens to a passage that is too long for the model: "truncate",
                "max_window" (read in windows, of which the best counts) or "reject". None:
                "truncate".
            instruction: What makes a passage relevant, in words, for a model that is told so. None:
                the model's own.
            target: Where the server is, "host:port", or several with commas between them. None:
                `TWOPASS_TARGET`, or "localhost:50051".
            api_key: The key for the server: by default that in `TWOPASS_API_KEY`, if it is set.
            ca: For TLS: a PEM file of authorities to trust, or "system" for the machine's own.
                None: `TWOPASS_CA`, or plain text.
            client_certificate: A PEM file, for a server that asks for it. None:
                `TWOPASS_CLIENT_CERTIFICATE`.
            client_key: The PEM file of its key. None: `TWOPASS_CLIENT_KEY`.
            timeout: Seconds that a call may take.

        Raises:
            ValueError: `top_k` is below 1.
        """
        self.model = model
        self.top_k = _checked(top_k)
        self.score_threshold = score_threshold
        self.meta_fields_to_embed = meta_fields_to_embed or []
        self.embedding_separator = embedding_separator
        self.blend = blend
        self.truncation = truncation
        self.instruction = instruction
        self._connection = Connection(target, api_key, ca, client_certificate, client_key, timeout)

    def to_dict(self) -> dict[str, Any]:
        """Serializes the ranker; of keys the variables' names alone."""
        return default_to_dict(
            self,
            model=self.model,
            top_k=self.top_k,
            score_threshold=self.score_threshold,
            meta_fields_to_embed=self.meta_fields_to_embed,
            embedding_separator=self.embedding_separator,
            blend=self.blend,
            truncation=self.truncation,
            instruction=self.instruction,
            **self._connection.init_parameters(),
        )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, Any]:
        """Orders documents by relevance to the query.

        Of documents with one id, that with the highest score is ranked. Documents without text are
        left out, which the log says.

        Args:
            query: The question.
            documents: The documents, at most as many as the server takes (10,000 by default).
            top_k: How many documents to return. None: the ranker's.
            score_threshold: As the ranker's. None: the ranker's.

        Returns:
            `documents`, best first, with relevance in [0, 1] as `score`; their `meta["twopass"]`
            has `rank`, `score`, `logit`, `first_pass_rank` (the place in `documents`, from 1),
            `truncated`, and `span` with "max_window". `meta` has `model`, `blend`,
            `num_below_min_score`, `usage` in tokens, `query_truncated`, and `timings` in
            milliseconds.

        Raises:
            ValueError: `top_k` is below 1.
            TwopassError: The server refused or failed; the message says why.
        """
        options = self._options(top_k, score_threshold)
        candidates = self._candidates(documents)
        if not candidates:
            return {"documents": [], "meta": {}}
        passages = self._passages(candidates)
        result = self._connection.client().rerank(query, passages, **options)
        return _answer(candidates, result)

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(
        self,
        query: str,
        documents: list[Document],
        top_k: int | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        options = self._options(top_k, score_threshold)
        candidates = self._candidates(documents)
        if not candidates:
            return {"documents": [], "meta": {}}
        passages = self._passages(candidates)
        result = await self._connection.async_client().rerank(query, passages, **options)
        return _answer(candidates, result)

    def _options(self, top_k: int | None, score_threshold: float | None) -> dict[str, Any]:
        top_n = self.top_k if top_k is None else _checked(top_k)
        return {
            "top_n": top_n or 0,
            "model": self.model,
            "blend": self.blend,
            "truncation": self.truncation,
            "min_score": self.score_threshold if score_threshold is None else score_threshold,
            "instruction": self.instruction,
        }

    def _candidates(self, documents: list[Document]) -> list[Document]:
        """The documents to rank: with text, and one for each id."""
        best: dict[str, Document] = {}
        for document in documents:
            known = best.get(document.id)
            if known is None or _score(document) > _score(known):
                best[document.id] = document
        candidates = [each for each in best.values() if (_text(each) + self._title(each)).strip()]
        if len(candidates) < len(best):
            logger.warning(
                "{number} of {total} documents have no text and are not ranked.",
                number=len(best) - len(candidates),
                total=len(best),
            )
        return candidates

    def _passages(self, candidates: list[Document]) -> list[Passage]:
        return [
            Passage(_text(each), title=self._title(each), id=each.id, first_pass_score=each.score)
            for each in candidates
        ]

    def _title(self, document: Document) -> str:
        fields = self.meta_fields_to_embed
        return without_nul(text_of_meta(document, fields, self.embedding_separator))


def _answer(candidates: Sequence[Document], result: RerankResult) -> dict[str, Any]:
    return {
        "documents": [
            _ranked(candidates[hit.index], hit, rank) for rank, hit in enumerate(result.hits, 1)
        ],
        "meta": {
            "model": result.model,
            "blend": result.blend,
            "num_below_min_score": result.num_below_min_score,
            "usage": {"total_tokens": result.num_tokens},
            "query_truncated": result.query_truncated,
            "timings": milliseconds(result.timings),
        },
    }


def _ranked(document: Document, hit: RerankHit, rank: int) -> Document:
    told: dict[str, Any] = {
        "rank": rank,
        "score": hit.score,
        "logit": hit.logit,
        "first_pass_rank": hit.index + 1,
        "truncated": hit.truncated,
    }
    if hit.window is not None:
        told["span"] = {"start": hit.window.start, "end": hit.window.end}
    return replace(document, score=hit.score, meta={**document.meta, ANSWER: told})


def _text(document: Document) -> str:
    return without_nul(document.content or "")


def _score(document: Document) -> float:
    return float("-inf") if document.score is None else document.score


def _checked(top_k: int | None) -> int | None:
    if top_k is not None and top_k < 1:
        raise ValueError(f"top_k: {top_k} given, at least 1 is needed; None for all documents")
    return top_k
