"""A ranker by the server's cross-encoder."""

from haystack_integrations.components.rankers.twopass.ranker import TwopassRanker

__all__ = ["TwopassRanker"]
