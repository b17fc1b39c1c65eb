"""The gRPC services of twopass.v1: one module a service, and the translation that they share.

Messages come in, domain types go to `search/`, `ingest/` and `Collections`, messages go out. A
servicer translates; what a search or an upload does is decided in those rooms, which may not import
this one.
"""
