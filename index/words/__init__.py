"""Documents by their words: the analysis of texts, and BM25.

A query's text and a number come in, keys and scores go out. No text is ever syntax.
"""
