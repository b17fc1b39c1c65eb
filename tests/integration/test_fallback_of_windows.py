"""What a search by words answers where the windows that its second pass is to read are not found.

Long documents are then reranked by their beginning, which the answer says, or the search is refused
where `fallback` forbids that.
"""

import json
import shutil
from pathlib import Path

import grpc
import pytest

from twopass.engines.model.locating import locate
from twopass.index.errors import LaneFullError, StorageError
from twopass.index.sqlite.retrieval import SqliteRetrieval
from twopass.v1 import search_pb2
from twopass.v1.collection_pb2 import (
    Chunking,
    CollectionSchema,
    CreateCollectionRequest,
    UpsertDocumentsRequest,
)
from twopass.v1.search_pb2 import (
    RETRIEVE_MODE_LEXICAL,
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
    SearchResponse,
)

from .corpus import FACTS, document
from .fallback import FORBID, QUESTION, failure_of, late
from .serving import Server

FILLER = "The committee met on Tuesday and adjourned without a decision. " * 60
LEXICAL = RetrieveOptions(mode=RETRIEVE_MODE_LEXICAL)


def fill_with_long_ones(server: Server) -> None:
    """Two documents that say what they are about beyond what a reranker reads of them."""
    schema = CollectionSchema(chunking=Chunking(window_tokens=200, overlap_tokens=50))
    server.collections.CreateCollection(CreateCollectionRequest(name="long", schema=schema))
    for key in ("canberra", "bees"):
        written = [document(key, f"{FILLER}{FACTS[key]} {FILLER}")]
        server.collections.UpsertDocuments(
            UpsertDocumentsRequest(collection="long", documents=written)
        )


@pytest.fixture(scope="module")
def long(small: Server) -> Server:
    fill_with_long_ones(small)
    return small


def asking(**fields: object) -> SearchRequest:
    asked = {"collection": "long", "query": QUESTION, "retrieve": LEXICAL}
    return SearchRequest(**asked | {"rerank": RerankOptions(blend=0)} | fields)


def read_by_beginning(response: SearchResponse) -> bool:
    return all(hit.truncated and not hit.HasField("span") for hit in response.hits)


def test_the_second_pass_reads_the_nearest_window(long):
    response = long.search(asking())
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    (best, *_) = response.hits
    assert best.id == "canberra"
    assert FACTS["canberra"] in best.text[best.span.start : best.span.end]
    assert not best.truncated


def test_an_encoder_that_fails_leaves_the_beginning(long, broken):
    broken(long.encoder)
    response = long.search(asking())
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_NO_WINDOWS_FAILED
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert response.encoder == ""
    assert read_by_beginning(response)
    assert failure_of(long.search, asking(fallback=FORBID)).code() is grpc.StatusCode.INTERNAL


def test_an_encoder_that_is_late_leaves_time_to_read_the_beginning(long, held_encoder):
    response = late(long, asking(), held_encoder.entered.is_set, 0.7).result()
    refused = late(long, asking(fallback=FORBID), lambda: long._app._gate.num_calls).exception()
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_NO_WINDOWS_DEADLINE
    assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
    assert read_by_beginning(response)
    assert refused.code() is grpc.StatusCode.DEADLINE_EXCEEDED


@pytest.mark.parametrize(
    ("error", "status", "code"),
    [
        (
            LaneFullError("scans", 1_024, 0.5),
            search_pb2.RETRIEVE_STATUS_NO_WINDOWS_OVERLOAD,
            grpc.StatusCode.RESOURCE_EXHAUSTED,
        ),
        (
            StorageError("the disk hums"),
            search_pb2.RETRIEVE_STATUS_NO_WINDOWS_FAILED,
            grpc.StatusCode.UNAVAILABLE,
        ),
    ],
    ids=["overload", "failed"],
)
@pytest.mark.parametrize("step", ["num_split_among", "similar"])
def test_windows_that_can_not_be_read_leave_the_beginning(
    long, monkeypatch, step, error, status, code
):
    async def fail(*_: object) -> None:
        raise error

    monkeypatch.setattr(SqliteRetrieval, step, fail)
    response = long.search(asking())
    assert response.retrieve_status == status
    assert read_by_beginning(response)
    assert failure_of(long.search, asking(fallback=FORBID)).code() is code


def test_without_a_second_pass_nobody_asks_for_windows(long, broken):
    broken(long.encoder)
    response = long.search(asking(rerank=RerankOptions(enabled=False)))
    assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
    assert long.search(asking(collection="facts")).retrieve_status == (
        search_pb2.RETRIEVE_STATUS_COMPLETE
    )


def test_without_the_encoder_words_are_found_and_reranked_by_the_beginning(tmp_path):
    data = tmp_path / "data"
    settings = {"gated": False, "reranker": "twopass-minilm-l3"}
    copied = tmp_path / "encoder"
    shutil.copytree(locate("all-MiniLM-L6-v2"), copied)
    kept = json.loads((copied / "twopass.json").read_text())
    (copied / "twopass.json").write_text(json.dumps(kept | {"pooling": "cls"}))
    with Server(data, encoder=str(copied), **settings) as server:
        fill_with_long_ones(server)
    with Server(data, encoder="all-MiniLM-L6-v2", **settings) as server:
        response = server.search(asking())
        assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_NO_WINDOWS_FAILED
        assert response.rerank_status == search_pb2.RERANK_STATUS_COMPLETE
        assert {hit.id for hit in response.hits} >= {"canberra"}
        refused = failure_of(server.search, asking(fallback=FORBID))
        assert refused.code() is grpc.StatusCode.NOT_FOUND


def test_a_reranker_with_another_tokenizer_reads_the_nearest_window_too(tmp_path):
    reranker = cased_copy_of("twopass-minilm-l3", tmp_path / "reranker")
    with Server(tmp_path / "data", gated=False, reranker=str(reranker)) as server:
        fill_with_long_ones(server)
        response = server.search(asking(query=QUESTION.lower()))
        assert response.retrieve_status == search_pb2.RETRIEVE_STATUS_COMPLETE
        (best, *_) = response.hits
        assert FACTS["canberra"] in best.text[best.span.start : best.span.end]
        assert not best.truncated


def cased_copy_of(model: str, folder: Path) -> Path:
    """A model that tokenises otherwise than the one that it is a copy of: capitals stay."""
    shutil.copytree(locate(model), folder)
    file = folder / "tokenizer.json"
    tokenizer = json.loads(file.read_text())
    tokenizer["normalizer"]["lowercase"] = False
    file.write_text(json.dumps(tokenizer))
    own = json.loads((folder / "twopass.json").read_text())
    del own["sha256"]["tokenizer.json"]
    (folder / "twopass.json").write_text(json.dumps(own))
    return folder
