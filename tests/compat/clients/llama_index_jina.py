"""LlamaIndex's postprocessor for Jina."""

from llama_index.core.schema import NodeWithScore, TextNode
from llama_index.postprocessor.jinaai_rerank import JinaRerank
from trial import Ask, run


def rerank(ask: Ask):
    postprocessor = JinaRerank(
        base_url=f"{ask.url}/v1", api_key=ask.key, model=ask.reranker, top_n=ask.top_n
    )
    nodes = [
        NodeWithScore(node=TextNode(text=passage, id_=str(index)))
        for index, passage in enumerate(ask.passages)
    ]
    found = postprocessor.postprocess_nodes(nodes, query_str=ask.query)
    return [(int(hit.node.node_id), hit.score) for hit in found]


run(rerank=rerank, foreign="jina-reranker-v1-base-en")
