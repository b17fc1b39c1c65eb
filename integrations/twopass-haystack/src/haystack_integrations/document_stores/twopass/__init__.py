"""A collection of a twopass server as a Haystack `DocumentStore`, and its filters."""

from haystack_integrations.document_stores.twopass.document_store import TwopassDocumentStore

__all__ = ["TwopassDocumentStore"]
