"""Words on their way to disk: what is found meanwhile, and what a failing disk does."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from twopass.index.errors import StoppedError, StorageError
from twopass.index.store.store import CollectionStore
from twopass.index.words import base, searching
from twopass.index.words.base import tantivy_errors
from twopass.index.words.base_folder import numbered, read_header
from twopass.index.words.base_writer import BaseWriter
from twopass.index.words.flushing import FlushPolicy

from ..conftest import LANES, StopsAfter

NEVER = FlushPolicy(min_documents=10**9, worth_saving=10**9)


@pytest.fixture
def open_store(tmp_path):
    """Opens the one data folder of a test, by a policy."""
    opened = []

    def open_by(policy):
        opened.append(CollectionStore(tmp_path, LANES, flush_policy=policy))
        return opened[-1]

    yield open_by
    for store in opened:
        store.close()


@pytest.fixture
def write(make_document):
    """Writes documents by name, whose text is their name and "sky"."""

    def upsert(collection, *names):
        collection.upsert([make_document(name, text=f"sky {name}") for name in names]).result()

    return upsert


def letters(count, first="a"):
    return [f"{first}{chr(97 + number // 26)}{chr(97 + number % 26)}" for number in range(count)]


def found(collection, query="sky", k=1_000):
    return sorted(collection.load(collection.search_words(query, k).keys).ids)


def folder(collection, tmp_path):
    (only,) = numbered(tmp_path / "collections" / collection.name).values()
    return only


class Held:
    """Holds commits until it is told to let them go."""

    def __init__(self, monkeypatch):
        self.began = threading.Event()
        self.go = threading.Event()
        commit = BaseWriter.commit

        def held(writer, header):
            self.began.set()
            assert self.go.wait(30)
            commit(writer, header)

        monkeypatch.setattr(BaseWriter, "commit", held)


def test_what_comes_and_goes_during_a_flush_is_found_and_not_found_at_once(
    open_store, schema, write, monkeypatch
):
    collection = open_store(NEVER).create("notes", schema)
    write(collection, "one", "two", "three")
    collection.flush_words().result()
    write(collection, "four", "five")
    held = Held(monkeypatch)
    flush = collection.flush_words()
    assert held.began.wait(30)
    for _ in range(2):
        write(collection, "six")
    collection.delete(["one", "four"]).result()
    write(collection, "two", "five")
    remaining = ["five", "six", "three", "two"]
    assert found(collection) == remaining
    held.go.set()
    flush.result()
    assert found(collection) == remaining
    collection.flush_words().result()
    assert found(collection) == remaining
    assert [found(collection, name) for name in remaining] == [[name] for name in remaining]
    assert found(collection, "one four") == []


def test_searches_and_writes_go_on_beside_flushes(open_store, schema, write):
    collection = open_store(FlushPolicy(min_documents=5, max_documents=5)).create("notes", schema)
    write(collection, "stays")
    over = threading.Event()

    def search():
        while not over.is_set():
            assert collection.load(collection.search_words("stays", 5).keys).ids == ("stays",)

    with ThreadPoolExecutor(2) as searchers:
        searches = [searchers.submit(search) for _ in range(2)]
        for name in letters(60):
            write(collection, name)
        over.set()
        for each in searches:
            each.result()
    assert len(found(collection)) == 61


def test_a_flush_that_fails_loses_nothing_and_is_tried_again(
    open_store, schema, write, monkeypatch, caplog
):
    collection = open_store(NEVER).create("notes", schema)
    write(collection, "one", "two")
    collection.flush_words().result()
    write(collection, "one", "three")
    with monkeypatch.context() as failing:
        failing.setattr(BaseWriter, "commit", no_space)
        with pytest.raises(StorageError, match="words-1 to build them anew"):
            collection.flush_words().result()
    assert "words not written, they stay in memory and are tried again" in caplog.text
    assert found(collection) == ["one", "three", "two"]
    collection.flush_words().result()
    assert found(collection) == ["one", "three", "two"]


def no_space(writer, header):
    """As a commit on a full disk."""
    with tantivy_errors(writer._folder):
        raise OSError(28, "No space left on device")


def test_a_commit_that_came_about_though_it_failed_is_not_found_twice(
    open_store, schema, write, monkeypatch
):
    collection = open_store(NEVER).create("notes", schema)
    write(collection, "one", "two")
    collection.flush_words().result()
    write(collection, "three")
    commit = BaseWriter.commit

    def commit_and_fail(writer, header):
        commit(writer, header)
        no_space(writer, header)

    with monkeypatch.context() as failing:
        failing.setattr(BaseWriter, "commit", commit_and_fail)
        with pytest.raises(StorageError):
            collection.flush_words().result()
    write(collection, "two")
    assert found(collection) == ["one", "three", "two"]
    collection.flush_words().result()
    ranked = collection.search_words("sky", 10)
    assert len(ranked.keys) == 3
    assert found(collection) == ["one", "three", "two"]


def test_memory_is_bounded_where_the_disk_does_not_take_words(
    open_store, schema, write, monkeypatch
):
    policy = FlushPolicy(min_documents=5, max_documents=5, patience=4)
    monkeypatch.setattr(BaseWriter, "commit", no_space)
    collection = open_store(policy).create("notes", schema)
    for name in letters(19):
        write(collection, name)
    assert len(found(collection)) == 19
    write(collection, "last", "of", "all")
    with pytest.raises(StorageError, match="documents are safe on disk"):
        collection.search_words("sky", 10)
    write(collection, "more")  # writes go on
    assert collection.num_documents == 23


def test_words_are_whole_again_after_the_disk_is(open_store, schema, write, monkeypatch):
    policy = FlushPolicy(min_documents=5, max_documents=5, patience=2)
    store = open_store(policy)
    with monkeypatch.context() as failing:
        failing.setattr(BaseWriter, "commit", no_space)
        collection = store.create("notes", schema)
        write(collection, *letters(30))
        store.close()
    assert found(open_store(policy).get("notes")) == letters(30)


def test_writes_that_come_too_fast_wait_for_a_flush(open_store, schema, write, tmp_path):
    policy = FlushPolicy(min_documents=4, max_documents=4, patience=2, worth_saving=10**9)
    collection = open_store(policy).create("notes", schema)
    for number in range(10):
        write(collection, *letters(5, chr(97 + number)))
        in_memory = sum(len(run) for run in collection._words.words.runs)
        assert in_memory < 8
    assert len(found(collection)) == 50


def test_what_is_worth_it_is_flushed_when_the_collection_is_closed(
    open_store, schema, write, tmp_path
):
    policy = FlushPolicy(min_documents=100, worth_saving=5)
    store = open_store(policy)
    for name, count in [("few", 4), ("more", 5)]:
        write(store.create(name, schema), *letters(count))
    store.close()
    assert numbered(tmp_path / "collections" / "few") == {}
    assert read_header(numbered(tmp_path / "collections" / "more")[1]).last_key == 5
    assert found(open_store(policy).get("more")) == letters(5)


def test_many_deletions_leave_the_base(open_store, schema, write):
    policy = FlushPolicy(min_documents=10, worth_saving=10**9)
    collection = open_store(policy).create("notes", schema)
    write(collection, *letters(30))
    collection.flush_words().result()
    collection.delete(letters(12)).result()
    collection.flush_words().result()
    assert len(collection._words.words.hidden) == 0
    assert found(collection) == letters(30)[12:]


@pytest.mark.parametrize("allowed", [1, 50, 120])
def test_k_are_found_wherever_k_pass(open_store, schema, write, monkeypatch, allowed):
    """However few of those that fit best are allowed, and whatever way they are looked for."""
    monkeypatch.setattr(searching, "MAX_KEYS_OF_A_SET", 40)
    for module in (base, searching):
        monkeypatch.setattr(module, "SLICE_DOCUMENTS", 64)
    collection = open_store(NEVER).create("notes", schema)
    write(collection, *letters(300))
    collection.flush_words().result()
    collection.delete(letters(300)[:100]).result()
    everything = collection.search_words("sky", 1_000).keys
    assert len(everything) == 200
    for k in (1, 10, allowed, 1_000):
        members = everything[-allowed:].copy()
        members.sort()
        ranked = collection.search_words("sky", k, members)
        assert ranked.keys.tolist() == members[:k].tolist()


def test_a_search_ends_between_two_looks_at_its_stop(open_store, schema, write, monkeypatch):
    for module in (base, searching):
        monkeypatch.setattr(module, "SLICE_DOCUMENTS", 16)
    collection = open_store(NEVER).create("notes", schema)
    write(collection, *letters(200))
    collection.flush_words().result()
    for times in range(5):
        with pytest.raises(StoppedError):
            collection.search_words("sky", 100, stop=StopsAfter(times))


def test_scores_are_the_same_in_memory_and_on_disk(open_store, schema, make_document):
    collection = open_store(NEVER).create("notes", schema)
    texts = ["sky blue", "sky sky", "blue sea", "sea sea", "sky sea", "red sky"]

    def scores():
        matches = collection.search_words("sky blue", 10)
        return dict(zip(matches.keys.tolist(), matches.scores.tolist(), strict=True))

    for position, text in enumerate(texts):
        collection.upsert([make_document(f"d{position}", text=text)]).result()
    in_memory = scores()
    assert len(in_memory) == 5
    collection.flush_words().result()
    assert scores() == pytest.approx(in_memory, rel=1e-6)
    for position in range(3):  # two words each, so that the average length stays
        collection.upsert([make_document(f"e{position}", text="sky moon")]).result()
    in_both = scores()
    assert len(in_both) == 8
    collection.flush_words().result()
    assert scores() == pytest.approx(in_both, rel=1e-6)


def test_a_base_whose_documents_are_all_deleted_counts_for_nothing(open_store, schema, write):
    collection = open_store(NEVER).create("notes", schema)
    write(collection, *letters(10))
    collection.flush_words().result()
    collection.delete(letters(10)).result()
    collection.flush_words().result()
    assert found(collection) == []
    write(collection, "new", "newer")
    assert found(collection) == ["new", "newer"]
    collection.flush_words().result()
    assert found(collection) == ["new", "newer"]
