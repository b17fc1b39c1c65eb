"""The page `/docs`: what there is over HTTP, and a form to try it.

The page is three files of ours, without a build and without anything from elsewhere. Its policy
lets it load from this server alone.
"""

from collections.abc import Callable, Iterable, Mapping
from importlib.resources import files

import msgspec

from twopass.server.http.bodies import encode
from twopass.server.http.endpoint import Answer, Endpoint, HttpRequest
from twopass.server.http.routes import AnyEndpoint
from twopass.server.http.rpcs.failures import RPC_DIALECT
from twopass.server.request import Request

_HTML = "text/html; charset=utf-8"
_FILES = {
    "/docs": ("docs.html", _HTML),
    "/docs/docs.css": ("docs.css", "text/css; charset=utf-8"),
    "/docs/docs.js": ("docs.js", "text/javascript; charset=utf-8"),
}
_HEADERS = (
    (
        "content-security-policy",
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
        "img-src 'self' data:; base-uri 'none'; form-action 'self'; frame-ancestors 'none'",
    ),
    ("x-content-type-options", "nosniff"),
    ("referrer-policy", "no-referrer"),
    ("cache-control", "no-cache"),
)
_OWN = "twopass"


class DialectEndpoint(msgspec.Struct):
    """A path of a dialect."""

    method: str
    path: str
    below_models: bool


class ListedDialect(msgspec.Struct):
    """A dialect, as the page lists it.

    Attributes:
        name: What the names of its endpoints begin with.
        title: Its name for people.
        clients: Who speaks it.
        endpoints: Its paths.
    """

    name: str
    title: str
    clients: str
    endpoints: list[DialectEndpoint]


SPEAKERS: Mapping[str, tuple[str, str]] = {
    "tei": (
        "Text Embeddings Inference",
        "huggingface_hub's InferenceClient, @huggingface/inference, tei-client, LlamaIndex's "
        "TextEmbeddingInference, Haystack's HuggingFaceTEIRanker, LiteLLM huggingface/, Dify, "
        "RAGFlow, Milvus.",
    ),
    "rerank": (
        "Shared by TEI and vLLM",
        "Bodies with texts are answered as TEI does, those with documents as vLLM does.",
    ),
    "cohere": (
        "Cohere",
        "cohere for Python and JavaScript, langchain-cohere, LlamaIndex's CohereRerank, "
        "cohere-haystack, LiteLLM cohere/. Jina's and Voyage's clients post to /v1/rerank too.",
    ),
    "jina": ("Jina", "LlamaIndex's JinaRerank and JinaEmbedding, langchain's JinaRerank."),
    "vllm": (
        "vLLM",
        "LiteLLM hosted_vllm/, and what calls itself OpenAI-compatible for reranking in Dify, "
        "RAGFlow, Open WebUI, LocalAI, GPUStack, Xinference.",
    ),
    "openai": (
        "OpenAI",
        "openai for Python and JavaScript, langchain-openai, LlamaIndex's OpenAILikeEmbedding, "
        "Haystack's OpenAI embedders, LangChain4j, Spring AI.",
    ),
    "voyage": ("Voyage", "voyageai, langchain-voyageai, LlamaIndex's VoyageAIRerank."),
    "nim": (
        "NVIDIA NIM",
        "langchain-nvidia-ai-endpoints, LlamaIndex's NVIDIARerank, nvidia-haystack.",
    ),
    "infinity": ("Infinity", "infinity_client, LiteLLM infinity/, langchain's InfinityEmbeddings."),
    "weaviate": ("Weaviate modules", "Weaviate's reranker-transformers and text2vec-transformers."),
    "fireworks": ("Fireworks", "LiteLLM fireworks_ai/."),
    "llamacpp": ("llama.cpp", "Clients of llama-server's /reranking."),
    "http": ("Around them", "Metrics for Prometheus, the page for people, and this one."),
}
"""Dialects by what the names of their endpoints begin with: a title, and whose clients speak it."""


def endpoints(others: Iterable[AnyEndpoint]) -> list[Endpoint]:
    """The page, its files, and the list of dialects.

    Args:
        others: All other endpoints of the server.
    """
    listed = list(others)
    content = encode(dialects_of(listed))
    found = [
        _endpoint(path, _file(name, content_type)) for path, (name, content_type) in _FILES.items()
    ]
    found.append(_endpoint("/docs/dialects.json", lambda: Answer(body=content, headers=_HEADERS)))
    return found


def dialects_of(listed: Iterable[AnyEndpoint]) -> list[ListedDialect]:
    """The dialects with their endpoints, in the order of `SPEAKERS`, without our own rpcs."""
    found = {name: ListedDialect(name, *told, []) for name, told in SPEAKERS.items()}
    for endpoint in listed:
        name = endpoint.name.partition(".")[0]
        if name != _OWN:
            dialect = found.setdefault(name, ListedDialect(name, name, "", []))
            dialect.endpoints.append(
                DialectEndpoint(
                    endpoint.method, endpoint.path.replace("=**", ""), endpoint.below_models
                )
            )
    for dialect in found.values():
        dialect.endpoints.sort(key=lambda endpoint: (endpoint.path, endpoint.method))
    return [dialect for dialect in found.values() if dialect.endpoints]


def _file(name: str, content_type: str) -> Callable[[], Answer]:
    body = files(__package__).joinpath("assets", name).read_bytes()
    return lambda: Answer(body=body, content_type=content_type, headers=_HEADERS)


def _endpoint(path: str, made: Callable[[], Answer]) -> Endpoint:
    async def answer(asked: HttpRequest, request: Request) -> Answer:
        del asked, request
        return made()

    return Endpoint(
        name="http.docs",
        method="GET",
        path=path,
        answer=answer,
        dialect=RPC_DIALECT,
        below_models=False,
        counts=False,
    )
