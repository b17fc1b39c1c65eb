"""Split documents: found by their best window, whole or not at all."""

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.documents import DocumentFields, IndexedDocument, SplitPassage
from twopass.index.errors import InvalidDocumentError
from twopass.index.filters import FieldCondition, Filter, InRange
from twopass.index.schema import Chunking, CollectionSchema, Metric
from twopass.index.store.store import CollectionStore

from ..conftest import LANES

DIMENSION = 3
SCHEMA = CollectionSchema(
    dimension=DIMENSION,
    metric=Metric.INNER_PRODUCT,
    encoder="e",
    encoder_revision="1",
    chunking=Chunking(16),
)
NOTHING = DocumentFields(text=False, metadata=False)

# Small whole numbers: products are exact in float32, and there are many equal scores.
vectors = st.lists(st.integers(-3, 3), min_size=DIMENSION, max_size=DIMENSION)
documents = st.dictionaries(
    st.integers(0, 30), st.lists(vectors, min_size=1, max_size=12), min_size=1, max_size=15
)


def split(number, rows):
    """A document in as many windows as there are vectors; whole if there is one."""
    windows = np.array([[10 * i, 10 * i + 16] for i in range(len(rows))], np.int32)
    vectors = np.array(rows, np.float32)
    return IndexedDocument(
        id=f"d{number}",
        text=f"document {number}",
        metadata={"number": number},
        vector=SplitPassage(windows, vectors) if len(rows) > 1 else vectors[0],
        token_ids=np.arange(10 * len(rows) + 6, dtype=np.int32),
    )


def found(collection, query, k, members=None):
    """Number, score and window of each document found; None for one that is whole."""
    nearest = collection.nearest_by_window(np.array(query, np.float32), k, members)
    keys = nearest.ranked.keys
    ids = {key: d.id for key, d in collection.fetch(keys, NOTHING).items()}
    numbers = [int(ids[key].removeprefix("d")) for key in keys.tolist()]
    windows = [nearest.windows.get(key) for key in keys.tolist()]
    return list(zip(numbers, nearest.ranked.scores.tolist(), windows, strict=True))


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    first=documents,
    second=documents,
    deleted=st.sets(st.integers(0, 30)),
    query=vectors,
    k=st.integers(1, 40),
    below=st.integers(0, 31),
)
def test_documents_are_found_by_their_best_windows(
    tmp_path_factory, first, second, deleted, query, k, below
):
    folder = tmp_path_factory.mktemp("windows")
    with CollectionStore(folder, LANES) as store:
        collection = store.create("notes", SCHEMA)
        collection.upsert([split(n, rows) for n, rows in first.items()]).result()
        replaced = collection.upsert([split(n, rows) for n, rows in second.items()]).result()
        assert replaced.num_replaced == len(first.keys() & second.keys())
        assert replaced.num_split == sum(len(rows) > 1 for rows in second.values())
        counted = collection.delete([f"d{n}" for n in deleted]).result().num_deleted
        there = {n: rows for n, rows in (first | second).items() if n not in deleted}
        assert counted == len(first | second) - len(there)
        num_split = sum(len(rows) > 1 for rows in there.values())
        assert collection.num_split == collection.summary().num_split == num_split
    with CollectionStore(folder, LANES) as store:
        collection = store.get("notes")
        assert collection.num_documents == len(there)
        assert collection.num_split == num_split
        below_it = collection.matching(Filter(must=(FieldCondition("number", InRange(lt=below)),)))
        for numbers, members in ((there, None), ({n for n in there if n < below}, below_it)):
            scores = {n: max(float(np.dot(v, query)) for v in there[n]) for n in numbers}
            ranked = found(collection, query, k, members)
            assert [score for _, score, _ in ranked] == sorted(scores.values(), reverse=True)[:k]
            assert len({n for n, _, _ in ranked}) == len(ranked)
            for number, score, window in ranked:
                assert scores[number] == score
                assert (window is None) == (len(there[number]) == 1)
                if window is not None:
                    assert np.dot(there[number][window[0] // 10], query) == score
                    assert window[1] == window[0] + 16


def test_more_windows_are_asked_for_until_there_are_enough_documents(tmp_path):
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.create("notes", SCHEMA)
        # The 200 nearest windows are all of one document.
        collection.upsert(
            [split(0, [[9, 0, 0]] * 200), *(split(n, [[1, 0, 0]]) for n in range(1, 5))]
        ).result()
        assert [number for number, *_ in found(collection, [1, 0, 0], 3)] == [0, 1, 2]
        assert len(found(collection, [1, 0, 0], 50)) == 5


def test_a_split_document_is_read_back_without_a_vector(tmp_path):
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.create("notes", SCHEMA)
        collection.upsert([split(1, [[1, 0, 0], [0, 1, 0]])]).result()
        (document,) = collection.get(["d1"], DocumentFields(vector=True))
        assert (document.text, document.vector) == ("document 1", None)
        assert collection.search_words("document", 10).keys.tolist() == [document.key]


def test_a_window_of_another_dimension_is_named_by_its_document(tmp_path):
    with CollectionStore(tmp_path, LANES) as store:
        collection = store.create("notes", SCHEMA)
        with pytest.raises(InvalidDocumentError, match=r"documents\[1\]\.vector: 4 components"):
            collection.upsert([split(1, [[1, 0, 0]]), split(2, [[1, 0, 0, 0]])])
        bad = [split(1, [[1, 0, 0]] * 3), split(2, [[1, 0, 0], [float("nan"), 0, 0]])]
        with pytest.raises(InvalidDocumentError, match=r"documents\[1\]\.vector: components"):
            collection.upsert(bad)
