"""The settings of docs/how-to/elasticsearch.md, filled in, sent and read as Elasticsearch does it.

As read in elastic/elasticsearch: `CustomRequest` at 015db29 (templates), `RequestParameters` at
233bf93 and `RerankParametersTests` at 3d73c0a (what stands for a template), `RerankResponseParser`
at 4fe3a1f.
"""

import json
import re

import pytest

from .conftest import PASSAGES, QUERY
from .page import settings

HOST = "http://localhost:8080"


def filled(template: str, values: dict[str, str]) -> str:
    """`ValidatingSubstitutor.replace`: a template without a value is an error."""
    found = re.sub(r"\$\{([^}]*)\}", lambda match: values[match[1]], template)
    assert "${" not in found
    return found


def extract(path: str, answer):
    """The values of a path such as `$.results[*].document.text`, as `MapPathExtractor` does."""
    values = [answer]
    for part in path.removeprefix("$.").split("."):
        values = [value[part.removesuffix("[*]")] for value in values]
        if part.endswith("[*]"):
            values = [each for value in values for each in value]
    return values


def test_rerank_as_the_service_custom_asks(server):
    service = settings("elasticsearch", "rerank.json")["service_settings"]
    secrets = service["secret_parameters"]
    values = {name: json.dumps(secret) for name, secret in secrets.items()}
    values |= {"query": json.dumps(QUERY), "input": json.dumps(PASSAGES)}
    status, answer = server.ask(
        "POST",
        service["url"].replace(HOST, server.url),
        filled(service["request"], values),
        {name: filled(header, secrets) for name, header in service["headers"].items()},
    )
    assert status == 200, answer
    paths = service["response"]["json_parser"]
    indices = extract(paths["reranked_index"], answer)
    assert extract(paths["document_text"], answer) == [PASSAGES[index] for index in indices]
    scores = dict(zip(indices, extract(paths["relevance_score"], answer), strict=True))
    assert [scores[index] for index in range(len(PASSAGES))] == pytest.approx(server.scores)


def test_embeddings_as_the_service_openai_asks(server):
    service = settings("elasticsearch", "embed.json")["service_settings"]
    dimensions = service["dimensions"]
    body = {"input": PASSAGES[:2], "model": service["model_id"], "dimensions": dimensions}
    headers = {
        "Content-Type": "application/json",
        "Authorization": f"Bearer {service['api_key']}",
    }
    url = service["url"].replace(HOST, server.url)
    status, answer = server.ask("POST", url, json.dumps(body), headers)
    assert status == 200, answer
    assert [len(each["embedding"]) for each in answer["data"]] == [dimensions] * 2
