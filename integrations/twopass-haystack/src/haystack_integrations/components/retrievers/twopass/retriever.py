"""Both passes of retrieval in one call."""

from typing import Any, Literal

from haystack import Document, component, default_to_dict
from haystack.document_stores.types import FilterPolicy, apply_filter_policy
from haystack_integrations.components.retrievers.twopass.options import (
    checked_store,
    checked_top_k,
    policy_of,
)
from haystack_integrations.components.retrievers.twopass.store_component import StoreComponent
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

from twopass.client import ConvexFusion, ReciprocalRankFusion, Rerank, Retrieve


@component
class TwopassRetriever(StoreComponent):
    """Retrieves documents by both passes: vectors and words find candidates, a cross-encoder reads.

    The candidates never leave the server, which keeps their tokens: no ranker is needed behind.

    ```python
    retriever = TwopassRetriever(TwopassDocumentStore(collection="docs"), top_k=3)
    answer = retriever.run("How do I parse a date?")
    print(answer["meta"]["rerank_status"])
    for document in answer["documents"]:
        print(document.score, document.content, document.meta["twopass"]["first_pass_rank"])
    ```
    """

    def __init__(
        self,
        document_store: TwopassDocumentStore,
        *,
        filters: dict[str, Any] | None = None,
        top_k: int = 10,
        filter_policy: str | FilterPolicy = FilterPolicy.REPLACE,
        score_threshold: float | None = None,
        mode: Literal["dense", "lexical", "hybrid"] | None = None,
        num_candidates: int | None = None,
        fusion: Literal["rrf", "convex"] | None = None,
        alpha: float | None = None,
        rerank: bool = True,
        rerank_depth: int | None = None,
        reranker: str | None = None,
        blend: float | None = None,
        truncation: Literal["truncate", "max_window", "reject"] | None = None,
        query_instruction: str | None = None,
        rerank_instruction: str | None = None,
        time_budget: float | None = None,
        allow_fallback: bool = True,
    ) -> None:
        """Takes the options of searches; connects when it is first run.

        Args:
            document_store: The collection.
            filters: Which documents are considered. None: all.
            top_k: How many documents to return.
            filter_policy: Whether filters given to `run` replace these, or are merged with them.
            score_threshold: Leaves out documents whose `score` by the second pass, in [0, 1], is
                lower. None: leaves none out.
            mode: How candidates are found: by nearest embeddings, by BM25 over the words, or by
                both, fused. None: the server's default, "hybrid".
            num_candidates: How many candidates the first pass finds, 1 to 2,048. None: 50, or
                `top_k` if that is larger.
            fusion: How "hybrid" joins its two lists: by ranks or by scores. None: the server's
                default.
            alpha: The weight of embeddings in "convex", 0 to 1; the rest is that of words. None:
                the server's default.
            rerank: Whether there is a second pass. False: first-pass order.
            rerank_depth: How many candidates the second pass reads, from the first. None: all.
            reranker: The id of the server's reranker. None: its default.
            blend: Weight of the first pass in the order of what the second has read, 0 to 1. None:
                the model's own.
            truncation: What happens to a passage that is too long for the reranker: "truncate",
                "max_window" (read in windows, of which the best counts) or "reject". None:
                "truncate".
            query_instruction: What the query is embedded for, in words, for an encoder that is told
                so. None: the model's own.
            rerank_instruction: What makes a passage relevant, in words, for a reranker that is told
                so. None: the model's own.
            time_budget: Seconds for both passes; when they are up the search answers what it has.
                None: the store's `timeout` alone, after which the call fails.
            allow_fallback: Whether the search may answer in first-pass order when the second pass
                is late, overloaded or failing, and by one list of "hybrid" when the other is;
                `meta` tells. False: the cause is raised.

        Raises:
            ValueError: `document_store` is another store, `top_k` is below 1, or `alpha` is given
                for a fusion by ranks.
        """
        if alpha is not None and fusion == "rrf":
            raise ValueError('alpha: given, but "rrf" has no weights; choose fusion="convex"')
        self.document_store = checked_store(document_store)
        self.filters = filters
        self.top_k = checked_top_k(top_k)
        self.filter_policy = policy_of(filter_policy)
        self.score_threshold = score_threshold
        self.mode = mode
        self.num_candidates = num_candidates
        self.fusion = fusion
        self.alpha = alpha
        self.rerank = rerank
        self.rerank_depth = rerank_depth
        self.reranker = reranker
        self.blend = blend
        self.truncation = truncation
        self.query_instruction = query_instruction
        self.rerank_instruction = rerank_instruction
        self.time_budget = time_budget
        self.allow_fallback = allow_fallback

    def to_dict(self) -> dict[str, Any]:
        """Serializes the retriever and its store."""
        return default_to_dict(
            self,
            document_store=self.document_store.to_dict(),
            filters=self.filters,
            top_k=self.top_k,
            filter_policy=self.filter_policy.value,
            score_threshold=self.score_threshold,
            mode=self.mode,
            num_candidates=self.num_candidates,
            fusion=self.fusion,
            alpha=self.alpha,
            rerank=self.rerank,
            rerank_depth=self.rerank_depth,
            reranker=self.reranker,
            blend=self.blend,
            truncation=self.truncation,
            query_instruction=self.query_instruction,
            rerank_instruction=self.rerank_instruction,
            time_budget=self.time_budget,
            allow_fallback=self.allow_fallback,
        )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    def run(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        query_embedding: list[float] | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, Any]:
        """Retrieves documents by both passes.

        Args:
            query: The question.
            filters: Which documents are considered; with the retriever's own as its policy says.
            top_k: How many documents to return. None: the retriever's.
            query_embedding: The question's embedding, where the application makes embeddings. None:
                the server makes it.
            score_threshold: As the retriever's. None: the retriever's.

        Returns:
            `documents`, best first, and `meta`. A document's `score` is relevance in [0, 1] by the
            second pass; where that did not run, it is the score of the first. Its
            `meta["twopass"]` has `rank`, the scores, ranks and statuses behind it. `meta` has
            `rerank_status`, `retrieve_status`, counts, models, and `timings` in milliseconds.

        Raises:
            FilterError: The filter is malformed.
            TwopassError: The search failed; the message says why.
        """
        return self.document_store.search(
            query, **self._search(filters, top_k, query_embedding, score_threshold)
        )

    @component.output_types(documents=list[Document], meta=dict[str, Any])
    async def run_async(
        self,
        query: str,
        filters: dict[str, Any] | None = None,
        top_k: int | None = None,
        query_embedding: list[float] | None = None,
        score_threshold: float | None = None,
    ) -> dict[str, Any]:
        """Does what `run` does, for asyncio."""
        return await self.document_store.search_async(
            query, **self._search(filters, top_k, query_embedding, score_threshold)
        )

    def _search(
        self,
        filters: dict[str, Any] | None,
        top_k: int | None,
        query_embedding: list[float] | None,
        score_threshold: float | None,
    ) -> dict[str, Any]:
        """The arguments of a search."""
        return {
            "query_embedding": query_embedding,
            "filters": apply_filter_policy(self.filter_policy, self.filters, filters),
            "top_k": self.top_k if top_k is None else checked_top_k(top_k),
            "retrieve": Retrieve(
                self.mode,
                k=self.num_candidates,
                fusion=self._fusion(),
                instruction=self.query_instruction,
            ),
            "rerank": self.rerank
            and Rerank(
                depth=self.rerank_depth,
                model=self.reranker,
                blend=self.blend,
                truncation=self.truncation,
                min_score=self.score_threshold if score_threshold is None else score_threshold,
                instruction=self.rerank_instruction,
            ),
            "time_budget": self.time_budget,
            "allow_fallback": self.allow_fallback,
        }

    def _fusion(self) -> ConvexFusion | ReciprocalRankFusion | None:
        if self.fusion == "rrf":
            return ReciprocalRankFusion()
        if self.fusion == "convex" or self.alpha is not None:
            return ConvexFusion(self.alpha)
        return None
