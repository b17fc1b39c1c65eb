"""Documents by their words: the analysis of texts, and BM25 by Tantivy.

A text, typed clauses and a number come in, keys and scores go out; no text is ever syntax. The
writer hands in the terms of what it has committed. Everything here is derived from the rows and can
be built again from them. No other room imports Tantivy. `docs/word-index.md` tells how words are
built, flushed, saved and checked.
"""
