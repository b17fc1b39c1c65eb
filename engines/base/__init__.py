"""The seam between the server and whatever computes.

The server sees engines, tokenizers and models through this folder alone, so that an engine can be
replaced without a line changing above it.

::

    sequences    token ids: rows, pairs, batches
    tokenizer    from texts to token ids
    engine       from a batch to logits or embeddings
    model        a tokenizer and an engine, and what they were made for
"""
