"""Documents in SQLite, the one source of truth: tables, connections, one writer, many readers.

Filters become SQL here and nowhere else. A write is acknowledged when it is on disk; a row that is
damaged is noted and harms no other. No other room holds a connection for itself.
"""
