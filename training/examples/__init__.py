"""What each step of a training reads: which pairs, as token ids end to end.

Tokenised groups come in; parts of whole groups go out, in arrays that a device reads at once:
chosen by seed and step alone, in this process or in others that share memory with it. Imports no
PyTorch, and what those others import neither a tokenizer nor a client.

::

    tokenized       groups as token ids
    sampling        which pairs a step has
    layout          a step as parts without padding
    pool, worker    processes that prepare steps, and what runs in one
    shared_memory   memory without a name
    ahead           steps prepared in a thread
"""
