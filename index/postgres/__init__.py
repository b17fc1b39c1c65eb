"""Collections in PostgreSQL with pgvector.

Everything of a collection is in one schema of one database: documents, metadata, token ids, vectors
and words, written in one transaction a request. Servers that share the database hold no state, and
each sees what the others have acknowledged. What comes in and goes out are the plain types of
`twopass.index`, through the interfaces of `twopass.index.base`. No other room imports asyncpg, and
this one imports none of those of the default store but the analysis of words.
"""
