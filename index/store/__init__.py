"""The collections of a data folder: found by name or alias, made, copied, deleted.

After a crash at any moment each of them is there whole, or not at all.
"""
