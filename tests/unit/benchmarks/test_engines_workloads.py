"""Workloads are the same token ids for the same seed, and of the sizes that they promise."""

import dataclasses

import numpy as np
import pytest

from twopass.benchmarks.engines.workloads import Sizes, WorkloadFactory, WorkloadName, digest
from twopass.client import Document
from twopass.engines.base.model import ModelKind
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.decoder import DecoderSettings
from twopass.engines.model.folder import open_model
from twopass.evaluation.datasets import Dataset

DOCUMENTS = tuple(
    Document(id=str(i), title="", text=" ".join(["river"] * (5 + i))) for i in range(40)
)
DATASET = Dataset(
    "rivers",
    DOCUMENTS,
    {str(i): f"which river {i}" for i in range(12)},
    {str(i): {str(i): 0, str(i + 1): 2} for i in range(12)},
)


@pytest.fixture(scope="module")
def models():
    return {
        ModelKind.RERANKER: open_model("twopass-minilm-l6"),
        ModelKind.ENCODER: open_model("all-MiniLM-L6-v2"),
    }


def workload(models, name, datasets=(), seed=1, mixed_queries=10):
    sizes = Sizes(5, 3, 30, mixed_queries)
    return WorkloadFactory(models[name.kind], datasets, sizes, seed).make(name)


def test_uniform_pairs_are_32_of_128_tokens(models):
    batch = workload(models, WorkloadName.UNIFORM).batch
    assert batch.lengths.tolist() == [128] * 32


@pytest.mark.parametrize("name", WorkloadName)
@pytest.mark.parametrize("datasets", [(), (DATASET,)], ids=["made up", "real"])
def test_the_seed_decides_every_token(models, name, datasets):
    first, again = (digest(workload(models, name, datasets).batch) for _ in range(2))
    assert first == again


def test_another_seed_gives_other_texts(models):
    one, other = (workload(models, WorkloadName.MIXED, seed=s).batch for s in (1, 2))
    assert digest(one) != digest(other)


def test_real_pairs_are_ten_queries_with_ten_passages_each(models):
    batch = workload(models, WorkloadName.MIXED, (DATASET,)).batch
    queries = [
        tuple(batch.token_ids[start : start + length])
        for start, length in zip(batch.offsets[:-1], batch.query_lengths, strict=True)
    ]
    assert len(batch) == 100
    assert len(set(queries)) == 10
    assert all(queries[i] == queries[10 * (i // 10)] for i in range(100))


def test_the_passage_judged_best_comes_first(models):
    batch = workload(models, WorkloadName.MIXED, (DATASET,)).batch
    # Passage n has n + 5 words, a token each, and is the best of query n - 1.
    tokens = batch.lengths - batch.query_lengths - 1
    assert len(set(tokens[::10].tolist())) == 10
    assert (tokens[::10] >= 6).all()


def test_passages_to_embed_come_from_all_collections_up_to_the_number_asked_for(models):
    small = Dataset("few", DOCUMENTS[:20], DATASET.queries, DATASET.qrels)
    embed = workload(models, WorkloadName.EMBED, (small, DATASET))
    assert len(embed.batch) == 30
    assert embed.num_rounds == 3
    np.testing.assert_array_equal(embed.batch.query_lengths, embed.batch.lengths)


def test_passages_stand_after_the_encoders_prefix(models):
    encoder = models[ModelKind.ENCODER]
    spec = dataclasses.replace(encoder.spec, passage_prefix="passage: ")
    changed = models | {ModelKind.ENCODER: dataclasses.replace(encoder, spec=spec)}
    plain, prefixed = (workload(m, WorkloadName.EMBED).batch for m in (models, changed))
    longer = prefixed.lengths - plain.lengths
    assert set(longer[plain.lengths < spec.max_seq_len - 2].tolist()) == {2}


def test_a_decoder_is_refused_by_name(models):
    settings = DecoderSettings(None, None, None, "its name")
    decoder = dataclasses.replace(models[ModelKind.RERANKER], decoder=settings)
    with pytest.raises(UnsupportedModelError, match="twopass-minilm-l6: a decoder"):
        workload({ModelKind.RERANKER: decoder}, WorkloadName.SHORT)


@pytest.mark.parametrize("datasets", [(), (DATASET,)], ids=["made up", "real"])
def test_fewer_queries_of_the_mixed_workload_keep_ten_passages_each(models, datasets):
    mixed = workload(models, WorkloadName.MIXED, datasets, mixed_queries=3)
    assert len(mixed.batch) == 30
