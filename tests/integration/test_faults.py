"""Faults of the disk, as clients meet them: a clear error each, and everything else is served."""

import itertools
import os
import subprocess
import sys
from pathlib import Path
from tempfile import TemporaryDirectory

import grpc
import pytest

from twopass.client import Client, DataLossError, Document, Schema, UnavailableError
from twopass.v1 import collection_pb2

from ..crash.tiny_models import TinyModels, write_tiny_models
from .serving import Server, server_process

SERVE = [sys.executable, "-m", "twopass.commands.main", "serve"]
SCHEMA = Schema(client_vectors=True, dimension=3)


@pytest.fixture(scope="module")
def tiny(tmp_path_factory) -> TinyModels:
    """Models that load at once: no text is read here."""
    return write_tiny_models(tmp_path_factory.mktemp("models"))


@pytest.fixture
def serve(tiny):
    """Starts a server on a folder."""

    def start(folder: Path) -> Server:
        return Server(folder, encoder=str(tiny.encoder), reranker=str(tiny.reranker))

    return start


def document(name: str, text: str = "x") -> Document:
    return Document(id=name, text=text, vector=[1, 2, 3])


@pytest.fixture
def data(tmp_path, serve) -> Path:
    """Two collections of three documents, of which `broken` will be harmed."""
    with serve(tmp_path) as server, Client(server.target) as client:
        for name in ("broken", "sound"):
            client.create_collection(name, SCHEMA)
            documents = [document(key, f"text of {key} in {name}") for key in ("a", "b", "c")]
            client.upsert(name, documents)
    return tmp_path


def check_serves(client: Client, collection: str) -> None:
    client.upsert(collection, [document("new")])
    hits = client.search(collection, vector=[1, 2, 3], retrieve="dense", rerank=False).hits
    assert {hit.id for hit in hits} >= {"a", "b", "c", "new"}


def test_a_document_that_rots_on_disk_is_named_and_the_rest_is_served(data, serve):
    file = data / "collections" / "broken" / "documents.sqlite"
    file.write_bytes(file.read_bytes().replace(b"text of b in broken", b"text of B in broken"))
    with serve(data) as server, Client(server.target) as client:
        assert client.get_collection("sound").read_only_reason == ""
        hits = client.search("broken", vector=[1, 2, 3], retrieve="dense", rerank=False).hits
        assert {hit.id for hit in hits} == {"a", "c"}
        reason = client.get_collection("broken").read_only_reason
        assert reason.startswith(
            "collection 'broken' is read-only: 1 documents are damaged on disk ('b')"
        )
        with pytest.raises(DataLossError, match="1 documents are damaged on disk") as refused:
            client.upsert("broken", [document("new")])
        print(refused.value)
        with pytest.raises(DataLossError, match="document 'b' is damaged"):
            client.get("broken", ["a", "b"])
        assert [found.id for found in client.get("broken", ["a", "c"])] == ["a", "c"]
        check_serves(client, "sound")


def test_a_damaged_file_keeps_its_collection_alone_out(data, serve):
    (data / "collections" / "broken" / "documents.sqlite").write_bytes(b"no database" * 999)
    with serve(data) as server, Client(server.target) as client:
        with pytest.raises(UnavailableError, match="no database; restore it from a backup"):
            client.get_collection("broken")
        check_serves(client, "sound")


