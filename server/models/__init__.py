"""The models that a server holds: loaded, kept answering, and spoken to in texts.

`registry.py` finds them by id, `loading.py` is the one file that knows concrete engines,
`supervisor.py` and `restarting.py` keep engines answering, `tokenizing.py` and `embedding.py` turn
texts into token ids and embeddings. What a passage is to a model is told by `passages.py` and
`cutting.py`. Searches, documents and messages are not known here.
"""
