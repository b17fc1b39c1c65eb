"""Aliases: switched all at once, on disk before that is said, and never in a collection's place."""

import itertools
import os
import signal
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from twopass.index import aliases as aliases_module
from twopass.index.aliases import AliasChange
from twopass.index.errors import (
    AliasExistsError,
    CollectionAliasedError,
    CollectionClosedError,
    CollectionExistsError,
    CollectionNotFoundError,
    InvalidAliasError,
    InvalidSchemaError,
    StaleSequenceError,
    StorageError,
)
from twopass.index.store.store import CollectionStore

from ..conftest import LANES


def anything(collection):
    """Lets every collection be used."""


def update(store, may_use=anything, **changes):
    """Changes aliases of letters alone; None removes one."""
    made = store.update_aliases([AliasChange(*change) for change in changes.items()], may_use)
    assert dict(made.items()) == listed(store)


def listed(store):
    return dict(store.aliases.items())


@pytest.fixture
def filled(store, schema):
    """A store of the collections `one` and `two`."""
    for name in ("one", "two"):
        store.create(name, schema)
    return store


def test_an_alias_stands_for_a_collection_until_it_is_switched(filled):
    update(filled, docs="one", b="one")
    assert list(filled.aliases.items()) == [("b", "one"), ("docs", "one")]
    assert filled.get("docs") is filled.get("one")
    assert filled.aliases.of("one") == ("b", "docs")
    update(filled, docs="two")
    assert filled.get("docs") is filled.get("two")
    assert (filled.aliases.of("one"), filled.aliases.of("two")) == (("b",), ("docs",))
    update(filled, docs=None, never=None)
    assert listed(filled) == {"b": "one"}
    with pytest.raises(CollectionNotFoundError, match="'docs' does not exist"):
        filled.get("docs")


@pytest.mark.parametrize(
    ("change", "error", "said"),
    [
        (("two", "one"), CollectionExistsError, "collection 'two' exists already"),
        (("x", "nowhere"), CollectionNotFoundError, "collection 'nowhere' does not exist"),
        (("x", "x"), CollectionNotFoundError, "collection 'x' does not exist"),
        (("x", "docs"), InvalidAliasError, r"changes\[1\]\.collection: 'docs' is an alias; name"),
        (("a", "two"), InvalidAliasError, r"changes\[1\]\.alias: 'a' is changed twice"),
        (("a", None), InvalidAliasError, r"changes\[1\]\.alias: 'a' is changed twice"),
        (("../x", "one"), InvalidSchemaError, r"changes\[1\]\.alias: '\.\./x' given; 1 to 64"),
        (("", None), InvalidSchemaError, r"changes\[1\]\.alias: '' given; 1 to 64"),
    ],
)
def test_a_change_that_can_not_be_keeps_all_others_from_being(filled, change, error, said):
    update(filled, docs="one")
    with pytest.raises(error, match=said):
        filled.update_aliases([AliasChange("a", "one"), AliasChange(*change)], anything)
    assert listed(filled) == {"docs": "one"}


def test_there_are_only_so_many(filled, monkeypatch):
    monkeypatch.setattr(aliases_module, "MAX_ALIASES", 2)
    update(filled, a="one", b="one")
    with pytest.raises(
        InvalidAliasError, match="changes: 3 aliases in all would be there, at most 2"
    ):
        update(filled, c="one")
    update(filled, a=None, c="one")


def test_who_may_not_use_what_an_alias_stood_for_changes_nothing(filled):
    def not_one(collection):
        if collection == "one":
            raise PermissionError

    update(filled, not_one, docs="one")
    for collection in ("two", None):
        with pytest.raises(PermissionError):
            update(filled, not_one, other="two", docs=collection)
    assert listed(filled) == {"docs": "one"}


def test_a_collection_with_aliases_stays(filled):
    update(filled, docs="one", other="one")
    for name in ("one", "docs"):
        with pytest.raises(CollectionAliasedError, match=r"'one' can't be .*: 'docs', 'other'$"):
            filled.delete(name)
    update(filled, docs="two", other=None)
    filled.delete("one")
    assert filled.get("docs").name == "two"


def test_an_alias_is_no_name_for_a_new_collection(filled, schema):
    update(filled, docs="one")
    with pytest.raises(AliasExistsError, match="'docs' is an alias of collection 'one'; remove"):
        filled.create("docs", schema)
    filled.snapshots.create(filled.get("docs"), "first")
    with pytest.raises(AliasExistsError):
        filled.restore("one", "first", "docs")
    update(filled, docs=None)
    filled.create("docs", schema)


def test_a_sequence_of_the_old_collection_is_none_of_the_new(filled, make_document):
    update(filled, docs="one")
    sequence = filled.get("docs").upsert([make_document("a")]).result().sequence
    filled.get("docs").ensure_reached(str(sequence))
    update(filled, docs="two")
    with pytest.raises(StaleSequenceError, match="is not of collection 'two'"):
        filled.get("docs").ensure_reached(str(sequence))


def test_lookups_find_the_old_or_the_new_while_an_alias_is_switched(filled, schema):
    # Each collection is deleted as soon as the alias stands for another.
    update(filled, docs="one")
    done = threading.Event()

    def look_up():
        while not done.is_set():
            filled.get("docs")

    with ThreadPoolExecutor(1) as threads:
        looking_up = threads.submit(look_up)
        try:
            for old, new in itertools.pairwise(["one", *(f"next-{i}" for i in range(30))]):
                filled.create(new, schema)
                update(filled, docs=new)
                filled.delete(old)
        finally:
            done.set()
        looking_up.result()
    assert filled.get("docs").name == "next-29"


# --- on disk -------------------------------------------------------------------------------------


