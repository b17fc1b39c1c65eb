"""The models that a server holds: loads them, keeps them answering, and prepares texts for them.

`registry.py` finds them by id, `loading.py` is the one file that knows concrete engines,
`supervisor.py` and `restarting.py` keep engines answering, `tokenizing.py` and `embedding.py` turn
texts into token ids and embeddings. `passages.py` and `cutting.py` say what a model reads of a
passage. Searches, documents and messages are not known here.
"""
