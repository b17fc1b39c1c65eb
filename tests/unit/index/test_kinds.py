"""Factory strings: which are taken, and how the others are refused."""

import numpy as np
import pytest

from twopass.index.errors import InvalidSchemaError
from twopass.index.kinds import Breadth, IndexKind

SUPPORTED = [
    "Flat", "SQfp16", "HNSW32", "HNSW4", "HNSW128,Flat", "HNSW16,SQfp16", "IVF2,Flat",
    "IVF256,SQfp16", "IVF65536,Flat",
]  # fmt: skip


@pytest.mark.parametrize("factory", SUPPORTED)
def test_a_supported_kind_can_be_made(factory):
    index = IndexKind.parse(factory).create(24)
    assert (index.d, index.ntotal) == (24, 0)


@pytest.mark.parametrize(
    "factory",
    [
        "", "flat", "Flat ", "PQ8", "SQ8", "LSH", "IVF256", "IVF,Flat", "IVF0,Flat", "HNSW",
        "HNSW32Flat", "HNSW32Flat,", "HNSW032", "HNSW\u0663\u0662", ",Flat", "IDMap,Flat",
        "PCA8,Flat", "HNSW32,PQ8", "IVF16,PQ8", "IVF16_HNSW32,Flat", "Flat,Flat",
        "HNSW32,IVF16,Flat", "Flat\n", "Flat\0", "Flat" * 1_000,
    ],
)  # fmt: skip
def test_another_kind_is_refused_with_those_that_are_supported(factory):
    with pytest.raises(InvalidSchemaError, match=r"supported: Flat, SQfp16, HNSW<links>") as raised:
        IndexKind.parse(factory)
    assert raised.value.field == "schema.index_kind"


@pytest.mark.parametrize(
    ("factory", "said"),
    [
        ("HNSW3", "HNSW needs 4 to 128 links, 3 given"),
        ("HNSW129,Flat", "4 to 128 links, 129 given"),
        ("HNSW99999999999999999999", "4 to 128 links, 99999999999999999999 given"),
        ("IVF1,Flat", "IVF needs 2 to 65,536 lists, 1 given"),
        ("IVF65537,SQfp16", "2 to 65,536 lists, 65,537 given"),
    ],
)
def test_a_number_out_of_range_is_refused_with_its_limits(factory, said):
    with pytest.raises(InvalidSchemaError, match=said):
        IndexKind.parse(factory)


@pytest.mark.parametrize(
    ("factory", "breadth", "expected"),
    [
        ("HNSW32", Breadth(), {"efSearch": 128}),
        ("HNSW32", Breadth(ef_search=7, nprobe=3), {"efSearch": 7}),
        ("IVF100,Flat", Breadth(), {"nprobe": 13}),
        ("IVF2,Flat", Breadth(), {"nprobe": 1}),
        ("IVF100,Flat", Breadth(ef_search=7, nprobe=3), {"nprobe": 3}),
        ("IVF100,Flat", Breadth(nprobe=1_000), {"nprobe": 100}),
    ],
)
def test_breadth_goes_to_the_kind_that_knows_it(factory, breadth, expected):
    parameters = IndexKind.parse(factory).parameters(breadth)
    assert {name: getattr(parameters, name) for name in expected} == expected


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "HNSW8,SQfp16", "IVF2,SQfp16"])
def test_what_is_read_back_can_be_written_again_without_change(factory):
    vectors = np.random.default_rng(0).standard_normal((200, 24)).astype(np.float32)
    for _ in range(2):
        index = IndexKind.parse(factory).create(24)
        if not index.is_trained:
            index.train(vectors)
        index.add(vectors)
        read = index.reconstruct_batch(np.arange(200, dtype=np.int64))
        if factory == "Flat":
            np.testing.assert_array_equal(read, vectors)
        first, vectors = vectors, read
    np.testing.assert_array_equal(first, vectors)
