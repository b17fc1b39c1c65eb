"""Documents by their words: the analysis of texts, and BM25 by Tantivy over a base on disk and what came since.

A text, typed clauses and a number come in, keys and scores go out; no text is ever syntax. The writer hands in the
terms of what it has committed. Everything here but the analysis is derived from the rows and can be built again from
them. No other room imports Tantivy. `docs/words.md` tells how it is built, flushed, saved and checked.
"""
