"""Prefixes are tokenised with the text after them, from a query to the embedding of a window."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from tokenizers import Tokenizer as RustTokenizer

from twopass.engines.base.model import LoadedEncoder
from twopass.engines.loading import load_model
from twopass.v1 import collection_pb2, document_pb2, embed_pb2, search_pb2

from ..unit.engines.small_models import batch_of, core_config, core_tensors, write_model
from ..unit.engines.trained_tokenizers import write
from .serving import Server

QUERY, PASSAGE = "query: ", "passage: "
TITLE = "How passes work"
TEXT = " ".join(f"The second pass reads passage {i}, it finds the best ones." for i in range(30))
WINDOW, OVERLAP = 64, 16
# Embeddings of both are by one engine, whose output does not depend on the batch.
CLOSE = {"rtol": 0, "atol": 1e-5}


class Reference:
    """The library's ids of whole strings, embedded one by one."""

    def __init__(self, folder: Path) -> None:
        loaded = load_model(str(folder), num_threads=1)
        assert isinstance(loaded, LoadedEncoder)
        self.engine = loaded.engine
        self.library = RustTokenizer.from_file(str(folder / "tokenizer.json"))
        self.library.no_truncation()
        self.library.no_padding()

    def ids(self, text: str) -> list[int]:
        return self.library.encode(text, add_special_tokens=False).ids

    def embedding(self, ids: list[int]) -> np.ndarray:
        row = [self.library.token_to_id("<s>"), *ids, self.library.token_to_id("</s>")]
        return self.engine.submit(batch_of([row], [len(row)])).result()[0]

    def windows(self) -> list[list[int]]:
        """What is read of the document's windows: the prefix, the title, the window."""
        num_prefix = len(self.ids(PASSAGE.rstrip()))
        whole = self.ids(f"{PASSAGE}{TITLE} {TEXT}")
        prefix, row = whole[:num_prefix], whole[num_prefix:]
        title = self.ids(PASSAGE + TITLE)[num_prefix:]
        width = WINDOW - len(title)
        last = len(row) - width
        starts = [*range(0, last, width - OVERLAP), last]
        return [
            prefix + (title if start >= len(title) else []) + row[start : start + width]
            for start in starts
        ]


@pytest.fixture(scope="module", params=["gpt2", "xlm_roberta"])
def served(request, tmp_path_factory) -> Iterator[tuple[Server, Reference]]:
    """A server whose encoder has prefixes and such a tokenizer, with one long document."""
    root = tmp_path_factory.mktemp("prefixes")
    file = write(request.param, root / "tokenizer.json")
    num_tokens = RustTokenizer.from_file(str(file)).get_vocab_size()
    config = core_config("roberta", vocab_size=num_tokens, max_position_embeddings=130)
    settings = {"kind": "encoder", "query_prefix": QUERY, "passage_prefix": PASSAGE}
    folder = write_model(root / "model", config, core_tensors(config), settings=settings)
    file.rename(folder / "tokenizer.json")
    reference = Reference(folder)
    names = {"encoder": str(folder), "reranker": "twopass-minilm-l3"}
    with Server(root / "data", gated=False, **names) as server:
        chunking = collection_pb2.Chunking(window_tokens=WINDOW, overlap_tokens=OVERLAP)
        schema = collection_pb2.CollectionSchema(chunking=chunking)
        server.collections.CreateCollection(
            collection_pb2.CreateCollectionRequest(name="long", schema=schema)
        )
        document = document_pb2.Document(id="a", title=TITLE, text=TEXT)
        server.collections.UpsertDocuments(
            collection_pb2.UpsertDocumentsRequest(collection="long", documents=[document])
        )
        yield server, reference
    reference.engine.close()


@pytest.mark.parametrize("text", ["How", "How does it read?", " How", "What is naïve?"], ids=repr)
@pytest.mark.parametrize("role", [embed_pb2.EMBED_ROLE_QUERY, embed_pb2.EMBED_ROLE_PASSAGE])
def test_a_text_is_embedded_as_one_string_with_its_prefix(served, text, role):
    server, reference = served
    answer = server.embed(embed_pb2.EmbedRequest(texts=[text], role=role))
    prefix = QUERY if role == embed_pb2.EMBED_ROLE_QUERY else PASSAGE
    expected = reference.embedding(reference.ids(prefix + text))
    np.testing.assert_allclose(embedded(answer), expected, **CLOSE)


def test_windows_are_read_after_prefix_and_title(served):
    server, reference = served
    query = "How does the second pass read?"
    asked = search_pb2.SearchRequest(
        collection="long",
        query=query,
        retrieve=search_pb2.RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE),
        rerank=search_pb2.RerankOptions(enabled=False),
    )
    (hit,) = server.search(asked).hits
    asking = reference.embedding(reference.ids(QUERY + query))
    scores = [float(asking @ reference.embedding(window)) for window in reference.windows()]
    assert len(scores) > 3
    assert hit.dense_score == pytest.approx(max(scores), abs=1e-4)


def test_the_second_pass_reads_the_window_in_its_own_tokens(served):
    server, _ = served
    asked = search_pb2.SearchRequest(
        collection="long",
        query="Which passage does the second pass read?",
        retrieve=search_pb2.RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE),
    )
    (hit,) = server.search(asked).hits
    passage = f"{TITLE} {TEXT}"
    assert 0 <= hit.span.start < hit.span.end <= len(passage)
    assert hit.HasField("logit")


def embedded(answer: embed_pb2.EmbedResponse) -> np.ndarray:
    return np.array(answer.embeddings[0].vector.values, np.float32)
