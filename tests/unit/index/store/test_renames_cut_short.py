"""Renames, and the starts after them, that a crash, a full disk or a kill ends at any step."""

import itertools
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from twopass.index.store.store import CollectionStore

from ..conftest import LANES
from .looking import alias, folders, ids


class Cuts:
    """Copies a data folder at every step that changes its files or makes changes durable."""

    def __init__(self, monkeypatch, folder, copies):
        self.copies = []
        for owner, name in ((Path, "rename"), (Path, "replace"), (os, "fsync")):
            step = getattr(owner, name)

            def cut(*args, step=step):
                for moment in ("before", "after"):
                    if moment == "after":
                        step(*args)
                    copy = copies / f"{len(self.copies)}"
                    shutil.copytree(folder, copy)
                    self.copies.append(copy)

            monkeypatch.setattr(owner, name, cut)


def found_in(folder):
    """What a server that starts on a folder finds: documents and snapshots by name, and aliases."""
    with CollectionStore(folder, LANES) as store:
        documents = {name: ids(store.get(name)) for name in store.names}
        named = {*documents, "docs", "docs-1", "old"}
        snapshots = {name: [x.name for x in store.snapshots.list(name)] for name in named}
        return (
            documents,
            {name: found for name, found in snapshots.items() if found},
            dict(store.aliases.items()),
        )


BEFORE = ({"docs": ["a"]}, {"docs": ["first"]}, {"live": "docs"})


@pytest.mark.parametrize("keep_alias", [False, True])
def test_cut_at_any_step_it_has_one_of_its_names_and_all_that_goes_with_it(
    tmp_path, tmp_path_factory, store, docs, monkeypatch, keep_alias
):
    store.create_snapshot("docs", "first")
    alias(store, "live", "docs")
    with monkeypatch.context() as patched:
        cuts = Cuts(patched, tmp_path, tmp_path_factory.mktemp("cuts"))
        store.rename("docs", "docs-1", keep_alias=keep_alias)
    kept = {"docs": "docs-1"} if keep_alias else {}
    after = ({"docs-1": ["a"]}, {"docs-1": ["first"]}, {"live": "docs-1"} | kept)
    found = [found_in(copy) for copy in cuts.copies]
    switch = found.index(after)
    assert found == [BEFORE] * switch + [after] * (len(found) - switch)
    assert (switch, len(found)) == (3, 6)  # of: sync the new file, replace the old, sync the folder


def test_cut_at_any_step_of_a_start_everything_keeps_its_name(
    tmp_path, tmp_path_factory, store, docs, schema, make_document, monkeypatch
):
    for name in ("blue", "green"):
        store.create(name, schema).upsert([make_document(name)]).result()
        store.create_snapshot(name, f"of-{name}")
    store.create_snapshot("docs", "first")
    for name, new_name in (("docs", "docs-1"), ("blue", "x"), ("green", "blue"), ("x", "green")):
        store.rename(name, new_name)
    store.create("docs", schema).upsert([make_document("new")]).result()
    store.create_snapshot("docs", "second")
    store.close()
    with monkeypatch.context() as patched:
        cuts = Cuts(patched, tmp_path, tmp_path_factory.mktemp("cuts"))
        store = CollectionStore(tmp_path, LANES, opens_collections=False)
    store.close()
    assert folders(tmp_path) == ["blue", "docs", "docs-1", "green"]
    expected = (
        {"blue": ["green"], "docs": ["new"], "docs-1": ["a"], "green": ["blue"]},
        {"blue": ["of-green"], "docs": ["second"], "docs-1": ["first"], "green": ["of-blue"]},
        {},
    )
    assert len(cuts.copies) > 20
    for copy in cuts.copies:
        assert found_in(copy) == expected
        assert folders(copy) == folders(copy, "snapshots") == ["blue", "docs", "docs-1", "green"]


