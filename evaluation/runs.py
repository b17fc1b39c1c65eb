"""Runs a test collection through a real server, and measures the orders that come back."""

import statistics
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from twopass.client import Client, NotFoundError, Rerank, RerankStatus, Retrieve, SearchResult
from twopass.evaluation.datasets import Dataset

Run = Mapping[str, Mapping[str, float]]
Advance = Callable[[int], None]


class EvaluationError(Exception):
    """The server did not do what is to be measured."""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Quality of one test collection, nDCG@10 averaged over its queries.

    Attributes:
        dataset: Its name.
        num_documents: Size of the corpus.
        num_queries: Queries measured.
        first_pass: The order of the first pass.
        reranker: The order of the reranker's logits alone.
        blended: The order answered: the reranker's with the first pass blended in.
        blend: The weight of the first pass in it.
        first_pass_ms: Median over queries: embedding and retrieving.
        search_ms: Median over queries: both passes.
    """

    dataset: str
    num_documents: int
    num_queries: int
    first_pass: float
    reranker: float
    blended: float
    blend: float
    first_pass_ms: float
    search_ms: float


def index_dataset(client: Client, dataset: Dataset, advance: Advance) -> str:
    """Indexes a corpus into a collection of its own, unless an earlier run did.

    Args:
        client: Of the server.
        dataset: What to index.
        advance: Called with the number of documents on disk so far.

    Returns:
        The collection's name.
    """
    name = "eval-" + "".join(c if c.isalnum() else "-" for c in dataset.name.lower())
    try:
        if client.get_collection(name).num_documents == len(dataset.documents):
            advance(len(dataset.documents))
            return name
    except NotFoundError:
        client.create_collection(name)
    client.upsert(
        name,
        dataset.documents,
        chunk_size=64,
        on_progress=lambda done: advance(done.num_documents),
    )
    return name


def evaluate_dataset(
    client: Client,
    collection: str,
    dataset: Dataset,
    *,
    depth: int,
    concurrency: int,
    advance: Advance,
) -> Evaluation:
    """Searches every query once; the one answer carries the scores of both passes.

    Args:
        client: Of the server.
        collection: Where the corpus is.
        dataset: Queries and judgements.
        depth: How many candidates are found and reranked.
        concurrency: Queries under way at once.
        advance: Called with 1 after each query.

    Raises:
        EvaluationError: The second pass did not run on a query.
    """

    def search(query: str) -> SearchResult:
        result = client.search(
            collection,
            query,
            top_n=depth,
            retrieve=Retrieve(k=depth),
            rerank=Rerank(),
            allow_fallback=False,
            timeout=600,
        )
        if result.rerank_status != RerankStatus.COMPLETE:
            raise EvaluationError(f"the second pass was {result.rerank_status} on {query!r}")
        advance(1)
        return result

    with ThreadPoolExecutor(concurrency) as threads:
        answers = threads.map(search, dataset.queries.values())
        results = dict(zip(dataset.queries, answers, strict=True))
    return Evaluation(
        dataset=dataset.name,
        num_documents=len(dataset.documents),
        num_queries=len(results),
        first_pass=_measured(dataset, _run(results, lambda hit, _: -hit.first_pass_rank)),
        reranker=_measured(dataset, _run(results, lambda hit, _: hit.logit)),
        blended=_measured(dataset, _run(results, lambda _, rank: -rank)),
        blend=next(iter(results.values())).blend,
        first_pass_ms=statistics.median(
            (r.timings.embed_ms or 0) + (r.timings.retrieve_ms or 0) for r in results.values()
        ),
        search_ms=statistics.median(r.timings.total_ms or 0 for r in results.values()),
    )


def _run(results: Mapping[str, SearchResult], score: Callable[..., float]) -> Run:
    """Scores by document, by query; higher is better."""
    return {
        query_id: {hit.id: score(hit, rank) for rank, hit in enumerate(result.hits, 1)}
        for query_id, result in results.items()
    }


def _measured(dataset: Dataset, run: Run) -> float:
    import ir_measures  # of the extra evaluation: the other commands start without it

    measure = ir_measures.nDCG @ 10
    return float(ir_measures.calc_aggregate([measure], dataset.qrels, run)[measure])
