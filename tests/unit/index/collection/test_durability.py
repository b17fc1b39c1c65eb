"""What was acknowledged survives: a killed process, lost power, a full disk."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import apsw
import numpy as np

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.lanes import Lanes
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore

DIMENSION = 64
LANES = Lanes.for_cpus(2)

# Writes batches of 1 to 5 documents from several threads, and prints ids once acknowledged.
WRITE_UNTIL_KILLED = """
import pathlib, sys, threading
import numpy as np
from twopass.index.documents import IndexedDocument
from twopass.index.lanes import Lanes
from twopass.index.store.store import CollectionStore

collection = CollectionStore(pathlib.Path(sys.argv[1]), Lanes.for_cpus(2)).get("notes")
life = sys.argv[2]

def write(thread):
    for turn in range(1_000_000):
        ids = [f"{life}-{thread}-{turn}-{n}" for n in range(1 + turn % 5)]
        vectors = [np.random.default_rng(list(id.encode())).standard_normal(64) for id in ids]
        collection.upsert([
            IndexedDocument(
                id=id, text=f"text of {id}", token_ids=np.arange(9, dtype=np.int32),
                vector=vector.astype(np.float32),
            )
            for id, vector in zip(ids, vectors)
        ]).result()
        sys.stdout.write(" ".join(ids) + "\\n")
        sys.stdout.flush()

for thread in range(4):
    threading.Thread(target=write, args=(thread,)).start()
"""


def document(name: str) -> IndexedDocument:
    drawn = np.random.default_rng(list(name.encode())).standard_normal(DIMENSION)
    return IndexedDocument(
        id=name,
        text=f"text of {name}",
        vector=drawn.astype(np.float32),
        token_ids=np.arange(9, dtype=np.int32),
    )


def create(folder: Path) -> None:
    with CollectionStore(folder, LANES) as store:
        store.create("notes", CollectionSchema(dimension=DIMENSION, client_vectors=True))


def check_whole(folder: Path, acknowledged: list[str]) -> int:
    """Checks that what was acknowledged is there and can be found; returns how much there is."""
    with CollectionStore(folder, LANES) as store:
        collection = store.get("notes")
        for stored in collection.get(acknowledged, DocumentFields(vector=True)):
            assert stored.text == f"text of {stored.id}"
            given = document(stored.id).vector
            np.testing.assert_allclose(stored.vector, given / np.linalg.norm(given), rtol=1e-6)
        everything = collection.list_page(1_000_000, "", DocumentFields(vector=True)).documents
        assert len({stored.id for stored in everything}) == len(everything)
        best = collection.search(np.stack([stored.vector for stored in everything]), 1).result()
        assert best.keys[:, 0].tolist() == [stored.key for stored in everything]
        return len(everything)


def test_a_killed_process_loses_nothing_it_acknowledged(tmp_path):
    create(tmp_path)
    acknowledged: list[str] = []
    for life, num_lines in enumerate((1, 40, 200)):
        with subprocess.Popen(
            [sys.executable, "-c", WRITE_UNTIL_KILLED, str(tmp_path), str(life)],
            stdout=subprocess.PIPE,
            text=True,
        ) as writer:
            for _ in range(num_lines):
                acknowledged += writer.stdout.readline().split()
            writer.send_signal(signal.SIGKILL)
            for line in writer.stdout:
                if line.endswith("\n"):
                    acknowledged += line.split()
        assert len(acknowledged) >= num_lines
        num_documents = check_whole(tmp_path, acknowledged)
        # Each life may have written, but not yet acknowledged, one batch of 5 a thread.
        assert num_documents <= len(acknowledged) + 4 * 5 * (life + 1)


class ShadowingFile(apsw.VFSFile):
    """Copies the file to `<path>.synced` whenever it is synced: what would survive lost power."""

    def __init__(self, base, name, flags):
        self.path = Path(name.filename() if isinstance(name, apsw.URIFilename) else name or "")
        super().__init__(base, name, flags)

    def xSync(self, flags):
        super().xSync(flags)
        shutil.copyfile(self.path, f"{self.path}.synced")


class ShadowingVFS(apsw.VFS):
    def __init__(self):
        super().__init__("shadowing", base="unix", makedefault=True)

    def xOpen(self, name, flags):
        return ShadowingFile("unix", name, flags)


def test_lost_power_loses_nothing_that_was_acknowledged(tmp_path):
    create(tmp_path / "disk")
    opened = tmp_path / "disk" / "collections" / "notes" / "documents.sqlite"
    shutil.copyfile(opened, f"{opened}.synced")
    vfs = ShadowingVFS()
    acknowledged: list[str] = []
    try:
        with CollectionStore(tmp_path / "disk", LANES) as store:
            for turn in range(8):
                ids = [f"{turn}-{n}" for n in range(1 + 20 * turn)]
                store.get("notes").upsert([document(name) for name in ids]).result()
                acknowledged += ids
                survivor = tmp_path / f"survivor-{turn}"
                folder = survivor / "collections" / "notes"
                folder.mkdir(parents=True)
                for file in ("documents.sqlite", "documents.sqlite-wal"):
                    shutil.copyfile(opened.with_name(f"{file}.synced"), folder / file)
                assert check_whole(survivor, acknowledged) == len(acknowledged)
    finally:
        vfs.unregister()


def test_a_collection_is_created_and_deleted_on_disk_before_it_is_said_to_be(tmp_path, monkeypatch):
    synced = []
    sync = os.fsync

    def record(descriptor):
        sync(descriptor)
        folder = Path(f"/proc/self/fd/{descriptor}").readlink().relative_to(tmp_path)
        synced.append((str(folder).partition("-")[0], (tmp_path / "collections/notes").exists()))

    monkeypatch.setattr(os, "fsync", record)
    create(tmp_path)
    assert synced == [("collections/.creating", False), ("collections", True)]
    with CollectionStore(tmp_path, LANES) as store:
        store.delete("notes")
    assert synced[2:] == [("collections", False)]


# Fills a disk of 400 KB, frees it, and goes on writing.
FILL_THE_DISK = """
import pathlib, resource, sys
from twopass.index.errors import StorageError
from twopass.index.lanes import Lanes
from twopass.index.store.store import CollectionStore
sys.path.insert(0, sys.argv[2])
from test_durability import document

with CollectionStore(pathlib.Path(sys.argv[1]), Lanes.for_cpus(2)) as store:
    collection = store.get("notes")
    unlimited = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, unlimited[1]))
    number = 0
    try:
        while True:
            collection.upsert([document(f"before-{number}")]).result()
            print(f"before-{number}")
            number += 1
    except StorageError as error:
        print(error, file=sys.stderr)
    resource.setrlimit(resource.RLIMIT_FSIZE, unlimited)
    collection.upsert([document("after")]).result()
    print("after")
"""


def test_a_full_disk_fails_writes_and_nothing_else(tmp_path):
    create(tmp_path)
    here = Path(__file__).parent
    ran = subprocess.run(
        [sys.executable, "-c", FILL_THE_DISK, str(tmp_path), str(here)],
        capture_output=True,
        text=True,
        check=True,
    )
    assert "collection 'notes': the disk" in ran.stderr
    acknowledged = ran.stdout.split()
    assert acknowledged[-1] == "after"
    assert len(acknowledged) > 2
    assert check_whole(tmp_path, acknowledged) == len(acknowledged)
