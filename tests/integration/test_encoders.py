"""Collections and the encoders that their embeddings were made by, whatever those are called."""

import hashlib
import json
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import apsw
import grpc
import pytest

from twopass.engines.model.folder import open_model
from twopass.engines.model.locating import locate
from twopass.v1 import collection_pb2, document_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2

from .command_line import answer, invoke
from .corpus import FACTS, fill
from .serving import Server, code_of

WEIGHTS = "5ba0032aefec27c763b2d9c8912eeec19529d4efdab9a71a9756e8056ba8f2e0"
DENSE = search_pb2.RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE)
LEXICAL = search_pb2.RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_LEXICAL)
OFF = search_pb2.RerankOptions(enabled=False)


@contextmanager
def serving(data: Path, encoder: Path | str, *more: Path | str) -> Iterator[Server]:
    """A server whose default encoder is the one given, and which holds more models."""
    models = tuple(map(str, more))
    settings = {"encoder": str(encoder), "more_models": models}
    with Server(data, gated=False, reranker="twopass-minilm-l3", **settings) as server:
        yield server


def asking(collection: str, query: str, retrieve=DENSE) -> search_pb2.SearchRequest:
    return search_pb2.SearchRequest(
        collection=collection, query=query, retrieve=retrieve, rerank=OFF, top_n=1
    )


def first(server: Server, collection: str, query: str) -> str:
    (hit,) = server.search(asking(collection, query)).hits
    return hit.id


def described(server: Server, collection: str) -> collection_pb2.Collection:
    request = collection_pb2.GetCollectionRequest(name=collection)
    return server.collections.GetCollection(request).collection


def writing(collection: str) -> collection_pb2.UpsertDocumentsRequest:
    document = document_pb2.Document(id="moss", text="Moss grows where it is damp and shady.")
    return collection_pb2.UpsertDocumentsRequest(collection=collection, documents=[document])


def error_of(call, request) -> tuple[grpc.StatusCode, str]:
    with pytest.raises(grpc.RpcError) as raised:
        call(request)
    return raised.value.code(), raised.value.details()


def with_settings(folder: Path, **settings: object) -> Path:
    """A copy of the shipped encoder whose `twopass.json` says something else too."""
    shutil.copytree(locate("all-MiniLM-L6-v2"), folder)
    kept = json.loads((folder / "twopass.json").read_text())
    (folder / "twopass.json").write_text(json.dumps(kept | settings))
    return folder


@pytest.fixture
def old_file(tmp_path: Path) -> Path:
    """A collection's file as servers wrote it that knew an encoder by its weights alone."""
    file = tmp_path / "old.sqlite"
    connection = apsw.Connection(str(file))
    connection.execute(Path(__file__).with_name("collection_of_format_4.sql").read_text())
    connection.pragma("journal_mode", "WAL")
    connection.close()
    return file


@pytest.fixture
def old_data(tmp_path: Path, old_file: Path) -> Path:
    """A data folder with that collection, and with a snapshot of it."""
    data = tmp_path / "data"
    for folder in ("collections/old", "snapshots/old/kept"):
        (data / folder).mkdir(parents=True)
        shutil.copy(old_file, data / folder / "documents.sqlite")
    snapshot = {
        "name": "kept",
        "collection": "old",
        "sequence": "547a742b37c142849fbcc6ef19f31d5a.1",
        "num_documents": 3,
        "num_bytes": old_file.stat().st_size,
        "sha256": hashlib.sha256(old_file.read_bytes()).hexdigest(),
        "create_time_us": 1_795_883_043_000_000,
    }
    (data / "snapshots/old/kept/snapshot.json").write_text(json.dumps(snapshot))
    return data


def meta(file: Path) -> dict[str, object]:
    connection = apsw.Connection(str(file))
    found = dict(connection.execute("SELECT name, value FROM meta"))
    connection.close()
    return found


