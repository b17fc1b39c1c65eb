"""The connector of docs/how-to/opensearch.md, filled in, sent and read as OpenSearch does it.

As read in opensearch-project/ml-commons at 04918e5: `CohereRerankPreProcessFunction`,
`StringUtils.convertScriptStringToJsonString`, `ConnectorUtils.escapeRemoteInferenceInputData` and
`CohereRerankPostProcessFunction`.
"""

import json
import re

import pytest

from .conftest import PASSAGES, QUERY
from .page import settings

HOST = "http://twopass.example:8080"


def filled(template: str, values: dict[str, str], prefix: str) -> str:
    return re.sub(rf"\$\{{{prefix}\.([^}}]*)\}}", lambda match: values[match[1]], template)


def parameters(query: str, passages: list[str]) -> dict[str, str]:
    """Texts lose the quotes that JSON gives them, which the template has; the rest is JSON."""
    return {
        "query": json.dumps(query, ensure_ascii=False)[1:-1],
        "documents": json.dumps(passages, ensure_ascii=False),
        "top_n": json.dumps(len(passages)),
    }


def test_rerank_as_a_connector_asks(server):
    connector = settings("opensearch", "connector.json")
    (action,) = connector["actions"]
    assert action["pre_process_function"] == "connector.pre_process.cohere.rerank"
    assert action["post_process_function"] == "connector.post_process.cohere.rerank"
    values = connector["parameters"] | parameters(QUERY, PASSAGES)
    headers = {
        name: filled(value, connector["credential"], "credential")
        for name, value in action["headers"].items()
    }
    status, answer = server.ask(
        action["method"],
        action["url"].replace(HOST, server.url),
        filled(action["request_body"], values, "parameters"),
        {"Content-Type": "application/json", **headers},
    )
    assert status == 200, answer
    scores = [0.0] * len(PASSAGES)
    for hit in answer["results"]:
        # Java casts: an Integer, and a Double, which a score without a fraction would not be.
        assert isinstance(hit["index"], int)
        assert isinstance(hit["relevance_score"], float)
        scores[hit["index"]] = hit["relevance_score"]
    assert scores == pytest.approx(server.scores)


def test_the_connector_is_trusted(server):
    persistent = settings("opensearch", "settings.json")["persistent"]
    (action,) = settings("opensearch", "connector.json")["actions"]
    (trusted,) = persistent["plugins.ml_commons.trusted_connector_endpoints_regex"]
    assert re.fullmatch(trusted, action["url"])
