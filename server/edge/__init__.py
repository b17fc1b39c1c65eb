"""What a call passes before it is understood, and after it is answered.

Transport, keys, permissions, the limits on calls and bytes, the deadline, the table of statuses and
the log of calls. Bytes and metadata come in; a message and a `Request` go to a surface. Nothing
here knows what a search or a document is.
"""
