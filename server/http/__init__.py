"""The surfaces over HTTP: every dialect that rerankers and embedders are spoken to in.

`routes.py` finds the endpoint of a request, `calls.py` takes it through the same edge as a call of
gRPC, and a module of `dialects/` translates bodies into the pipelines and back. Nothing is decided
here that the pipelines could decide, and nothing here may be imported by them or by `servicers/`.
"""
