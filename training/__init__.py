"""Trains rerankers: from question-passage pairs to a model folder that the server loads."""
