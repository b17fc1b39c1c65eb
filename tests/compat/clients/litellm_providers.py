"""LiteLLM's providers that take an address: reranking, and embeddings where they have them."""

import litellm
from trial import VARIANT, Ask, run

BASES = {
    "hosted_vllm": ("", "/v1"),
    "infinity": ("/infinity", "/infinity"),
    "cohere": ("", "/v2/embed"),
    "jina_ai": ("", "/v1"),
    "voyage": ("/v1", "/v1/embeddings"),
    "together_ai": ("/v1", "/v1"),
    "litellm_proxy": ("", "/v1"),
    "openai": ("", "/v1"),
}
"""What follows the address for rerankers and encoders; providers that are not here have no more
than the address, and no encoder that takes one."""


def rerank(ask: Ask):
    names_none = VARIANT == "huggingface"  # the model is the address's
    suffix = f"/models/{ask.reranker}" if names_none else BASES.get(VARIANT, ("", ""))[0]
    answer = litellm.rerank(
        model=f"{VARIANT}/{ask.reranker}",
        query=ask.query,
        documents=ask.passages,
        top_n=ask.top_n,
        api_base=ask.url + suffix,
        api_key=ask.key,
    )
    return [(hit["index"], hit["relevance_score"]) for hit in answer.results]


def embed(ask: Ask):
    answer = litellm.embedding(
        model=f"{VARIANT}/{ask.encoder}",
        input=ask.texts,
        api_base=ask.url + BASES[VARIANT][1],
        api_key=ask.key,
    )
    return [each["embedding"] for each in answer.data]


run(
    rerank=None if VARIANT == "openai" else rerank,
    embed=embed if VARIANT in BASES else None,
    foreign="" if VARIANT == "huggingface" else "some-model-of-theirs",
    scale="logit" if VARIANT == "nvidia_nim" else "score",
)
