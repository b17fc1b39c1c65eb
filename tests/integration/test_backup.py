"""docs/operations/backup.md over two servers: a collection moves to another machine whole."""

import tarfile
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from twopass.client import Client, DataLossError, Document, Fields, NotFoundError

from .corpus import FACTS
from .serving import Server

QUESTIONS = ("What is the capital of Australia?", "Why is the sky blue?", "chess bishop")
WHOLE = Fields(vector=True)
LONG = " ".join(f"Sentence {number} of a long document." for number in range(200))


@pytest.fixture
def source(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "source", gated=False) as server:
        yield server


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Server]:
    with Server(tmp_path / "other", gated=False) as server:
        yield server


def fill(client: Client) -> None:
    client.create_collection("facts-2026")
    documents = [
        *(Document(id_, text, metadata={"n": n}) for n, (id_, text) in enumerate(FACTS.items())),
        Document("long", LONG, title="Long", metadata={"big": 2**60 + 1, "list": [1, 1.0, None]}),
    ]
    client.upsert("facts-2026", documents)
    client.update_aliases({"facts": "facts-2026"})


def documents(client: Client, collection: str) -> dict[str, Document]:
    return {each.id: each for each in client.documents(collection, fields=WHOLE)}


def answers(client: Client, collection: str) -> list[object]:
    """Every score and rank of some searches; timings and sequences differ between servers."""
    return [client.search(collection, question, top_n=5).hits for question in QUESTIONS]


def packed(data: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz") as tar:
        for name in ("snapshots", "aliases.json"):
            tar.add(data / name, name)


def test_what_is_restored_elsewhere_is_what_it_was_to_the_last_digit(source, other, tmp_path):
    with Client(source.target) as here, Client(other.target) as there:
        fill(here)
        before = documents(here, "facts-2026"), answers(here, "facts")
        here.create_snapshot("facts-2026", "nightly")
        here.delete("facts-2026", ["sky"])  # afterwards, so that it is in the snapshot
        packed(source.data, tmp_path / "backup.tar.gz")
        with tarfile.open(tmp_path / "backup.tar.gz") as tar:  # while the other server runs
            tar.extractall(
                other.data,
                [member for member in tar if member.name != "aliases.json"],
                filter="data",
            )
        assert [each.name for each in there.list_snapshots("facts-2026")] == ["nightly"]
        there.restore_snapshot("facts-2026", "nightly", "facts-2026")
        there.update_aliases({"facts": "facts-2026"})
        assert (documents(there, "facts-2026"), answers(there, "facts")) == before
        there.upsert("facts", [Document("new", "A new document.")])
        assert there.count("facts") == len(before[0]) + 1


def test_a_snapshot_is_of_one_moment_while_writes_go_on(source, other, tmp_path):
    ended = threading.Event()

    def write() -> None:
        with Client(source.target) as client:
            number = 0
            while not ended.is_set():  # both or neither, always
                pair = [Document(f"{side}-{number}", f"Text {number}.") for side in "ab"]
                client.upsert("facts-2026", pair)
                number += 1

    with Client(source.target) as here, Client(other.target) as there:
        fill(here)
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for number in range(3):
                here.create_snapshot("facts-2026", f"moment-{number}")
        finally:
            ended.set()
            writer.join()
        packed(source.data, tmp_path / "backup.tar.gz")
        with tarfile.open(tmp_path / "backup.tar.gz") as tar:
            tar.extractall(other.data, filter="data")
        counts = []
        for number in range(3):
            there.restore_snapshot("facts-2026", f"moment-{number}", f"restored-{number}")
            ids = documents(there, f"restored-{number}").keys()
            sides = [{id_[2:] for id_ in ids if id_.startswith(side)} for side in ("a-", "b-")]
            assert sides[0] == sides[1]
            assert ids >= FACTS.keys()
            counts.append(len(ids))
        assert counts == sorted(counts)


def test_a_copy_that_lost_a_byte_is_refused(source, other):
    with Client(source.target) as here, Client(other.target) as there:
        fill(here)
        here.create_snapshot("facts-2026", "nightly")
        folder = source.data / "snapshots" / "facts-2026" / "nightly"
        copy = other.data / "snapshots" / "facts-2026" / "nightly"
        copy.mkdir(parents=True)
        for file in folder.iterdir():
            (copy / file.name).write_bytes(file.read_bytes())
        whole = (copy / "documents.sqlite").read_bytes()
        (copy / "documents.sqlite").write_bytes(whole[:-1])
        with pytest.raises(DataLossError):
            there.restore_snapshot("facts-2026", "nightly", "facts-2026")
        with pytest.raises(NotFoundError):
            there.get_collection("facts-2026")
        (copy / "documents.sqlite").write_bytes(whole)
        there.restore_snapshot("facts-2026", "nightly", "facts-2026")
        assert documents(there, "facts-2026") == documents(here, "facts-2026")


def test_aliases_come_along_into_a_data_folder_that_is_new(source, tmp_path):
    with Client(source.target) as here:
        fill(here)
        here.create_snapshot("facts-2026", "nightly")
        packed(source.data, tmp_path / "backup.tar.gz")
    data = tmp_path / "third"
    data.mkdir()
    with tarfile.open(tmp_path / "backup.tar.gz") as tar:
        tar.extractall(data, filter="data")
    with Server(data, gated=False) as third, Client(third.target) as client:
        client.restore_snapshot("facts-2026", "nightly", "facts-2026")
        assert client.count("facts") == len(FACTS) + 1
