"""The collections of a data folder: found by name or alias, created, copied, deleted.

After a crash at any moment, each collection is there whole or not at all.
"""
