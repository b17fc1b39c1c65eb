"""The options that all retrievers share: their checks, and how they are deserialized."""

from typing import Any, TypeVar

from haystack import default_from_dict
from haystack.document_stores.types import FilterPolicy
from haystack_integrations.document_stores.twopass import TwopassDocumentStore

Retriever = TypeVar("Retriever")


def checked_store(document_store: object) -> TwopassDocumentStore:
    """The store itself.

    Raises:
        ValueError: It is another kind of store.
    """
    if not isinstance(document_store, TwopassDocumentStore):
        raise ValueError(
            "document_store: a TwopassDocumentStore is needed, "
            f"{type(document_store).__name__} given"
        )
    return document_store


def checked_top_k(top_k: int) -> int:
    """The number itself.

    Raises:
        ValueError: It is below 1.
    """
    if top_k < 1:
        raise ValueError(f"top_k: {top_k} given, at least 1 is needed")
    return top_k


def policy_of(filter_policy: str | FilterPolicy) -> FilterPolicy:
    """The policy of that name; raises ValueError as Haystack does."""
    if isinstance(filter_policy, FilterPolicy):
        return filter_policy
    return FilterPolicy.from_str(filter_policy)


def retriever_from_dict(cls: type[Retriever], data: dict[str, Any]) -> Retriever:
    """A retriever of that class, with its store."""
    parameters = dict(data["init_parameters"])
    parameters["document_store"] = TwopassDocumentStore.from_dict(parameters["document_store"])
    return default_from_dict(cls, {**data, "init_parameters": parameters})
