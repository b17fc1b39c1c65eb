"""LlamaIndex's postprocessor for text-embeddings-inference, pointed at a model's prefix."""

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.tei_rerank import TextEmbeddingInference
from trial import Ask, run


def rerank(ask: Ask):
    postprocessor = TextEmbeddingInference(
        base_url=f"{ask.url}/models/{ask.reranker}",
        top_n=ask.top_n,
        auth_token=f"Bearer {ask.key}",
    )
    nodes = [
        NodeWithScore(node=TextNode(text=passage, id_=str(index)))
        for index, passage in enumerate(ask.passages)
    ]
    found = postprocessor.postprocess_nodes(nodes, query_str=ask.query)
    return [(int(hit.node.node_id), hit.score) for hit in found]


run(rerank=rerank)