@pytest.fixture
def small_disk(tmp_path):
    """A file system of 4 MB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "twopass-test", str(disk)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a small disk can't be mounted here: {mounted.stderr.strip()}")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def fill_up(client: Client, collection: str) -> tuple[int, UnavailableError]:
    """Writes until the server refuses; returns how many documents it took, and what it said."""
    for number in itertools.count():
        try:
            client.upsert(collection, [document(f"d{number}", "x" * 20_000)])
        except UnavailableError as error:
            return number, error
    raise AssertionError


def test_a_full_disk_fails_what_needs_room_and_loses_nothing(small_disk, serve):
    (small_disk / "ballast").write_bytes(b"x" * 400_000)
    with serve(small_disk) as server, Client(server.target) as client:
        client.create_collection("notes", SCHEMA)
        written, error = fill_up(client, "notes")
        print(error)
        assert ": the disk is full; free some space and try again" in str(error)
        assert str(small_disk) not in str(error)
        assert written > 10
        with pytest.raises(UnavailableError, match=r"No space left|disk is full"):
            client.create_snapshot("notes")
        with pytest.raises(UnavailableError, match=r"No space left|disk is full"):
            client.create_collection("another", SCHEMA)
        assert client.list_snapshots("notes") == ()
        assert client.get_collection("notes").num_documents == written
        assert len(list(client.documents("notes"))) == written
        (small_disk / "ballast").unlink()
        client.upsert("notes", [document("after")])
    with serve(small_disk) as server, Client(server.target) as client:
        ids = {found.id for found in client.documents("notes")}
        assert ids == {f"d{n}" for n in range(written)} | {"after"}


# As a user without privileges: to root no folder is read-only.
AS_NOBODY = """
import encodings.idna, os, sys
import twopass.server.app
from twopass.commands.main import app
os.setgid(65534); os.setuid(65534)
sys.argv = ["twopass", "serve", "--data", sys.argv[1], "--address", "127.0.0.1:0"]
app()
"""


@pytest.mark.skipif(os.getuid() != 0, reason="only root can run a server as somebody else")
def test_a_folder_that_can_not_be_written_to_is_named_at_start():
    # Not below pytest's folders, into which it lets nobody look.
    with TemporaryDirectory() as data:
        Path(data).chmod(0o755)
        ran = subprocess.run(
            [sys.executable, "-c", AS_NOBODY, data], capture_output=True, text=True, check=False
        )
    print(ran.stderr)
    assert ran.returncode == 1
    assert f"--data {data}: this user may not write there; give" in " ".join(ran.stderr.split())


def test_a_collection_that_can_not_be_written_to_keeps_no_other_from_it(data, serve):
    broken = data / "collections" / "broken"
    mounted = subprocess.run(
        ["mount", "--bind", "-o", "ro", str(broken), str(broken)],
        capture_output=True,
        text=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip(f"a read-only folder can't be mounted here: {mounted.stderr.strip()}")
    try:
        with serve(data) as server, Client(server.target) as client:
            with pytest.raises(UnavailableError) as refused:
                client.upsert("broken", [document("new")])
            print(refused.value)
            assert "read-only" in str(refused.value) or "can't be opened" in str(refused.value)
            check_serves(client, "sound")
    finally:
        subprocess.run(["umount", str(broken)], check=True)
    with serve(data) as server, Client(server.target) as client:
        check_serves(client, "broken")


def test_a_second_server_on_the_folder_is_told_so_and_harms_nothing(data, tiny):
    models = ("--encoder", str(tiny.encoder), "--reranker", str(tiny.reranker))
    with server_process(data, *models) as (_, target), Client(target) as client:
        second = subprocess.run(
            [*SERVE, "--data", str(data), "--address", "127.0.0.1:0"],
            capture_output=True,
            text=True,
            check=False,
        )
        print(second.stderr)
        assert second.returncode == 1
        message = " ".join(second.stderr.split())
        assert "another server holds this data folder; stop it, or choose another one" in message
        check_serves(client, "broken")


def test_a_damaged_index_file_costs_a_start_some_time_and_nothing_else(data, serve, caplog):
    (data / "collections" / "broken" / "vectors.base").write_bytes(b"\0" * 5_000)
    caplog.set_level("WARNING", "twopass.index")
    with serve(data) as server, Client(server.target) as client:
        (warning,) = caplog.records
        print(warning.reason)
        assert warning.message == "index read from the documents"
        assert "vectors.base: its checksum does not match: it is damaged" in warning.reason
        check_serves(client, "broken")


def test_a_damaged_snapshot_is_an_error_of_its_own(data, serve):
    with serve(data) as server, Client(server.target) as client:
        client.create_snapshot("sound", "first")
        file = data / "snapshots" / "sound" / "first" / "documents.sqlite"
        content = bytearray(file.read_bytes())
        content[-1] ^= 1
        file.write_bytes(content)
        request = collection_pb2.RestoreSnapshotRequest(
            collection="sound", name="first", new_collection="again"
        )
        with pytest.raises(grpc.RpcError, match="checksum is not the one it was made with") as told:
            server.collections.RestoreSnapshot(request)
        print(told.value.details())
        assert told.value.code() is grpc.StatusCode.DATA_LOSS
        check_serves(client, "sound")
