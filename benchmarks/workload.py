"""What is asked of the server: requests made up from common words, every passage a new one."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol, TypeAlias

from twopass.benchmarks.words import COMMON_WORDS
from twopass.client import AsyncClient, Fields, Retrieve, Timings

# Most hits returned: what a prompt has room for. All candidates are scored whatever this is.
_MOST_HITS = 10
_QUERY_WORDS = 10


@dataclass(frozen=True, slots=True)
class Answer:
    """What a request came back with.

    Attributes:
        num_pairs: Pairs of a query and a passage that the reranker scored.
        timings: Where the server's time went.
        num_cached: Those of the pairs whose scores the server had computed before.
    """

    num_pairs: int
    timings: Timings
    num_cached: int = 0


Request: TypeAlias = Callable[[AsyncClient], Awaitable[Answer]]


@dataclass(frozen=True, slots=True)
class Shape:
    """The kind and size of a workload's requests.

    Attributes:
        rpc: "Rerank" or "Search".
        num_candidates: Pairs of a request.
        description: All there is to know, in one line.
    """

    rpc: str
    num_candidates: int
    description: str


class Workload(Protocol):
    """A supply of requests. The same number makes the same request, whenever it is made."""

    @property
    def shape(self) -> Shape:
        """What its requests have in common."""

    def request(self, number: int) -> Request:
        """Makes a request, ready to be sent."""


@dataclass(frozen=True, slots=True)
class CandidateTexts:
    """A query and the passages to be put in order."""

    query: str
    passages: list[str]


class Texts:
    """Deterministic texts of common words, each of which is one token of a BERT model.

    A passage of ten words or more is distinct for all practical purposes: there are over 10^28.
    """

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def query(self, number: int) -> str:
        """A query of ten words."""
        return _text(self._generator("query", number), _QUERY_WORDS)

    def passages(self, number: int, count: int, num_words: int) -> list[str]:
        """Passages of exactly `num_words` words."""
        generator = self._generator("passages", number)
        return [_text(generator, num_words) for _ in range(count)]

    def candidates(self, number: int, count: int, num_words: int) -> CandidateTexts:
        """A query, and passages of `num_words` words on average, within a quarter of that."""
        generator = self._generator("candidates", number)
        spread = num_words // 4
        lengths = [generator.randint(num_words - spread, num_words + spread) for _ in range(count)]
        return CandidateTexts(self.query(number), [_text(generator, n) for n in lengths])

    def _generator(self, purpose: str, number: int) -> random.Random:
        return random.Random(f"{self._seed} {purpose} {number}")  # noqa: S311  # no secret


def _text(generator: random.Random, num_words: int) -> str:
    return " ".join(generator.choices(COMMON_WORDS, k=num_words))


class RerankWorkload:
    """Rerank requests whose passages travel with them."""

    def __init__(self, texts: Texts, *, num_candidates: int, passage_tokens: int) -> None:
        """Sizes the requests.

        Args:
            texts: Where queries and passages come from.
            num_candidates: Passages in a request.
            passage_tokens: Tokens in a passage, on average.
        """
        self._texts = texts
        self._num_candidates = num_candidates
        self._passage_tokens = passage_tokens

    @property
    def shape(self) -> Shape:
        """What its requests have in common."""
        return Shape(
            "Rerank",
            self._num_candidates,
            f"Rerank of {self._num_candidates} candidates of about {self._passage_tokens} tokens, "
            f"every one distinct; queries of about {_QUERY_WORDS} tokens; "
            f"top {_top_n(self._num_candidates)} returned",
        )

    def request(self, number: int) -> Request:
        """Makes a request, ready to be sent."""
        texts = self._texts.candidates(number, self._num_candidates, self._passage_tokens)

        async def send(client: AsyncClient) -> Answer:
            result = await client.rerank(
                texts.query, texts.passages, top_n=_top_n(self._num_candidates)
            )
            return Answer(len(texts.passages), result.timings, result.num_cached)

        return send


class SearchWorkload:
    """Searches of a collection, both passes, texts returned. Queries come in turn, then again."""

    def __init__(self, collection: str, queries: Sequence[str], *, num_candidates: int) -> None:
        """Sizes the requests.

        Args:
            collection: What is searched.
            queries: At least one.
            num_candidates: Candidates of the first pass, all of them reranked.
        """
        self._collection = collection
        self._queries = queries
        self._num_candidates = num_candidates

    @property
    def shape(self) -> Shape:
        """What its requests have in common."""
        return Shape(
            "Search",
            self._num_candidates,
            f"Search of {self._collection}, {self._num_candidates} candidates reranked; "
            f"{len(self._queries):,} queries in turn; "
            f"top {_top_n(self._num_candidates)} returned with text",
        )

    def request(self, number: int) -> Request:
        """Makes a request, ready to be sent."""
        query = self._queries[number % len(self._queries)]

        async def send(client: AsyncClient) -> Answer:
            # An answer in first-pass order would be fast and flatter the figures: it is forbidden,
            # so that an overload is counted as the error it is.
            result = await client.search(
                self._collection,
                query,
                top_n=_top_n(self._num_candidates),
                retrieve=Retrieve(k=self._num_candidates),
                allow_fallback=False,
                fields=Fields(text=True, metadata=False),
            )
            return Answer(result.num_reranked, result.timings, result.num_cached)

        return send


def _top_n(num_candidates: int) -> int:
    return min(_MOST_HITS, num_candidates)
