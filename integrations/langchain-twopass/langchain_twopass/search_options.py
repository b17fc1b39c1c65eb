"""The options of a search, in LangChain's names where it has one."""

from collections.abc import Sequence
from typing import Any, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from langchain_twopass.filters import condition_of
from twopass.client import (
    ConvexFusion,
    Fields,
    QueryTruncation,
    ReciprocalRankFusion,
    Rerank,
    Retrieve,
    RetrieveMode,
    Truncation,
    WordClauses,
)


class SearchOptions(BaseModel):
    """What a search finds and how; the retriever's fields, and arguments of every single call."""

    model_config = ConfigDict(
        arbitrary_types_allowed=True, extra="forbid", use_attribute_docstrings=True
    )

    k: int = Field(default=4, ge=1)
    """How many documents to return."""

    filter: Any = None
    """Which documents are considered: a mapping such as `{"year": {"$gte": 1990}}`, an expression
    of `langchain_core.structured_query`, or a condition of `twopass.client`. None: all."""

    score_threshold: float | None = None
    """Leaves out documents whose calibrated relevance, in [0, 1], is lower. None: none is left out.
    It is the second pass's, so documents that this did not read stay."""

    mode: RetrieveMode | None = None
    """The first pass: "dense", "lexical" or "hybrid". None: the server's default."""

    fetch_k: int | None = Field(default=None, ge=1)
    """How many candidates the first pass finds for the second, 1 to 2,048. None: 50, or `k` if that
    is larger. More cost time and find more."""

    alpha: float | None = Field(default=None, ge=0.0, le=1.0)
    """Joins the lists of "hybrid" by their scores: the weight of meaning, 0 for words alone. None:
    the server's default."""

    rrf_k: int | None = Field(default=None, ge=1)
    """Joins the lists of "hybrid" by ranks, as the sum of 1 / (rrf_k + rank). None: the server's
    default."""

    words: WordClauses | None = None
    """Words or phrases that must, must not or should be in a document. None: as the query says."""

    ef_search: int | None = Field(default=None, ge=1)
    """The search breadth of an HNSW index. None: the index's default."""

    nprobe: int | None = Field(default=None, ge=1)
    """How many lists of an IVF index are searched. None: the index's default."""

    retrieve_instruction: str | None = None
    """What the query is embedded for, in words, for an encoder that is told so. None: its own."""

    rerank: bool = True
    """Whether there is a second pass."""

    rerank_model: str | None = None
    """The reranker's id. None: the server's default."""

    rerank_depth: int | None = Field(default=None, ge=1)
    """How many candidates the second pass reads, from the first; the rest follow. None: all."""

    blend: float | None = Field(default=None, ge=0.0, le=1.0)
    """The weight of the first pass in the order of what the second read. None: the model's own."""

    truncation: Truncation | None = None
    """What becomes of a passage that is too long for the reranker: "truncate", "max_window" (the
    best window counts) or "reject". None: "truncate"."""

    rerank_instruction: str | None = None
    """What makes a passage relevant, in words, for a reranker that is told so. None: its own."""

    time_budget: float | None = Field(default=None, gt=0.0)
    """Seconds for both passes, soft: at its end the search answers what it has, and `rerank_status`
    says what is missing. None: `timeout` alone counts."""

    allow_fallback: bool = True
    """Whether an answer may lack the second pass, or one list of "hybrid", when that is late,
    overloaded or failing; the statuses in metadata tell. False: the cause is raised."""

    min_sequence: str = ""
    """A `sequence` of a write that the search must see. Empty: what is visible."""

    query_truncation: QueryTruncation | None = None
    """What becomes of a query with more tokens than a model reads: "truncate" or "reject". None:
    "truncate"."""

    timeout: float | None = Field(default=None, gt=0.0)
    """Seconds that a call may take, hard. None: 30, or what the `client` given has."""

    @field_validator("filter")
    @classmethod
    def _check_filter(cls, given: Any) -> Any:
        condition_of(given)
        return given

    @model_validator(mode="after")
    def _check_together(self) -> Self:
        if self.alpha is not None and self.rrf_k is not None:
            raise ValueError("alpha, rrf_k: both given; lists are joined by scores or by ranks")
        if self.fetch_k is not None and self.fetch_k < self.k:
            raise ValueError(
                f"fetch_k: {self.fetch_k} given, at least k, which is {self.k}, is needed; or "
                "leave it out"
            )
        if self.score_threshold is not None and not self.rerank:
            raise ValueError(
                "score_threshold: given without the second pass, whose scores it is about; set "
                "rerank=True or leave it out"
            )
        return self

    def merged(self, overrides: dict[str, Any]) -> "SearchOptions":
        """These options with those of one call in their place.

        Raises:
            ValidationError: An option is unknown or has a value that it can't have.
        """
        ours = {name: getattr(self, name) for name in SearchOptions.model_fields}
        if "k" in overrides and "fetch_k" not in overrides and self.fetch_k is not None:
            ours["fetch_k"] = max(self.fetch_k, overrides["k"])
        return SearchOptions(**ours | overrides)

    def arguments(
        self,
        query: str,
        *,
        vector: Sequence[float] | None = None,
        with_vectors: bool = False,
    ) -> dict[str, Any]:
        """The arguments of the client's `search`, but for the collection."""
        fusion: ReciprocalRankFusion | ConvexFusion | None = None
        if self.alpha is not None:
            fusion = ConvexFusion(self.alpha)
        elif self.rrf_k is not None:
            fusion = ReciprocalRankFusion(self.rrf_k)
        rerank: Rerank | Literal[False] = self.rerank and Rerank(
            depth=self.rerank_depth,
            model=self.rerank_model,
            blend=self.blend,
            truncation=self.truncation,
            min_score=self.score_threshold,
            instruction=self.rerank_instruction,
        )
        return {
            "query": query,
            "vector": vector,
            "top_n": self.k,
            "retrieve": Retrieve(
                mode=self.mode,
                k=self.fetch_k,
                fusion=fusion,
                ef_search=self.ef_search,
                nprobe=self.nprobe,
                words=self.words,
                instruction=self.retrieve_instruction,
            ),
            "rerank": rerank,
            "filter": condition_of(self.filter),
            "fields": Fields(vector=with_vectors),
            "time_budget": self.time_budget,
            "allow_fallback": self.allow_fallback,
            "min_sequence": self.min_sequence,
            "query_truncation": self.query_truncation,
            "timeout": self.timeout,
        }
