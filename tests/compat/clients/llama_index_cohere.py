"""LlamaIndex's postprocessor for Cohere."""

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.cohere_rerank import CohereRerank
from trial import Ask, run


def rerank(ask: Ask):
    postprocessor = CohereRerank(
        base_url=ask.url, api_key=ask.key, model=ask.reranker, top_n=ask.top_n, max_retries=2
    )
    nodes = [
        NodeWithScore(node=TextNode(text=passage, id_=str(index)))
        for index, passage in enumerate(ask.passages)
    ]
    found = postprocessor.postprocess_nodes(nodes, query_str=ask.query)
    return [(int(hit.node.node_id), hit.score) for hit in found]


run(rerank=rerank, foreign="rerank-english-v3.0")
