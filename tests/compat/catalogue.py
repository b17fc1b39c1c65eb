"""Every client that is tried: what it is made of, and how a user points it at a server."""

from dataclasses import dataclass
from enum import StrEnum

_LITELLM = "litellm_providers.py"


class Runtime(StrEnum):
    """What runs a client."""

    PYTHON = "python"
    NODE = "node"


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """A client, or one way in which a client speaks.

    Attributes:
        name: Names the row of the table, and the environment unless `environment` does.
        dialect: The dialect that it speaks.
        setting: How a user points it at a server.
        script: What tries it, a file of `clients/`; of `requests/` where there are no packages.
        packages: What is installed, the package whose version counts first; empty for requests
            that are written down here in the form in which a program's source sends them.
        source: Where that source is, file and revision; empty where there are packages.
        runtime: What runs it.
        environment: Clients of one name here share an environment; empty for `name`.
        variant: Passed to the script, where it tries several ways of one package.
        in_ci: Whether it is tried for every change.
    """

    name: str
    dialect: str
    setting: str
    script: str
    packages: tuple[str, ...] = ()
    source: str = ""
    runtime: Runtime = Runtime.PYTHON
    environment: str = ""
    variant: str = ""
    in_ci: bool = False

    @property
    def home(self) -> str:
        """The name of its environment."""
        return self.environment or self.name


def _litellm(provider: str, dialect: str, base: str, *, in_ci: bool = False) -> Client:
    return Client(
        name=f"litellm {provider}",
        dialect=dialect,
        setting=f'litellm.rerank("{provider}/MODEL", …, api_base="{base}")',
        script=_LITELLM,
        packages=("litellm",),
        environment="litellm",
        variant=provider,
        in_ci=in_ci,
    )


def _program(
    name: str, dialect: str, setting: str, script: str, source: str, variant: str = ""
) -> Client:
    return Client(
        name=name,
        dialect=dialect,
        setting=setting,
        script=script,
        source=source,
        variant=variant,
        in_ci=True,
    )