@pytest.mark.parametrize("is_written", [False, True], ids=["disk-full", "disk-good"])
@pytest.mark.parametrize("num_moved", range(5))
def test_where_a_start_names_some_folders_alone_every_snapshot_is_still_found(
    tmp_path, store, docs, schema, make_document, monkeypatch, num_moved, is_written
):
    store.create("other", schema)
    for name in ("docs", "other"):
        store.create_snapshot(name, "first")
        store.rename(name, f"{name}-1")
    store.close()
    move, replace, num_moves = Path.rename, Path.replace, itertools.count()

    def refuse(*args):
        if next(num_moves) >= num_moved:
            raise OSError(5, "Input/output error")
        move(*args)

    def refuse_names(*args):
        if not is_written:
            raise OSError(28, "No space left on device")
        replace(*args)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "rename", refuse)
        patched.setattr(Path, "replace", refuse_names)
        store = CollectionStore(tmp_path, LANES)
    for name in ("docs", "other"):
        assert [x.name for x in store.snapshots.list(f"{name}-1")] == ["first"]
        store.create_snapshot(f"{name}-1", "second")
        # The name is free, and what it stands for now is not what the disk has it stand for.
        store.create(name, schema).upsert([make_document(f"new-{name}")]).result()
        store.create_snapshot(name, "of-new")
    for _ in range(2):
        for name in ("docs", "other"):
            assert [x.name for x in store.snapshots.list(f"{name}-1")] == ["first", "second"]
            assert [x.name for x in store.snapshots.list(name)] == ["of-new"]
            assert ids(store.get(name)) == [f"new-{name}"]
        assert ids(store.get("docs-1")) == ["a"]
        store.close()
        store = CollectionStore(tmp_path, LANES)
    store.close()
    named = ["docs", "docs-1", "other", "other-1"]
    assert folders(tmp_path) == folders(tmp_path, "snapshots") == named


def test_folders_are_renamed_durably_before_what_they_stood_for_is_forgotten(
    tmp_path, store, docs, monkeypatch
):
    store.rename("docs", "docs-1")
    store.close()
    steps = []
    sync, rename, replace = os.fsync, Path.rename, Path.replace

    def record(descriptor):
        sync(descriptor)
        steps.append(f"sync {Path(f'/proc/self/fd/{descriptor}').readlink().name}")

    monkeypatch.setattr(os, "fsync", record)
    monkeypatch.setattr(
        Path, "rename", lambda path, to: (steps.append(f"rename {path.name}"), rename(path, to))
    )
    monkeypatch.setattr(
        Path, "replace", lambda path, to: (steps.append(f"replace {to.name}"), replace(path, to))
    )
    CollectionStore(tmp_path, LANES, opens_collections=False).close()
    write = ["sync aliases.json.new", "replace aliases.json", f"sync {tmp_path.name}"]
    # First what folders stand for that are not there is forgotten, then what the renamed one did.
    assert steps == [*write, "rename docs", "sync collections", *write]


RENAME_UNTIL_KILLED = """
import itertools, pathlib, sys
from twopass.index.lanes import Lanes
from twopass.index.store.store import CollectionStore

store = CollectionStore(pathlib.Path(sys.argv[1]), Lanes.for_cpus(2))
for turn in itertools.count():
    store.rename(f"docs-{turn}" if turn else "docs", f"docs-{turn + 1}", keep_alias=True)
    print(turn + 1, flush=True)
"""


@pytest.mark.parametrize("num_lines", [1, 7, 40])
def test_a_killed_process_leaves_the_last_acknowledged_name_or_the_next(
    tmp_path, store, docs, num_lines
):
    store.close()
    with subprocess.Popen(
        [sys.executable, "-c", RENAME_UNTIL_KILLED, str(tmp_path)], stdout=subprocess.PIPE
    ) as renaming:
        lines = [renaming.stdout.readline() for _ in range(num_lines)]
        renaming.send_signal(signal.SIGKILL)
        lines += [line for line in renaming.stdout if line.endswith(b"\n")]
    acknowledged = int(lines[-1])
    with CollectionStore(tmp_path, LANES) as reopened:
        (name,) = reopened.names
        assert name in (f"docs-{acknowledged}", f"docs-{acknowledged + 1}")
        assert ids(reopened.get("docs")) == ids(reopened.get(name)) == ["a"]
        assert len(reopened.aliases.of(name)) == int(name.removeprefix("docs-"))
        assert folders(tmp_path) == [name]
