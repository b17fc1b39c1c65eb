"""The store of a data folder, behind the interface of `index/base.py`: the default one.

Each call goes to the collection or the folder below in the lane of its kind, so that nothing blocks
the event loop and no kind of work takes another's threads. What is stored, and how, stays in the
rooms below.
"""
