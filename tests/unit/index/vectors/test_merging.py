"""Bases are built beside the searches, and take over without anybody seeing a difference."""

import logging
import os
import threading
import time

import numpy as np
import pytest

from twopass.index.errors import CollectionClosedError, StorageError
from twopass.index.kinds import Breadth, IndexKind
from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken
from twopass.index.vectors import merging, vector_index
from twopass.index.vectors.base_file import load_base
from twopass.index.vectors.loading import LoadedVectors
from twopass.index.vectors.merging import MergePolicy
from twopass.index.vectors.segments import Segment
from twopass.index.vectors.vector_index import VectorChange, VectorIndex

from ..conftest import LANES

DIMENSION = 16
NEVER = MergePolicy(min_changes=10**9)
# So far that approximate kinds find what is there.
ALL = Breadth(ef_search=4_000, nprobe=1_000)
KINDS = ["Flat", "SQfp16", "HNSW16", "HNSW16,SQfp16", "IVF4,Flat", "IVF4,SQfp16"]


def unit_vectors(count, seed=0):
    drawn = np.random.default_rng(seed).standard_normal((count, DIMENSION))
    return (drawn / np.linalg.norm(drawn, axis=1, keepdims=True)).astype(np.float32)


class Index:
    """An index, and beside it what must be found in it."""

    def __init__(self, folder, kind, policy):
        self.path = folder / "vectors.base"
        schema = CollectionSchema(dimension=DIMENSION, client_vectors=True, index_kind=kind)
        parsed = IndexKind.parse(kind)
        empty = Segment(
            parsed, parsed.create(DIMENSION), np.empty(0, np.int64), np.empty(0, np.bool_)
        )
        start = LoadedVectors(empty, Segment.empty(DIMENSION), 0, SequenceToken("0" * 32, 0))
        self.index = VectorIndex("notes", schema, start, self.path, LANES, policy=policy)
        self.vectors = {}
        self.last_key = 0

    def write(self, num_added, removed=()):
        keys = range(self.last_key + 1, self.last_key + 1 + num_added)
        vectors = unit_vectors(num_added, seed=self.last_key + 1)
        for key in removed:
            self.vectors.pop(key, None)
        self.vectors |= dict(zip(keys, vectors, strict=True))
        self.last_key += num_added
        position = self.index.sequence.position + 1
        self.index.update(
            VectorChange(
                np.array(removed, np.int64),
                np.array(keys, np.int64),
                vectors,
                SequenceToken("0" * 32, position),
            )
        ).result()

    def check(self, tolerance=0.01):
        """Every vector finds itself, and nothing else is found."""
        assert self.index.num_vectors == len(self.vectors)
        if not self.vectors:
            return
        keys = np.array(list(self.vectors))
        found = self.index.search(np.stack(list(self.vectors.values())), 3, None, ALL).result()
        assert found.keys[:, 0].tolist() == keys.tolist()
        np.testing.assert_allclose(found.scores[:, 0], 1, rtol=0, atol=tolerance)
        everything = self.index.search(unit_vectors(1), len(keys), None, ALL).result().keys[0]
        assert set(everything.tolist()) <= set(keys.tolist())


@pytest.fixture
def open_index(tmp_path):
    opened = []

    def make(kind="Flat", policy=NEVER):
        opened.append(Index(tmp_path, kind, policy))
        return opened[-1]

    yield make
    for index in opened:
        index.index.close()


@pytest.fixture
def held_merges(monkeypatch):
    """Merges wait before they save, until `release` is set; `reached` tells that one does."""

    class Held:
        reached = threading.Event()
        release = threading.Event()

    held = Held()
    save = merging.save_base

    def wait_and_save(*arguments):
        held.reached.set()
        held.release.wait()
        save(*arguments)

    monkeypatch.setattr(merging, "save_base", wait_and_save)
    yield held
    held.release.set()


@pytest.mark.parametrize("kind", KINDS)
def test_every_kind_finds_what_was_written_before_during_and_after_merges(open_index, kind):
    index = open_index(kind)
    index.write(400)
    index.check()
    index.index.merge().result()
    index.check()
    index.write(50, removed=range(1, 60))
    index.check()
    index.index.merge().result()  # appends to the base
    index.check()
    index.write(0, removed=range(60, 200))
    index.index.merge().result()  # builds it anew, since too much of it is hidden
    index.check()
    base, header = load_base(index.path)
    assert len(base) == header.num_vectors == len(index.vectors)
    assert header.position == 3


