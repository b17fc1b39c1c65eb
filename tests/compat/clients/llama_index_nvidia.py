"""LlamaIndex's postprocessor for NVIDIA NIM, whose scores are logits."""

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.nvidia_rerank import NVIDIARerank
from trial import Ask, run


def rerank(ask: Ask, *, truncate: str | None = "END"):
    postprocessor = NVIDIARerank(
        base_url=f"{ask.url}/v1",
        api_key=ask.key,
        model=ask.reranker,
        top_n=ask.top_n,
        truncate=truncate,
    )
    nodes = [
        NodeWithScore(node=TextNode(text=passage, id_=str(index)))
        for index, passage in enumerate(ask.passages)
    ]
    found = postprocessor.postprocess_nodes(nodes, query_str=ask.query)
    return [(int(hit.node.node_id), hit.score) for hit in found]


run(rerank=rerank, uncut=lambda ask: rerank(ask, truncate="NONE"), scale="logit")
