"""Retrieval quality, measured through the real server."""