def test_a_collection_of_an_older_server_is_searched_and_written(old_data):
    revision = open_model("all-MiniLM-L6-v2").spec.revision
    assert revision != WEIGHTS
    with serving(old_data, "all-MiniLM-L6-v2") as server:
        assert first(server, "old", "why is dough growing?") == "bread"
        assert described(server, "old").schema.encoder_revision == revision
        server.collections.UpsertDocuments(writing("old"))
        assert first(server, "old", "which plant likes wet places?") == "moss"
        restore = collection_pb2.RestoreSnapshotRequest(
            collection="old", name="kept", new_collection="restored"
        )
        restored = server.collections.RestoreSnapshot(restore).collection
        assert restored.schema.encoder_revision == revision
        assert first(server, "restored", "why is dough growing?") == "bread"
    kept = meta(old_data / "collections" / "old" / "documents.sqlite")
    assert json.loads(str(kept["schema"]))["encoder_revision"] == revision
    assert kept["format_version"] == 5


def test_a_pooling_changed_after_the_revision_was_kept_is_refused_with_both(old_data, tmp_path):
    encoder = with_settings(tmp_path / "encoder")
    with serving(old_data, encoder) as server:
        assert first(server, "old", "why is dough growing?") == "bread"
        fill(server, "new")
    before = open_model(str(encoder)).spec.revision
    shutil.rmtree(encoder)
    with_settings(encoder, pooling="cls")
    after = open_model(str(encoder)).spec.revision
    with serving(old_data, encoder) as server:
        for call, request in [
            (server.search, asking("new", "what is the capital of Australia?")),
            (server.collections.UpsertDocuments, writing("new")),
        ]:
            code, message = error_of(call, request)
            assert code is grpc.StatusCode.FAILED_PRECONDITION
            assert f"'new': its embeddings were made by {encoder} of revision" in message
            assert before[:12] in message
            assert after[:12] in message
            assert "--more-models" in message
            assert "twopass alias" in message
        assert before[:12] in described(server, "new").encoder_problem
        # What was indexed anew is searched at once, under a name of its own.
        fill(server, "anew")
        assert first(server, "anew", "what is the capital of Australia?") in FACTS
        assert described(server, "anew").encoder_problem == ""
    # The way out of the message: the old encoder beside the new one.
    beside = with_settings(tmp_path / "beside")
    with serving(old_data, encoder, beside) as server:
        for name in ("new", "old"):
            assert described(server, name).encoder_problem == ""
        assert first(server, "new", "what is the capital of Australia?") == "canberra"
        assert first(server, "old", "why is dough growing?") == "bread"


def test_a_folder_that_older_servers_misread_is_told_how_they_read_it(old_file, tmp_path):
    """They tokenised a prefix apart from the text, which is one word where no space parts them."""
    encoder = with_settings(tmp_path / "encoder", passage_prefix="the passage")
    spec = open_model(str(encoder)).spec
    assert (spec.weights_sha256, spec.legacy_revision) == (WEIGHTS, None)
    data = tmp_path / "data"
    (data / "collections" / "old").mkdir(parents=True)
    file = data / "collections" / "old" / "documents.sqlite"
    shutil.copy(old_file, file)
    connection = apsw.Connection(str(file))
    connection.execute(
        "UPDATE meta SET value = replace(value, 'all-MiniLM-L6-v2', ?) WHERE name = 'schema'",
        (str(encoder),),
    )
    connection.close()
    with serving(data, encoder) as server:
        code, message = error_of(server.search, asking("old", "why is dough growing?"))
        assert code is grpc.StatusCode.FAILED_PRECONDITION
        for told in (WEIGHTS[:12], spec.revision[:12], spec.read_anew):
            assert told in message
    assert json.loads(str(meta(file)["schema"]))["encoder_revision"] == WEIGHTS


def test_a_collection_is_found_by_its_encoders_revision_whatever_its_name(tmp_path, monkeypatch):
    encoder = with_settings(tmp_path / "models" / "encoder")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(encoder)
    data = tmp_path / "data"
    with serving(data, "models/encoder") as server:
        fill(server, "facts")
    for spelling in ("./models/encoder", encoder, "link", "all-MiniLM-L6-v2"):
        with serving(data, spelling) as server:
            assert first(server, "facts", "what is the capital of Australia?") == "canberra"
            found = described(server, "facts")
            assert (found.encoder_problem, found.schema.encoder) == ("", "models/encoder")


