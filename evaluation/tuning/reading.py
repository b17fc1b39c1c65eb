"""Asks a running server, once a query, for all that any setting of a grid would see.

Both lists at the greatest k, the similarities of what words alone have found, and the logit of
every pair that some setting reads. A logit depends on nothing but the pair, so that one of them
serves every mode, fusion, depth and blend.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np

from twopass.client import Client, Fields, Rerank, RerankStatus, Retrieve, document_ids
from twopass.engines.base.sequences import Float32s
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.fusions import Lists
from twopass.evaluation.runs import Advance, EvaluationError
from twopass.evaluation.tuning.arithmetic import GridQuery, NumberedLists, pairs_read
from twopass.evaluation.tuning.kept import Kept
from twopass.evaluation.tuning.settings import Grid, Reader
from twopass.index.ranked_list import RankedList

_Of = TypeVar("_Of")

Bar: TypeAlias = Callable[[str, int], AbstractContextManager[Advance]]
"""Shows a bar of a description and a total while a block lasts; yields what advances it."""

_IDS_ALONE = Fields(text=False, metadata=False)
_TIMEOUT = 600.0  # seconds: a pair of a large reranker on a busy machine


@dataclass(frozen=True, slots=True)
class FoundList:
    """One list of a query: ids and scores, best first."""

    ids: tuple[str, ...]
    scores: tuple[float, ...]


@dataclass(frozen=True, slots=True)
class Found:
    """What the first passes found for a query.

    Attributes:
        dense: The nearest; empty where that mode is not compared.
        lexical: Those with the words; empty likewise.
        beyond: Those of `lexical` that `dense` lacks, with their similarities.
    """

    dense: FoundList
    lexical: FoundList
    beyond: FoundList


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """How a server is read.

    Attributes:
        client: Client of the server.
        collection: The collection.
        grid: What is compared.
        dense_minimum: Lowest possible similarity of the collection's metric; None for no bound.
        kept: What earlier runs have read, and where this one keeps its own.
        concurrency: Queries under way at once.
    """

    client: Client
    collection: str
    grid: Grid
    dense_minimum: float | None
    kept: Kept
    concurrency: int = 2

    def found(self, queries: Mapping[str, str], advance: Advance) -> dict[str, Found]:
        """The lists of every query, by its id.

        Args:
            queries: Texts by id.
            advance: Called with 1 after each query.
        """

        def of(query: str) -> Found:
            lists = self.kept.lists(query)
            if lists is None:
                lists = self._lists(queries[query])
                self.kept.keep_lists(query, lists)
            advance(1)
            return Found(*(FoundList(tuple(ids), tuple(scores)) for ids, scores in lists))

        return _side_by_side(of, list(queries), self.concurrency)

    def numbered_lists(
        self, queries: Mapping[str, str], advance: Advance = lambda _: None
    ) -> dict[str, NumberedLists]:
        """The lists of every query, by its id; arguments are those of `found`."""
        return {query: _numbered(found) for query, found in self.found(queries, advance).items()}

    def logits(
        self,
        queries: Mapping[str, str],
        wanted: Mapping[str, Sequence[str]],
        reader: Reader,
        advance: Advance,
    ) -> dict[str, dict[str, float]]:
        """A reranker's logits of documents, by query and document.

        Args:
            queries: Texts by id.
            wanted: Ids of documents, by query.
            reader: Who reads.
            advance: Called with the number of pairs after each query.

        Raises:
            EvaluationError: The second pass did not run on a query.
        """

        def of(query: str) -> dict[str, float]:
            known = self.kept.logits(query, reader)
            missing = [document for document in wanted[query] if document not in known]
            if missing:
                read = self._logits(queries[query], missing, reader)
                self.kept.keep_logits(query, reader, read)
                known = known | read
            advance(len(wanted[query]))
            return known

        return _side_by_side(of, list(queries), self.concurrency)

    def _lists(self, query: str) -> list[tuple[list[str], list[float]]]:
        k, modes = self.grid.most, self.grid.modes
        dense = lexical = beyond = (list[str](), list[float]())
        if modes != ("lexical",):
            dense = self._search(query, Retrieve("dense", k), "dense_score")
        if "lexical" in modes or "hybrid" in modes:
            lexical = self._search(query, Retrieve("lexical", k), "lexical_score")
        missing = sorted(set(lexical[0]) - set(dense[0])) if "hybrid" in modes else []
        if missing:
            retrieve = Retrieve("dense", len(missing))
            beyond = self._search(query, retrieve, "dense_score", missing)
        return [dense, lexical, beyond]

    def _search(
        self, query: str, retrieve: Retrieve, score: str, among: Sequence[str] = ()
    ) -> tuple[list[str], list[float]]:
        result = self.client.search(
            self.collection,
            query,
            top_n=retrieve.k or 1,
            retrieve=retrieve,
            rerank=False,
            filter=document_ids(among) if among else None,
            fields=_IDS_ALONE,
            allow_fallback=False,
            timeout=_TIMEOUT,
        )
        return [hit.id for hit in result.hits], [getattr(hit, score) for hit in result.hits]

    def _logits(self, query: str, documents: Sequence[str], reader: Reader) -> dict[str, float]:
        """Logits of some documents: candidates of a search that only they may be found by."""
        by_words = "dense" not in self.grid.modes and "hybrid" not in self.grid.modes
        result = self.client.search(
            self.collection,
            query,
            top_n=len(documents),
            retrieve=Retrieve("lexical" if by_words else "dense", len(documents)),
            # The order does not matter; a score of 0 leaves out nothing, whatever the defaults.
            rerank=Rerank(
                depth=len(documents),
                model=reader.model,
                blend=0.0,
                truncation=reader.truncation,
                min_score=0.0,
                enabled=True,
            ),
            filter=document_ids(documents),
            fields=_IDS_ALONE,
            allow_fallback=False,
            timeout=_TIMEOUT,
        )
        if result.rerank_status != RerankStatus.COMPLETE:
            raise EvaluationError(f"the second pass was {result.rerank_status} on {query!r}")
        return {hit.id: hit.logit for hit in result.hits if hit.logit is not None}


def read_all(
    reading: Reading,
    dataset: Dataset,
    *,
    bar: Bar,
) -> list[GridQuery]:
    """Everything that a grid needs of the queries of a test collection.

    Args:
        reading: How the server is read.
        dataset: Queries and judgements.
        bar: Shows progress.

    Raises:
        EvaluationError: The second pass did not run on a query.
    """
    queries, grid = dataset.queries, reading.grid
    with bar("both lists", len(queries)) as advance:
        found = reading.numbered_lists(queries, advance)
    read = {
        query: [lists.ids[place] for place in pairs_read(lists, grid, reading.dense_minimum)]
        for query, lists in found.items()
    }
    num_pairs = sum(map(len, read.values()))
    logits: dict[str, dict[Reader, Float32s]] = {query: {} for query in queries}
    for reader in grid.readers:
        with bar(f"pairs read by {reader.model}", num_pairs) as advance:
            read_by = reading.logits(queries, read, reader, advance)
        for query, by_id in read_by.items():
            values = [by_id.get(document, np.nan) for document in found[query].ids]
            logits[query][reader] = np.array(values, np.float32)
    return [
        GridQuery(query, one.ids, one.lists, logits[query], dataset.qrels[query])
        for query, one in found.items()
    ]


def _numbered(found: Found) -> NumberedLists:
    ids = tuple(dict.fromkeys((*found.dense.ids, *found.lexical.ids)))
    numbers = {name: number for number, name in enumerate(ids)}

    def ranked(of: FoundList) -> RankedList:
        keys = [numbers[name] for name in of.ids]
        return RankedList(np.array(keys, np.int64), np.array(of.scores, np.float32))

    return NumberedLists(
        ids, Lists(ranked(found.dense), ranked(found.lexical), ranked(found.beyond))
    )


def _side_by_side(
    work: Callable[[str], _Of], queries: Iterable[str], concurrency: int
) -> dict[str, _Of]:
    """Runs work for every query; an error or Ctrl-C leaves out what has not begun."""
    threads = ThreadPoolExecutor(concurrency)
    try:
        under_way = {query: threads.submit(work, query) for query in queries}
        return {query: future.result() for query, future in under_way.items()}
    finally:
        threads.shutdown(cancel_futures=True)
