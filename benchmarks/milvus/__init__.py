"""The ledger of a real Milvus: what a cluster does behind the store's interface.

`run.sh` brings a Milvus up, or takes one that is there, runs the stores' tests against it and
`measure.py`; `made_documents.py` draws what is indexed and asked. Belongs to the benchmarks, which
nothing imports.
"""
