"""Every endpoint of the server."""

from twopass.server.http import metrics
from twopass.server.http.dialects import (
    cohere_embed,
    infinity_classify,
    infinity_rerank,
    model_listing,
    nim_health,
    nim_ranking,
    openai_embeddings,
    rerank,
    shared,
    vllm_score,
    weaviate_rerank,
    weaviate_vectors,
)
from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import AnyEndpoint
from twopass.server.http.rpcs import connect, page, rest
from twopass.server.http.rpcs.openapi import OpenApi
from twopass.server.http.ui import page as ui


def all_endpoints(parts: HttpParts) -> list[AnyEndpoint]:
    """The endpoints of all dialects.

    Args:
        parts: What they work with.
    """
    found: list[AnyEndpoint] = [
        *rerank.endpoints(parts),
        *shared.endpoints(parts),
        *vllm_score.endpoints(parts),
        *nim_ranking.endpoints(parts),
        *infinity_rerank.endpoints(parts),
        *infinity_classify.endpoints(parts),
        *weaviate_rerank.endpoints(parts),
        *connect.endpoints(parts),
        *rest.endpoints(parts),
        *cohere_embed.endpoints(parts),
        *openai_embeddings.endpoints(parts),
        *weaviate_vectors.endpoints(parts),
        *model_listing.endpoints(parts),
        *nim_health.endpoints(parts),
        *metrics.endpoints(parts),
        *OpenApi(parts).endpoints(),
        *ui.endpoints(
            lambda: ui.Surroundings(grpc_port=parts.grpc_port(), needs_key=bool(parts.config.keys))
        ),
    ]
    return [*found, *page.endpoints(found)]
