"""What Weaviate's modules of docs/how-to/weaviate.md send, and what they read of the answer.

As read in weaviate/weaviate: `modules/reranker-transformers/clients` at 1e25081, and
`usecases/modulecomponents/clients/transformers` at 0ad6035. Go sends no content type unless it is
told one.
"""

import pytest

from .conftest import PASSAGES, QUERY


@pytest.mark.parametrize("prefix", ["/weaviate", "/models/twopass-minilm-l3/weaviate"])
def test_reranker_transformers_waits_and_asks(server, post, prefix):
    assert server.ask("GET", f"{server.url}{prefix}/.well-known/ready") == (204, None)
    status, meta = server.ask("GET", f"{server.url}{prefix}/meta")
    assert status == 200
    assert isinstance(meta, dict)
    body = {"query": QUERY, "documents": PASSAGES, "property": ""}
    answer = post(f"{prefix}/rerank", body)
    assert [each["document"] for each in answer["scores"]] == PASSAGES
    assert [each["score"] for each in answer["scores"]] == pytest.approx(server.scores)


@pytest.mark.parametrize("task", ["query", "passage"])
def test_text2vec_transformers_asks_for_one_text(post, task):
    config = {"pooling_strategy": "masked_mean", "task_type": task}
    body = {"text": PASSAGES[1], "dims": 0, "vector": None, "error": "", "config": config}
    answer = post("/weaviate/vectors", body)
    assert answer["text"] == PASSAGES[1]
    assert len(answer["vector"]) == answer["dim"] == 384
