"""An encoder that is told what a query is for, as Qwen3-Embedding is."""

import sys
from pathlib import Path

import grpc
import numpy as np
import pytest

from twopass.client import Client, Retrieve
from twopass.v1 import embed_pb2, model_pb2, search_pb2
from twopass.v1.embed_pb2 import EMBED_ROLE_QUERY, EmbedRequest

from .corpus import fill
from .serving import Server

sys.path.insert(0, str(Path(__file__).parents[1] / "unit/engines"))
import small_decoders  # the models of the engine's own tests

INSTRUCTION = "Find animals"
TEXT = "What is it?"
TOLERANCE = 1e-4  # float32 sums in another order


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("models") / "encoder"


@pytest.fixture(scope="module")
def plain(folder):
    """The embedding of a text by transformers alone: the last token's vector, scaled."""
    pytest.importorskip("transformers", reason="transformers is not installed (its extra)")
    torch = pytest.importorskip("torch", reason="PyTorch is not installed (extra transformers)")
    model = small_decoders.save_qwen3_embedding(folder)
    from tokenizers import Tokenizer

    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))

    def embedding(text):
        with torch.no_grad():
            vectors = model(torch.tensor([tokenizer.encode(text).ids])).last_hidden_state
        last = vectors[0, -1].numpy()
        return last / np.linalg.norm(last)

    return embedding


@pytest.fixture(scope="module")
def instructed(plain, folder, tmp_path_factory):
    data = tmp_path_factory.mktemp("data")
    with Server(data, gated=False, encoder=str(folder)) as running:
        fill(running, "facts")
        yield running


def embedding_of(server, **fields):
    (embedding,) = server.embed(EmbedRequest(texts=[TEXT], **fields)).embeddings
    return np.array(embedding.vector.values or np.frombuffer(embedding.vector.packed, "<f4"))


def test_a_query_is_embedded_under_the_models_own_instruction(instructed, plain):
    own = embedding_of(instructed, role=EMBED_ROLE_QUERY)
    np.testing.assert_allclose(own, plain(small_decoders.QUERY_PROMPT + TEXT), atol=TOLERANCE)


def test_or_under_the_requests_and_no_cache_mistakes_one_for_another(instructed, plain):
    for instruction in (INSTRUCTION, "Find cities", INSTRUCTION):
        given = embedding_of(instructed, role=EMBED_ROLE_QUERY, instruction=instruction)
        expected = plain(f"Instruct: {instruction}\nQuery:{TEXT}")
        np.testing.assert_allclose(given, expected, atol=TOLERANCE)


def test_passages_are_embedded_without_one(instructed, plain):
    np.testing.assert_allclose(embedding_of(instructed), plain(TEXT), atol=TOLERANCE)
    with pytest.raises(grpc.RpcError, match="instruction: given, but the texts are passages"):
        embedding_of(instructed, instruction=INSTRUCTION)


def test_a_search_embeds_its_query_under_its_instruction(instructed, plain):
    with Client(instructed.target) as client:
        found = client.search(
            "facts", TEXT, retrieve=Retrieve("dense", instruction=INSTRUCTION), rerank=False
        )
        own = client.search("facts", TEXT, retrieve="dense", rerank=False)
        by_vector = client.search(
            "facts",
            vector=plain(f"Instruct: {INSTRUCTION}\nQuery:{TEXT}").tolist(),
            retrieve="dense",
            rerank=False,
        )
        (embedded,) = client.embed([TEXT], role="query", instruction=INSTRUCTION).vectors
    scores = [hit.dense_score for hit in found.hits]
    assert scores == pytest.approx([hit.dense_score for hit in by_vector.hits], abs=1e-3)
    assert scores != pytest.approx([hit.dense_score for hit in own.hits], abs=1e-3)
    assert embedded == pytest.approx(plain(f"Instruct: {INSTRUCTION}\nQuery:{TEXT}"), abs=1e-3)


def test_a_batch_keeps_instructions_apart(instructed):
    searches = [search_pb2.SearchRequest(collection="facts", query=TEXT) for _ in range(3)]
    for search, instruction in zip(searches, ("", INSTRUCTION, "Find cities"), strict=True):
        search.retrieve.mode = search_pb2.RETRIEVE_MODE_DENSE
        search.retrieve.instruction = instruction
        search.rerank.enabled = False
    batch = instructed.batch_search(search_pb2.BatchSearchRequest(searches=searches))
    for search, result in zip(searches, batch.results, strict=True):
        alone = [hit.dense_score for hit in instructed.search(search).hits]
        assert [hit.dense_score for hit in result.response.hits] == pytest.approx(alone, abs=1e-4)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"mode": search_pb2.RETRIEVE_MODE_LEXICAL}, "retrieval is LEXICAL"),
        ({"instruction": "Find " * 300}, r"instruction: [\d,]+ tokens of .*, at most 256; "),
        ({"instruction": " "}, "retrieve.instruction: white space alone"),
    ],
    ids=["lexical", "long", "blank"],
)
def test_instructions_that_nothing_reads_are_refused(instructed, fields, problem):
    search = search_pb2.SearchRequest(collection="facts", query=TEXT)
    search.retrieve.CopyFrom(search_pb2.RetrieveOptions(**{"instruction": INSTRUCTION} | fields))
    with pytest.raises(grpc.RpcError, match=problem) as raised:
        instructed.search(search)
    assert raised.value.code() is grpc.StatusCode.INVALID_ARGUMENT


def test_models_say_whether_they_take_one(instructed):
    takes = {
        model.kind: model.takes_instruction
        for model in instructed.models.ListModels(model_pb2.ListModelsRequest()).models
    }
    assert takes == {model_pb2.MODEL_KIND_ENCODER: True, model_pb2.MODEL_KIND_RERANKER: False}


def test_encoders_without_instructions_refuse_one(server, facts):
    with pytest.raises(grpc.RpcError, match="instruction: given, but all-MiniLM-L6-v2 takes no"):
        server.embed(
            embed_pb2.EmbedRequest(texts=["a"], role=EMBED_ROLE_QUERY, instruction=INSTRUCTION)
        )
    search = search_pb2.SearchRequest(collection=facts, query=TEXT)
    search.retrieve.instruction = INSTRUCTION
    with pytest.raises(grpc.RpcError, match=r"retrieve\.instruction: given, but all-MiniLM"):
        server.search(search)
    search.vector.values.extend([0.0] * 384)
    with pytest.raises(grpc.RpcError, match="there is a vector"):
        server.search(search)
