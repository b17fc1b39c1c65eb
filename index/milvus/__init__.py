"""Collections in Milvus, for first passes over more than one machine holds.

`store.py` finds collections by name, `collection.py` writes and reads one, `retrieval.py` is one
search's use of it. Below them `layout.py` says what a collection and its rows are in Milvus,
`facts.py` what is stored of metadata so that `filter_expression.py` can ask for it, `words.py` how
words become what Milvus' BM25 function counts, and `connection.py` speaks to the server. Nothing
here keeps state that another server's front would have to know. Only this folder imports pymilvus.
"""