def test_a_search_never_waits_for_a_merge(open_index, held_merges):
    index = open_index()
    index.write(100)
    merged = index.index.merge()
    held_merges.reached.wait()
    index.check()
    index.write(20, removed=range(1, 11))  # of the base that is being built
    index.write(0, removed=[101, 102, 50])
    index.check()
    assert not merged.done()
    held_merges.release.set()
    merged.result()
    index.check()
    index.index.merge().result()
    index.check()


def test_merges_begin_by_themselves_when_they_are_worth_it(open_index):
    index = open_index(policy=MergePolicy(min_changes=100, added_share=0.5))
    index.write(99)
    assert not index.path.exists()
    index.write(1)
    index.index.merge().result()
    assert load_base(index.path)[1].num_vectors == 100


@pytest.mark.parametrize(
    ("base", "delta", "hidden", "due"),
    [
        (0, 99, 0, False),
        (0, 100, 0, True),
        (1_000, 100, 0, True),
        (2_000, 199, 0, False),  # a tenth of the base
        (2_000, 200, 0, True),
        (399, 1, 99, False),  # fewer hidden than a merge is worth
        (399, 1, 100, False),  # exactly a quarter
        (399, 1, 101, True),
        (100, 0, 100, True),
    ],
)
def test_a_merge_is_due_by_what_was_added_or_hidden(base, delta, hidden, due):
    def segment(count, num_hidden):
        flags = np.arange(count) < num_hidden
        return Segment(IndexKind.parse("HNSW32"), None, np.arange(count), flags)

    policy = MergePolicy(min_changes=100, added_share=0.1, hidden_share=0.25)
    segments = segment(base, hidden), segment(delta, 0)
    assert policy.is_due(*segments) is due


