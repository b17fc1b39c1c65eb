"""Which services serve, told by the models whose engines answer."""

from collections.abc import Collection, Iterable

from twopass.engines.base.model import LoadedEncoder, LoadedModel
from twopass.v1 import (
    collection_pb2,
    embed_pb2,
    feedback_pb2,
    model_pb2,
    report_pb2,
    rerank_pb2,
    search_pb2,
    server_pb2,
)


def serving_services(models: Iterable[LoadedModel], silent: Collection[str]) -> dict[str, bool]:
    """Whether each service of `twopass.v1` serves as it should, by its full name; "" is the server.

    One that does not may still answer: searches come in first-pass order while a reranker is
    silent, or by words alone without an encoder. So those who balance ask others first.

    Args:
        models: All models.
        silent: Ids of those whose engines do not answer.
    """
    encoders_answer = rerankers_answer = True
    for model in models:
        if model.spec.id not in silent:
            continue
        if isinstance(model, LoadedEncoder):
            encoders_answer = False
        else:
            rerankers_answer = False
    serve = {
        rerank_pb2: rerankers_answer,
        search_pb2: encoders_answer and rerankers_answer,
        collection_pb2: encoders_answer,  # which embeds the documents that are written
        embed_pb2: encoders_answer,
        feedback_pb2: True,
        model_pb2: True,
        report_pb2: True,
        server_pb2: True,
    }
    names = {
        service.full_name: serves
        for module, serves in serve.items()
        for service in module.DESCRIPTOR.services_by_name.values()
    }
    return {"": not silent} | names
