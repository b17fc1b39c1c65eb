"""Every endpoint of the server."""

from twopass.server.http.dialects import (
    infinity_rerank,
    nim_ranking,
    rerank,
    vllm_score,
    weaviate_rerank,
)
from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import AnyEndpoint
from twopass.server.http.rpcs import connect, rest


def all_endpoints(parts: HttpParts) -> list[AnyEndpoint]:
    """The endpoints of all dialects.

    Args:
        parts: What they work with.
    """
    return [
        *rerank.endpoints(parts),
        rerank.vllm_endpoint(parts),
        *vllm_score.endpoints(parts),
        *nim_ranking.endpoints(parts),
        *infinity_rerank.endpoints(parts),
        *weaviate_rerank.endpoints(parts),
        *connect.endpoints(parts),
        *rest.endpoints(parts),
    ]