def test_aliases_come_back_when_the_folder_is_opened_again(tmp_path, filled):
    update(filled, docs="one", other="two")
    update(filled, docs="two", other=None)
    filled.close()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert listed(reopened) == {"docs": "two"}
        assert reopened.get("docs").name == "two"
        with pytest.raises(CollectionAliasedError):
            reopened.delete("two")


def test_a_closed_store_changes_none(tmp_path, filled):
    filled.close()
    with pytest.raises(CollectionClosedError):
        update(filled, docs="one")
    assert not (tmp_path / "aliases.json").exists()


SWITCH_UNTIL_KILLED = """
import itertools, pathlib, sys
from twopass.index.lanes import Lanes
from twopass.index.aliases import AliasChange
from twopass.index.store.store import CollectionStore

store = CollectionStore(pathlib.Path(sys.argv[1]), Lanes.for_cpus(2))
for turn in itertools.count():
    name = ("one", "two")[turn % 2]
    store.update_aliases(
        [AliasChange("docs", name), AliasChange("other", name), AliasChange(f"t{turn}", name)],
        lambda collection: None,
    )
    print(turn, flush=True)
"""


@pytest.mark.parametrize("num_lines", [1, 7, 40])
def test_a_killed_process_leaves_the_last_acknowledged_change_whole(tmp_path, filled, num_lines):
    filled.close()
    with subprocess.Popen(
        [sys.executable, "-c", SWITCH_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as switching:
        lines = [switching.stdout.readline() for _ in range(num_lines)]
        switching.send_signal(signal.SIGKILL)
        lines += [line for line in switching.stdout if line.endswith(b"\n")]
    acknowledged = int(lines[-1])
    with CollectionStore(tmp_path, LANES) as store:
        found = listed(store)
        turns = {int(alias[1:]) for alias in found if alias[0] == "t"}
        last = max(turns)
        assert turns == set(range(last + 1))
        assert last in (acknowledged, acknowledged + 1)
        assert found["docs"] == found["other"] == ("one", "two")[last % 2]


def test_a_change_is_on_disk_before_it_is_seen(tmp_path, filled, monkeypatch):
    synced = []
    sync = os.fsync

    def record(descriptor):
        sync(descriptor)
        path = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)
        synced.append((str(path), (tmp_path / "aliases.json").exists(), listed(filled)))

    monkeypatch.setattr(os, "fsync", record)
    update(filled, docs="one")
    assert synced == [("aliases.json.new", False, {}), (".", True, {})]


def test_a_change_that_the_disk_refuses_is_none(tmp_path, filled, monkeypatch):
    update(filled, docs="one")

    def full(descriptor):
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patched:
        patched.setattr(os, "fsync", full)
        with pytest.raises(StorageError, match="aliases: No space left on device; free some space"):
            update(filled, docs="two", other="one")
    assert listed(filled) == {"docs": "one"}
    filled.close()
    with CollectionStore(tmp_path, LANES) as reopened:
        assert listed(reopened) == {"docs": "one"}
        update(reopened, docs="two")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"\xff\xfe\x00", "it is damaged"),
        (b'{"format_version": 1, "aliases": {"docs": "on', "it is damaged"),
        (b'["docs"]', "it does not say its format"),
        (b'{"format_version": 1}', "it holds no aliases"),
        (b'{"format_version": 1, "aliases": {"docs": 3}}', "it is damaged"),
        (b'{"format_version": 1, "aliases": {"../docs": "one"}}', "'../docs' given"),
        (b'{"format_version": 2, "aliases": {}}', "it holds no renamed collections"),
        (
            b'{"format_version": 2, "aliases": {}, "renamed": {"collections": {"one": "../x"}}}',
            "'../x' given",
        ),
        (
            b'{"format_version": 3, "aliases": {}}',
            "its format is 3, this server reads 1 to 2; upgrade",
        ),
    ],
)
def test_damaged_aliases_are_named_at_the_start(tmp_path, filled, content, said):
    filled.close()
    file = tmp_path / "aliases.json"
    file.write_bytes(content)
    with pytest.raises(StorageError) as raised:
        CollectionStore(tmp_path, LANES)
    assert str(raised.value).startswith(f"{file}: ")
    assert said in str(raised.value)
    file.unlink()  # the way out
    CollectionStore(tmp_path, LANES).close()


def test_an_alias_of_a_collection_that_fails_to_open_says_why(tmp_path, filled):
    update(filled, docs="one")
    filled.close()
    (tmp_path / "collections" / "one" / "documents.sqlite").write_bytes(b"no database" * 1_000)
    with CollectionStore(tmp_path, LANES) as store:
        with pytest.raises(StorageError, match="collection 'one' could not be opened"):
            store.get("docs")
        with pytest.raises(StorageError, match="collection 'one' could not be opened"):
            update(store, other="one")
        with pytest.raises(CollectionAliasedError):
            store.delete("one")
        update(store, docs="two")
        store.delete("one")


def test_an_alias_of_a_collection_that_is_no_more_can_be_switched(tmp_path, filled):
    update(filled, docs="one")
    filled.close()
    (tmp_path / "collections" / "one").rename(tmp_path / "collections" / "docs")
    with CollectionStore(tmp_path, LANES) as store:
        assert store.get("docs").name == "docs"  # a collection's name goes before an alias
        update(store, docs=None)
        update(store, other="docs")
    (tmp_path / "collections" / "docs").rename(tmp_path / "moved")
    with CollectionStore(tmp_path, LANES) as store:
        with pytest.raises(CollectionNotFoundError, match="'docs' does not exist"):
            store.get("other")
        update(store, other="two")
        assert store.get("other").name == "two"
