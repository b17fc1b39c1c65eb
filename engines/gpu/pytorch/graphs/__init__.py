"""Forward passes as CUDA graphs: one launch in place of one for each kernel.

::

    slots       copy a batch there, replay, copy back
    lanes       streams with graphs of their own, as many as memory has room for
    capture     captures a shape, and holds it to a launch without a graph
    cache       which shapes are held, within a budget of memory
    keys        which shapes there are
    inputs      a launch's inputs as one block
"""
