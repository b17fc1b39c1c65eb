"""One module for each engine: how it gets a model, and how it takes token ids.

Each is an `adapters.base.AdapterModule`. Its libraries are imported when it is, in a process of its
own, so that a library that is missing is a line in the report.
"""