def test_a_collection_without_its_encoder_says_so_at_the_start_and_is_searched_by_words(
    tmp_path, caplog
):
    data = tmp_path / "data"
    encoder = with_settings(tmp_path / "encoder", pooling="cls")
    with serving(data, encoder) as server:
        fill(server, "facts")
        revision = described(server, "facts").schema.encoder_revision
    caplog.clear()
    with serving(data, "all-MiniLM-L6-v2") as server:
        (told,) = [r for r in caplog.records if r.getMessage().startswith("collection without")]
        assert told.collection == "facts"
        listed = server.collections.ListCollections(collection_pb2.ListCollectionsRequest())
        (facts,) = listed.collections
        code, message = error_of(server.search, asking("facts", "what is a capital?"))
        assert code is grpc.StatusCode.NOT_FOUND
        for text in (told.getMessage(), facts.encoder_problem, message):
            assert f"made by {encoder} of revision {revision[:12]}" in text
            assert f"start it with --more-models {encoder}" in text
        assert message.startswith("collection 'facts': ")
        assert answer("info", "--target", server.target)["encoder_problems"] == {
            "facts": facts.encoder_problem
        }
        shown = invoke("info", "--target", server.target).stdout
        assert f"collection 'facts': {facts.encoder_problem}" in shown
        assert code_of(server.collections.UpsertDocuments, writing("facts")) is (
            grpc.StatusCode.NOT_FOUND
        )
        (hit,) = server.search(asking("facts", "capital of Australia", LEXICAL)).hits
        assert hit.id == "canberra"
    with serving(data, "all-MiniLM-L6-v2", encoder) as server:
        assert first(server, "facts", "what is the capital of Australia?") == "canberra"
        assert described(server, "facts").encoder_problem == ""


def test_encoders_of_equal_weights_share_no_cached_query(tmp_path):
    cls = with_settings(tmp_path / "cls", pooling="cls")
    with serving(tmp_path / "data", "all-MiniLM-L6-v2", cls) as server:

        def vector(model: str) -> list[float]:
            request = embed_pb2.EmbedRequest(
                texts=["the same query"], model=model, role=embed_pb2.EMBED_ROLE_QUERY
            )
            return list(server.embed(request).embeddings[0].vector.values)

        mean, other = vector("all-MiniLM-L6-v2"), vector(str(cls))
        assert sum(a * b for a, b in zip(mean, other, strict=True)) < 0.95
        assert vector("all-MiniLM-L6-v2") == mean
        assert vector(str(cls)) == other


def test_a_model_named_under_two_spellings_is_loaded_once(tmp_path, monkeypatch):
    encoder = with_settings(tmp_path / "encoder", pooling="cls")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "link").symlink_to(encoder)
    with serving(tmp_path / "data", encoder, "./encoder", "link", "twopass-minilm-l3") as server:
        models = server.models.ListModels(model_pb2.ListModelsRequest()).models
        assert [model.id for model in models] == [str(encoder), "twopass-minilm-l3"]
        assert list(models[0].other_ids) == ["./encoder", "link"]
        assert len(models[0].revision) == 64
        assert models[0].sha256 == WEIGHTS
        for spelling in models[0].other_ids:
            found = server.models.GetModel(model_pb2.GetModelRequest(id=spelling)).model
            assert found == models[0]
            schema = collection_pb2.CollectionSchema(encoder=spelling)
            create = collection_pb2.CreateCollectionRequest(
                name=spelling.strip("./"), schema=schema
            )
            made = server.collections.CreateCollection(create).collection
            assert made.schema.encoder == str(encoder)
        rerank = rerank_pb2.RerankRequest(
            query="a", candidates=[rerank_pb2.Candidate(text="b")], model="link"
        )
        assert code_of(server.rerank, rerank) is grpc.StatusCode.NOT_FOUND
