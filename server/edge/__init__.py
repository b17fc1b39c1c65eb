"""What a call passes before it is understood, and after it is answered.

Transport, API keys, permissions, quotas, decoding, deadlines, statuses and the log of calls. The
metadata of a call come first and decide whether it is admitted; then its bytes become a message,
which goes to a servicer together with a `Request`. Nothing here knows what a search or a document
is, and nothing here may be imported by `search`, `ingest`, `models` or `scheduling`.
"""
