"""Whatever a body holds, a rerank endpoint answers it or says what is wrong with it."""

import json
from typing import Any

import httpx
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

PATHS = [
    "/rerank",
    "/v1/rerank",
    "/v2/rerank",
    "/v1/reranking",
    "/score",
    "/v1/ranking",
    "/v1/retrieval/a/b/reranking",
    "/infinity/rerank",
    "/weaviate/rerank",
]
ANY_TEXT = st.text(st.characters() | st.characters(categories=["Cs", "Cc"]), max_size=20)
SCALARS = st.none() | st.booleans() | st.integers(-3, 600) | st.floats() | ANY_TEXT
DOCUMENT = (
    ANY_TEXT
    | st.dictionaries(st.sampled_from(["text", "title", "content", "image"]), SCALARS, max_size=3)
    | st.builds(lambda parts: {"content": parts}, st.lists(SCALARS | st.just({"text": "a"})))
)
DOCUMENTS = st.lists(DOCUMENT, max_size=4) | ANY_TEXT
NUMBER = st.none() | st.integers(-2, 700) | st.integers()
FLAG = st.none() | st.booleans() | st.just("true")
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "query": ANY_TEXT | st.builds(lambda text: {"text": text}, ANY_TEXT),
    "documents": DOCUMENTS,
    "passages": DOCUMENTS,
    "input": DOCUMENTS,
    "property": ANY_TEXT,
    **dict.fromkeys(("queries", "items", "text_1", "text_2", "data_1", "data_2"), DOCUMENTS),
    "model": st.none() | ANY_TEXT | st.just("twopass-minilm-l3"),
    "rank_fields": st.none() | st.lists(st.sampled_from(["text", "title", "other"])),
    **dict.fromkeys(("top_n", "top_k", "max_chunks_per_doc", "max_tokens_per_doc"), NUMBER),
    **dict.fromkeys(("max_tokens_per_query", "truncate_prompt_tokens"), NUMBER),
    **dict.fromkeys(("return_documents", "return_input", "truncation"), FLAG),
    **dict.fromkeys(("use_activation", "raw_scores"), FLAG),
    "truncate": st.sampled_from([None, "NONE", "END", "START"]),
    "relevant_spans": st.none() | st.dictionaries(st.just("mode"), SCALARS),
    "chat_template_kwargs": st.none() | st.dictionaries(st.just("instruction"), SCALARS),
}

NEEDED = ["query", "documents", "passages", "text_1", "text_2"]
BODIES = st.fixed_dictionaries(
    {name: FIELDS[name] for name in NEEDED},
    optional={name: values for name, values in FIELDS.items() if name not in NEEDED},
)


@pytest.mark.parametrize("path", PATHS)
@settings(
    max_examples=100, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    body=BODIES,
    wild=st.dictionaries(st.sampled_from(sorted(FIELDS)), SCALARS, max_size=1),
    truncation=st.sampled_from([None, "truncate", "max_window", "reject"]),
)
def test_a_body_is_answered_or_told_what_is_wrong(http: httpx.Client, path, body, wild, truncation):
    headers = {"x-twopass-truncation": truncation} if truncation else {}
    content = json.dumps(body | wild).encode()
    answer = http.post(path, content=content, headers=headers)
    event(str(answer.status_code))
    assert answer.status_code in (200, 400, 422), answer.text
    told = answer.json()
    if answer.status_code != 200:
        message = told["error"] if path.startswith("/weaviate") else told["message"]
        assert message