def test_an_exact_base_waits_for_more_since_its_delta_is_searched_as_fast():
    def is_due(kind, base, delta):
        flags = np.zeros(base, np.bool_), np.zeros(delta, np.bool_)
        base_segment = Segment(IndexKind.parse(kind), None, np.arange(base), flags[0])
        return MergePolicy().is_due(
            base_segment, Segment(IndexKind.parse("Flat"), None, np.arange(delta), flags[1])
        )

    for kind, share in (("Flat", 2), ("SQfp16", 2), ("HNSW32", 10), ("IVF16,Flat", 10)):
        assert is_due(kind, 0, 5_000)
        assert is_due(kind, 100_000, 100_000 // share)
        assert not is_due(kind, 100_000, 100_000 // share - 1)


def test_an_index_that_must_be_trained_waits_for_enough_vectors(open_index):
    index = open_index("IVF4,Flat", MergePolicy(min_changes=10))
    index.write(4 * 39 - 1)
    index.check()
    assert not index.path.exists()
    index.write(1)
    index.index.merge().result()
    assert load_base(index.path)[1].num_trained == 4 * 39
    index.check()


def test_an_index_too_small_to_be_trained_is_not_merged_even_if_asked(open_index):
    index = open_index("IVF4,Flat")
    index.write(4 * 39 - 1)
    index.index.merge().result()
    assert not index.path.exists()
    index.write(10)
    index.index.merge().result()
    assert index.path.exists()
    index.write(1, removed=range(1, 150))  # most is hidden, but what is left can't train anew
    index.index.merge().result()
    index.check()
    index.write(200)
    index.index.merge().result()
    index.check()


def test_centroids_are_trained_anew_when_the_base_has_outgrown_them(open_index):
    index = open_index("IVF4,Flat")
    index.write(200)
    index.index.merge().result()
    index.write(600)
    index.index.merge().result()
    assert load_base(index.path)[1].num_trained == 200
    index.write(1)
    index.index.merge().result()
    assert load_base(index.path)[1].num_trained == 801
    index.check()


def test_everything_may_be_deleted(open_index):
    index = open_index("HNSW16")
    index.write(300)
    index.index.merge().result()
    index.write(0, removed=range(1, 301))
    index.index.merge().result()
    assert len(load_base(index.path)[0]) == 0
    index.write(10)
    index.check()
    index.index.merge().result()
    index.check()


def test_a_base_that_can_not_be_saved_is_used_all_the_same(open_index, monkeypatch, caplog):
    def full(descriptor):
        raise OSError(28, "No space left on device")

    index = open_index()
    index.write(100)
    monkeypatch.setattr(os, "fsync", full)
    index.index.merge().result()
    index.check()
    assert "index not saved" in caplog.text
    assert "No space left on device" in caplog.text
    assert not index.path.exists()


@pytest.fixture
def failing_merges(monkeypatch):
    """Merges fail before they save, for as long as the list holds what they raise."""
    errors = [MemoryError("no room")]
    save = merging.save_base

    def fail_or_save(*arguments):
        if errors:
            raise errors[0]
        save(*arguments)

    monkeypatch.setattr(merging, "save_base", fail_or_save)
    return errors


def test_a_merge_that_fails_leaves_the_index_as_it_was(open_index, failing_merges, caplog):
    index = open_index()
    index.write(100)
    for _ in range(2):  # who asks is told each time
        with pytest.raises(StorageError, match=r"could not be merged.*no room.*tries again"):
            index.index.merge().result()
        index.write(50, removed=range(index.last_key - 9, index.last_key - 4))
        index.check()
    assert [record.levelno for record in caplog.records] == [logging.ERROR] * 2
    assert not index.path.exists()


@pytest.mark.parametrize("kind", KINDS)
def test_a_merge_that_failed_is_made_up_for_when_asked_again(open_index, failing_merges, kind):
    index = open_index(kind)
    index.write(400)
    with pytest.raises(StorageError):
        index.index.merge().result()
    index.write(50, removed=[1, 2, 399])
    index.write(3, removed=[3, 401])
    failing_merges.clear()
    index.index.merge().result()
    index.check()
    assert len(load_base(index.path)[0]) == len(index.vectors)
    index.write(10, removed=[4, 402, 451])
    index.index.merge().result()
    index.check()


def test_a_merge_that_failed_is_tried_again_by_itself_after_a_while(
    open_index, failing_merges, monkeypatch, caplog
):
    monkeypatch.setattr(vector_index, "_RETRY_SECONDS", 0.01)
    index = open_index(policy=MergePolicy(min_changes=100))
    index.write(100)
    while len(caplog.records) < 3:  # each search may try, none waits for it
        index.check()
    assert "after 0 s" in caplog.records[0].message
    failing_merges.clear()
    while not index.path.exists():
        index.check()
    index.check()


def test_the_time_between_two_tries_doubles_up_to_a_bound(open_index, failing_merges, caplog):
    index = open_index()
    index.write(100)
    for _ in range(11):
        with pytest.raises(StorageError):
            index.index.merge().result()
    waits = [record.message.rsplit("after ")[-1].split(" s ")[0] for record in caplog.records]
    assert waits == ["1", "2", "4", "8", "16", "32", "64", "128", "256", "300", "300"]


def test_who_waits_for_a_merge_is_told_that_the_collection_is_deleted(open_index, held_merges):
    index = open_index("HNSW16")
    index.write(100)
    merged = index.index.merge()
    held_merges.reached.wait()
    index.write(10)
    wanted = index.index.merge()
    closing = threading.Thread(target=lambda: index.index.close(discard=True))
    closing.start()
    while not index.index._is_closing:
        time.sleep(0.001)
    held_merges.release.set()
    closing.join()
    assert merged.done()  # whether it was swapped in or came too late for that
    with pytest.raises(CollectionClosedError):
        wanted.result(timeout=0)


def test_closing_abandons_a_merge_and_loses_nothing(open_index, held_merges, tmp_path):
    index = open_index("HNSW16")
    index.write(100)
    index.index.merge()
    held_merges.reached.wait()
    closing = threading.Thread(target=index.index.close)
    closing.start()
    held_merges.release.set()
    closing.join()
    assert load_base(index.path)[1].num_vectors == 100


@pytest.mark.parametrize(
    ("kind", "num_vectors", "saved"),
    [("Flat", 999, False), ("Flat", 1_000, True), ("HNSW16", 1_000, False)],
)
def test_a_clean_stop_saves_what_is_worth_it_and_quick(open_index, kind, num_vectors, saved):
    index = open_index(kind)
    index.write(num_vectors)
    index.index.close()
    index.index.close()
    assert index.path.exists() is saved
