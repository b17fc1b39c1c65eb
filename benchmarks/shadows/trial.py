"""A real server with shadows: searched, judged, and asked after each query what it has found."""

import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.benchmarks.shadows.orders import SIGNIFICANT
from twopass.client import Client, Feedback, Rerank, Retrieve, ShadowMeasure
from twopass.evaluation.datasets import Dataset
from twopass.server.shadowing.agreement import ndcg

K = 20
"""Candidates of each search."""

_PATIENCE_SECONDS = 60.0


@dataclass(frozen=True, slots=True)
class Arm:
    """A shadow beside what callers get.

    Attributes:
        name: Its name in the settings.
        says: What is compared with what, for the table.
        collection: The collection on which it is compared.
        live: Id of the reranker that callers get there; "" for the default.
        live_blend: Weight of the first pass in their order; None for that model's own.
        shadow: Id of the shadow's reranker.
        blend: Weight of the first pass in the shadow's order; None for its model's own.
    """

    name: str
    says: str
    collection: str
    live: str
    shadow: str
    blend: float | None = None
    live_blend: float | None = None

    @property
    def setting(self) -> str:
        """The shadow as `--shadow` takes it, on every search of its collection."""
        blend = "" if self.blend is None else f",blend:{self.blend:g}"
        return f"{self.name}=reranker:{self.shadow}{blend},share:1,collections:{self.collection}"


@dataclass(frozen=True, slots=True)
class Found:
    """What a server said of a shadow.

    Attributes:
        num_queries: Judged queries until it was sure, or all that there were.
        is_sure: Whether it was.
        mean: The mean difference in nDCG@10 then.
        p_value: The probability then.
    """

    num_queries: int
    is_sure: bool
    mean: float
    p_value: float


def quality_of(
    client: Client,
    dataset: Dataset,
    collection: str,
    rerank: Rerank,
    advance: Callable[[], None],
) -> NDArray[np.float64]:
    """nDCG@10 of each query, in the order of the dataset, float64 `[num_queries]`."""

    def one(query_id: str) -> float:
        result = client.search(
            collection,
            dataset.queries[query_id],
            top_n=10,
            retrieve=Retrieve(k=K),
            rerank=rerank,
            allow_fallback=False,
            timeout=600,
        )
        advance()
        return ndcg([hit.id for hit in result.hits], dataset.qrels[query_id])

    with ThreadPoolExecutor(2) as threads:
        return np.array(list(threads.map(one, dataset.queries)))


def search_until_found(
    client: Client,
    dataset: Dataset,
    arms: Sequence[Arm],
    order: Sequence[str],
    advance: Callable[[], None],
) -> Mapping[str, Found]:
    """Searches and judges queries until the server is sure of every shadow.

    Args:
        client: Client of a server without feedback so far.
        dataset: Its qrels are what people judge.
        arms: The server's shadows.
        order: Ids of queries, in turn.
        advance: Called after each query.

    Returns:
        What became of each shadow, by its name.
    """
    found: dict[str, Found] = {}
    for count, query_id in enumerate(order, 1):
        waiting = [arm for arm in arms if not (arm.name in found and found[arm.name].is_sure)]
        if not waiting:
            break
        for collection, live, blend in {(a.collection, a.live, a.live_blend) for a in waiting}:
            result = client.search(
                collection,
                dataset.queries[query_id],
                top_n=10,
                retrieve=Retrieve(k=K),
                rerank=Rerank(model=live or None, blend=blend),
                query_id=query_id,
                allow_fallback=False,
            )
            judged = [
                Feedback(search_id=result.search_id, document_id=document, grade=grade)
                for document, grade in dataset.qrels[query_id].items()
            ]
            client.record_feedback(collection, judged)
        for arm in waiting:
            found[arm.name] = _said(client, arm, count)
        advance()
    return found


def _said(client: Client, arm: Arm, count: int) -> Found:
    """What the server says of a shadow once it has judged it by so many queries."""
    end = time.monotonic() + _PATIENCE_SECONDS
    while True:
        for shadow in client.shadows(arm.collection):
            if shadow.name != arm.name or not shadow.comparisons:
                continue
            for each in shadow.comparisons[0].differences:
                is_ndcg = each.measure is ShadowMeasure.JUDGED_NDCG_10
                if is_ndcg and each.num_searches >= count:
                    return Found(count, each.p_value < SIGNIFICANT, each.mean, each.p_value)
        if time.monotonic() > end:
            raise TimeoutError(f"{arm.name}: query {count} was not compared and judged in time")
        time.sleep(0.01)
