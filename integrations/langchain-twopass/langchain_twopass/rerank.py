"""The second pass alone, as a document compressor."""

import uuid
from collections.abc import Sequence
from typing import Any, TypeAlias

from langchain_core.callbacks import Callbacks
from langchain_core.documents import BaseDocumentCompressor, Document
from pydantic import ConfigDict, Field

from langchain_twopass.connection import TwopassConnection
from langchain_twopass.documents import RELEVANCE, span_of, timings_of
from twopass.client import Passage, QueryTruncation, RerankResult, Truncation

_Found: TypeAlias = tuple[int, Document]
"""A document and its place among those given, from 0."""


class TwopassRerank(BaseDocumentCompressor, TwopassConnection):
    """Reads the query with each document, and returns the best documents, best first.

    For what another retriever has found: `ContextualCompressionRetriever(base_compressor=
    TwopassRerank(top_n=5), base_retriever=...)`. For a collection of the server's own,
    `TwopassRetriever` does the same in one call.
    """

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    top_n: int | None = Field(default=3, ge=1)
    """How many documents to return. None: all."""

    model: str | None = None
    """The reranker's id. None: the server's default."""

    score_threshold: float | None = None
    """Leaves out documents whose calibrated relevance, in [0, 1], is lower. None: keeps all."""

    blend: float | None = Field(default=None, ge=0.0, le=1.0)
    """The weight of the first pass in the order; needs `first_pass_score_key`. None: the model's
    own where every document has a first-pass score, else 0."""

    first_pass_score_key: str | None = Field(default=None, min_length=1)
    """The metadata key of the score that the first pass gave; higher is better. None: unknown."""

    title_key: str | None = Field(default=None, min_length=1)
    """The metadata key of a title, which the model reads before the text. None: the text alone."""

    truncation: Truncation | None = None
    """What becomes of a passage that is too long for the model: "truncate", "max_window" (the best
    window counts) or "reject". None: "truncate"."""

    instruction: str | None = None
    """What makes a passage relevant, in words, for a model that is told so. None: its own."""

    query_truncation: QueryTruncation | None = None
    """What becomes of a query with more tokens than the model reads: "truncate" or "reject". None:
    "truncate"."""

    details_key: str | None = Field(default="twopass", min_length=1)
    """The metadata key of scores, ranks and timings beside `relevance_score`. None: that alone."""

    timeout: float | None = Field(default=None, gt=0.0)
    """Seconds that a call may take. None: 30, or what the `client` given has."""

    def compress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """The documents most relevant to a query, best first; those given are left as they are.

        Documents without text, as empty pages are, are left out: there is nothing to read.

        Args:
            documents: What was found, at most the server's limit (10,000 by default).
            query: The question.
            callbacks: Those of the run that this is a part of, whose id the request bears.

        Raises:
            TwopassError: The server could not answer; the class says why.
        """
        read = [each for each in enumerate(documents) if self._has_text(each[1])]
        if not read:
            return []
        request_id = _request_id(callbacks)
        result = self.connected().rerank(query, **self._arguments_of(read, request_id))
        return self._reranked(read, result, request_id)

    async def acompress_documents(
        self, documents: Sequence[Document], query: str, callbacks: Callbacks | None = None
    ) -> Sequence[Document]:
        """As `compress_documents`, by the client for asyncio; cancelling it cancels the call."""
        read = [each for each in enumerate(documents) if self._has_text(each[1])]
        if not read:
            return []
        request_id = _request_id(callbacks)
        result = await self.connected_async().rerank(query, **self._arguments_of(read, request_id))
        return self._reranked(read, result, request_id)

    def _arguments_of(self, read: Sequence[_Found], request_id: str) -> dict[str, Any]:
        return {
            "passages": [self._passage(document) for _, document in read],
            "top_n": self.top_n or 0,
            "model": self.model,
            "blend": self.blend,
            "truncation": self.truncation,
            "min_score": self.score_threshold,
            "instruction": self.instruction,
            "query_truncation": self.query_truncation,
            "timeout": self.timeout,
            "request_id": request_id,
        }

    def _passage(self, document: Document) -> Passage:
        score = None
        if self.first_pass_score_key is not None:
            score = document.metadata.get(self.first_pass_score_key)
        return Passage(_text(document), title=self._title(document), first_pass_score=score)

    def _has_text(self, document: Document) -> bool:
        return bool(_text(document).strip() or self._title(document).strip())

    def _title(self, document: Document) -> str:
        title = None if self.title_key is None else document.metadata.get(self.title_key)
        return str(title or "").replace("\0", " ")

    def _reranked(
        self, read: Sequence[_Found], result: RerankResult, request_id: str
    ) -> list[Document]:
        timings = timings_of(result.timings)
        reranked = []
        for rank, hit in enumerate(result.hits, start=1):
            index, found = read[hit.index]
            metadata = {**found.metadata, RELEVANCE: hit.score}
            if self.details_key is not None:
                metadata[self.details_key] = {
                    "rank": rank,
                    "first_pass_rank": index + 1,
                    "score": hit.score,
                    "logit": hit.logit,
                    "truncated": hit.truncated,
                    "span": span_of(hit.window),
                    "reranker": result.model,
                    "blend": result.blend,
                    "num_below_min_score": result.num_below_min_score,
                    "query_truncated": result.query_truncated,
                    "request_id": request_id,
                    "timings": dict(timings),
                }
            reranked.append(found.model_copy(update={"metadata": metadata}))
        return reranked


def _text(document: Document) -> str:
    """What the model reads: a NUL, as extraction from PDFs leaves them, fails no request."""
    return document.page_content.replace("\0", " ")


def _request_id(callbacks: Callbacks) -> str:
    """The id of the run that this is a part of, so that traces and the server's log meet."""
    run = getattr(callbacks, "parent_run_id", None)
    return str(run or uuid.uuid4())