CLIENTS: tuple[Client, ...] = (
    # --- Cohere ---
    Client(
        name="cohere",
        dialect="Cohere",
        setting='cohere.ClientV2(base_url="http://HOST:8080")',
        script="cohere_sdk.py",
        packages=("cohere",),
        in_ci=True,
    ),
    Client(
        name="cohere 6.1.0",
        dialect="Cohere",
        setting='cohere.ClientV2(base_url="http://HOST:8080")',
        script="cohere_sdk.py",
        packages=("cohere==6.1.0",),
    ),
    Client(
        name="cohere 5.21.1",
        dialect="Cohere",
        setting='cohere.ClientV2(base_url="http://HOST:8080")',
        script="cohere_sdk.py",
        packages=("cohere==5.21.1",),
    ),
    Client(
        name="cohere-ai",
        dialect="Cohere",
        setting='new CohereClientV2({ environment: URL, baseUrl: URL }), URL = "http://HOST:8080"',
        script="cohere_ai.mjs",
        packages=("cohere-ai",),
        runtime=Runtime.NODE,
    ),
    Client(
        name="langchain-cohere",
        dialect="Cohere",
        setting='CohereRerank(base_url="http://HOST:8080")',
        script="langchain_cohere_rerank.py",
        packages=("langchain-cohere",),
    ),
    Client(
        name="llama-index-cohere",
        dialect="Cohere",
        setting='CohereRerank(base_url="http://HOST:8080")',
        script="llama_index_cohere.py",
        packages=("llama-index-postprocessor-cohere-rerank",),
    ),
    Client(
        name="cohere-haystack",
        dialect="Cohere",
        setting='CohereRanker(api_base_url="http://HOST:8080")',
        script="haystack_cohere.py",
        packages=("cohere-haystack",),
    ),
    Client(
        name="@langchain/cohere",
        dialect="Cohere",
        setting="new CohereRerank({ client: new CohereClient({ environment: URL, … }) })",
        script="langchain_cohere.mjs",
        packages=("@langchain/cohere", "@langchain/core", "cohere-ai"),
        runtime=Runtime.NODE,
        environment="langchain-cohere-js",
    ),
    Client(
        name="@ai-sdk/cohere",
        dialect="Cohere",
        setting='createCohere({ baseURL: "http://HOST:8080/v2" })',
        script="ai_sdk_cohere.mjs",
        packages=("@ai-sdk/cohere", "ai"),
        runtime=Runtime.NODE,
        environment="ai-sdk-cohere",
    ),
    _litellm("cohere", "Cohere", "http://HOST:8080"),
    # --- OpenAI ---
    Client(
        name="openai (py)",
        dialect="OpenAI",
        setting='openai.OpenAI(base_url="http://HOST:8080/v1")',
        script="openai_sdk.py",
        packages=("openai",),
        environment="openai",
        in_ci=True,
    ),
    Client(
        name="openai (npm)",
        dialect="OpenAI",
        setting='new OpenAI({ baseURL: "http://HOST:8080/v1" })',
        script="openai.mjs",
        packages=("openai",),
        runtime=Runtime.NODE,
        environment="openai-js",
    ),
    Client(
        name="langchain-openai",
        dialect="OpenAI",
        setting=(
            'OpenAIEmbeddings(base_url="http://HOST:8080/v1", check_embedding_ctx_length=False)'
        ),
        script="langchain_openai_embeddings.py",
        packages=("langchain-openai",),
    ),
    Client(
        name="llama-index-openai-like",
        dialect="OpenAI",
        setting='OpenAILikeEmbedding(api_base="http://HOST:8080/v1")',
        script="llama_index_openai_like.py",
        packages=("llama-index-embeddings-openai-like",),
    ),
    Client(
        name="haystack-ai",
        dialect="OpenAI",
        setting='OpenAIDocumentEmbedder(api_base_url="http://HOST:8080/v1")',
        script="haystack_openai.py",
        packages=("haystack-ai",),
    ),
    Client(
        name="@ai-sdk/openai",
        dialect="OpenAI",
        setting='createOpenAI({ baseURL: "http://HOST:8080/v1" })',
        script="ai_sdk_openai.mjs",
        packages=("@ai-sdk/openai", "ai"),
        runtime=Runtime.NODE,
        environment="ai-sdk-openai",
    ),
    Client(
        name="@ai-sdk/openai-compatible",
        dialect="OpenAI",
        setting='createOpenAICompatible({ baseURL: "http://HOST:8080/v1" })',
        script="ai_sdk_openai_compatible.mjs",
        packages=("@ai-sdk/openai-compatible", "ai"),
        runtime=Runtime.NODE,
        environment="ai-sdk-openai-compatible",
    ),
    Client(
        name="litellm openai",
        dialect="OpenAI",
        setting='litellm.embedding("openai/MODEL", …, api_base="http://HOST:8080/v1")',
        script=_LITELLM,
        packages=("litellm",),
        environment="litellm",
        variant="openai",
        in_ci=True,
    ),
    # --- Voyage ---
    Client(
        name="voyageai (py)",
        dialect="Voyage",
        setting='voyageai.Client(base_url="http://HOST:8080/v1")',
        script="voyageai_sdk.py",
        packages=("voyageai",),
        environment="voyageai",
        in_ci=True,
    ),
    Client(
        name="voyageai (npm)",
        dialect="Voyage",
        setting='new VoyageAIClient({ environment: "http://HOST:8080/v1" })',
        script="voyageai.mjs",
        packages=("voyageai",),
        runtime=Runtime.NODE,
        environment="voyageai-js",
    ),
    Client(
        name="langchain-voyageai",
        dialect="Voyage",
        setting='VoyageAIRerank(base_url="http://HOST:8080/v1")',
        script="langchain_voyageai_rerank.py",
        packages=("langchain-voyageai",),
    ),
    _litellm("voyage", "Voyage", "http://HOST:8080/v1"),
    # --- Jina, vLLM and what is compatible with them ---
    Client(
        name="jina-haystack",
        dialect="Jina",
        setting='JinaRanker(base_url="http://HOST:8080/v1/rerank")',
        script="haystack_jina.py",
        packages=("jina-haystack",),
    ),
    Client(
        name="llama-index-jinaai",
        dialect="Jina",
        setting='JinaRerank(base_url="http://HOST:8080/v1")',
        script="llama_index_jina.py",
        packages=("llama-index-postprocessor-jinaai-rerank",),
    ),
    _litellm("jina_ai", "Jina", "http://HOST:8080", in_ci=True),
    Client(
        name="vllm-haystack",
        dialect="vLLM",
        setting='VLLMRanker(api_base_url="http://HOST:8080/v1")',
        script="haystack_vllm.py",
        packages=("vllm-haystack",),
    ),
    _litellm("hosted_vllm", "vLLM", "http://HOST:8080", in_ci=True),
    _litellm("together_ai", "Jina", "http://HOST:8080/v1"),
    _litellm("azure_ai", "Cohere", "http://HOST:8080"),
    _litellm("litellm_proxy", "Cohere", "http://HOST:8080"),
    _litellm("scaleway", "Jina", "http://HOST:8080"),
    Client(
        name="@mixedbread/sdk",
        dialect="Mixedbread",
        setting='new Mixedbread({ baseURL: "http://HOST:8080" })',
        script="mixedbread.mjs",
        packages=("@mixedbread/sdk",),
        runtime=Runtime.NODE,
        environment="mixedbread-js",
    ),
    Client(
        name="mixedbread",
        dialect="Mixedbread",
        setting='Mixedbread(base_url="http://HOST:8080")',
        script="mixedbread_sdk.py",
        packages=("mixedbread",),
    ),
    # --- NVIDIA NIM ---
    Client(
        name="langchain-nvidia",
        dialect="NIM",
        setting='NVIDIARerank(base_url="http://HOST:8080/v1")',
        script="langchain_nvidia.py",
        packages=("langchain-nvidia-ai-endpoints",),
    ),
    Client(
        name="llama-index-nvidia",
        dialect="NIM",
        setting='NVIDIARerank(base_url="http://HOST:8080/v1")',
        script="llama_index_nvidia.py",
        packages=("llama-index-postprocessor-nvidia-rerank",),
    ),
    Client(
        name="nvidia-haystack",
        dialect="NIM",
        setting='NvidiaRanker(api_url="http://HOST:8080/v1")',
        script="haystack_nvidia.py",
        packages=("nvidia-haystack",),
    ),
    _litellm("nvidia_nim", "NIM", "http://HOST:8080", in_ci=True),
    # --- Infinity ---
    Client(
        name="infinity-client",
        dialect="Infinity",
        setting='AuthenticatedClient(base_url="http://HOST:8080/infinity")',
        script="infinity_sdk.py",
        packages=("infinity-client",),
        in_ci=True,
    ),
    _litellm("infinity", "Infinity", "http://HOST:8080/infinity"),
    # --- text-embeddings-inference ---
    Client(
        name="huggingface_hub",
        dialect="TEI",
        setting='InferenceClient(model="http://HOST:8080/models/MODEL")',
        script="huggingface_hub_inference.py",
        packages=("huggingface_hub", "numpy"),
    ),
    Client(
        name="@huggingface/inference",
        dialect="TEI",
        setting='featureExtraction({ endpointUrl: "http://HOST:8080/models/MODEL" })',
        script="huggingface_inference.mjs",
        packages=("@huggingface/inference",),
        runtime=Runtime.NODE,
        environment="huggingface-inference-js",
    ),
    Client(
        name="llama-index-tei-rerank",
        dialect="TEI",
        setting='TextEmbeddingInference(base_url="http://HOST:8080", auth_token="Bearer KEY")',
        script="llama_index_tei_rerank.py",
        packages=("llama-index-postprocessor-tei-rerank",),
    ),
    Client(
        name="llama-index-tei-embeddings",
        dialect="TEI",
        setting='TextEmbeddingsInference(base_url="http://HOST:8080/models/MODEL")',
        script="llama_index_tei_embeddings.py",
        packages=("llama-index-embeddings-text-embeddings-inference",),
    ),
    Client(
        name="huggingface-api-haystack",
        dialect="TEI",
        setting='HuggingFaceTEIRanker(url="http://HOST:8080")',
        script="haystack_tei.py",
        packages=("huggingface-api-haystack",),
    ),
    Client(
        name="tei-client",
        dialect="TEI",
        setting='HttpClient("http://HOST:8080/models/MODEL")',
        script="tei_client_http.py",
        packages=("tei-client[grpc]",),
        environment="tei-client",
        in_ci=True,
    ),
    Client(
        name="tei-client (gRPC)",
        dialect="TEI gRPC",
        setting='GrpcClient("HOST:3000"), twopass serve --tei-address HOST:3000=MODEL',
        script="tei_client_grpc.py",
        packages=("tei-client[grpc]",),
        environment="tei-client",
        in_ci=True,
    ),
    Client(
        name="haystack TEI (gRPC)",
        dialect="TEI gRPC",
        setting=(
            'HuggingFaceTEIRanker(url="HOST:3000", use_grpc=True), twopass serve --tei-address '
            "HOST:3000=MODEL; with keys --open-reflection too"
        ),
        script="haystack_tei_grpc.py",
        packages=("huggingface-api-haystack[grpc]",),
        environment="huggingface-api-haystack-grpc",
    ),
    _litellm("huggingface", "TEI", "http://HOST:8080/models/MODEL"),
    # --- programs, by the requests that their sources send ---
    _program(
        "Open WebUI",
        "Jina",
        "RAG_EXTERNAL_RERANKER_URL=http://HOST:8080/v1/rerank",
        "open_webui.py",
        "open-webui/open-webui backend/open_webui/retrieval/models/external.py@ab233f82c",
    ),
    _program(
        "Dify, TEI",
        "TEI",
        "Server url: http://HOST:8080/models/MODEL",
        "dify.py",
        "langgenius/dify-official-plugins models/huggingface_tei/models/helper.py@aac2849cf",
        "tei",
    ),
    _program(
        "Dify, OpenAI-compatible",
        "vLLM",
        "API endpoint URL: http://HOST:8080/v1",
        "dify.py",
        "langgenius/dify-official-plugins "
        "models/openai_api_compatible/models/rerank/rerank.py@225e44dac",
        "openai",
    ),
    _program(
        "RAGFlow, HuggingFace",
        "TEI",
        "Base url: HOST:8080",
        "ragflow.py",
        "infiniflow/ragflow rag/llm/rerank_model.py@5b404a91c",
        "huggingface",
    ),
    _program(
        "RAGFlow, OpenAI-compatible",
        "vLLM",
        "Base url: http://HOST:8080",
        "ragflow.py",
        "infiniflow/ragflow rag/llm/rerank_model.py@5b404a91c",
        "openai",
    ),
    _program(
        "RAGFlow, Xinference",
        "Jina",
        "Base url: http://HOST:8080",
        "ragflow.py",
        "infiniflow/ragflow rag/llm/rerank_model.py@5b404a91c",
        "xinference",
    ),
    _program(
        "Weaviate",
        "Weaviate",
        "RERANKER_INFERENCE_API=http://HOST:8080/weaviate, TRANSFORMERS_INFERENCE_API likewise",
        "weaviate.py",
        "weaviate/weaviate modules/reranker-transformers/clients/ranker.go, "
        "usecases/modulecomponents/clients/transformers/transformers.go@0ad6035fc",
    ),
    _program(
        "Elasticsearch, custom",
        "Jina, OpenAI",
        '"url": "http://HOST:8080/v1/rerank"',
        "elasticsearch.py",
        "elastic/elasticsearch x-pack/plugin/inference services/custom, services/openai@015db297b",
        "custom",
    ),
    _program(
        "Elasticsearch, hugging_face",
        "TEI",
        '"url": "http://HOST:8080/models/MODEL/rerank", "…/embed"',
        "elasticsearch.py",
        "elastic/elasticsearch x-pack/plugin/inference services/huggingface@4d9ec59a9",
        "hugging_face",
    ),
    _program(
        "Milvus, tei",
        "TEI",
        '"provider": "tei", "endpoint": "http://HOST:8080"',
        "milvus.py",
        "milvus-io/milvus internal/util/function/models/tei/tei.go@059bfd6a9",
        "tei",
    ),
    _program(
        "Milvus, vllm",
        "vLLM",
        '"provider": "vllm", "endpoint": "http://HOST:8080"',
        "milvus.py",
        "milvus-io/milvus internal/util/function/models/vllm/vllm_client.go@25ec72ea8",
        "vllm",
    ),
)
