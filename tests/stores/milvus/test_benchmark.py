"""The benchmark of a Milvus measures what it says, here on few documents."""

import numpy as np
import pytest

from twopass.benchmarks.milvus.made_documents import MadeDocuments
from twopass.benchmarks.milvus.measure import NAME, measure
from twopass.index.milvus.store import MilvusStore


@pytest.mark.slow
async def test_every_figure_is_measured_and_nothing_is_left_behind(milvus_server):
    report = await measure(
        milvus_server.url, MadeDocuments(1_000, 8), "FLAT", num_queries=3, callers=(1, 2)
    )
    figures = {what: figure for what, figure, _ in report.rows}
    assert figures["recall@10"] == 1
    assert figures["recall@10, filter of 1.0%"] == 1
    assert all(figure > 0 for figure in figures.values())
    assert "| both, with tokens, 2 under way: p99 |" in report.markdown()
    store = MilvusStore(milvus_server.url)
    await store.start()
    assert NAME not in {summary.name for summary in await store.summaries(lambda _: True)}
    await store.close()


def test_documents_are_the_same_however_often_they_are_drawn():
    made = MadeDocuments(50, 8)
    one, other = ([d for block in made.blocks(20) for d in block] for _ in range(2))
    assert [d.text for d in one] == [d.text for d in other]
    vectors = np.array([d.vector for d in one])
    queries = made.queries(4)
    (nearest, *_) = made.nearest(queries, 5, 20)
    assert nearest.tolist() == np.argsort(-(queries[0] @ vectors.T))[:5].tolist()
