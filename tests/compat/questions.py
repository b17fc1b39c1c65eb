"""What every client is asked: one question, its passages, and what is too long for the models."""

QUERY = "Who discovered penicillin, and when?"
PASSAGES = (
    "Bread rises because yeast makes carbon dioxide out of sugar.",
    "Antibiotics are medicines against bacteria; resistance to them is found in many hospitals.",
    "The café's “Penicillin” is a cocktail of whisky, ginger, honey and lemon: 10 €.",
    "Alexander Fleming discovered penicillin in 1928, at St Mary's Hospital in London.",
    "Die Gezeiten folgen dem Mond, der an den Ozeanen zieht. 潮汐は月に従う。",
    "In 1945 Fleming, Florey and Chain shared the Nobel Prize for penicillin.",
)
BEST = 3
"""The index of the passage that answers the question."""

TOP_N = 4
"""Passages to return, where a client can say so."""

TEXTS = (QUERY, PASSAGES[3], PASSAGES[2], PASSAGES[4])
"""Texts to embed."""

_CHAT = (
    "I was talking with a colleague about the history of medicine over lunch today, and we could "
    "not agree on names and years, so please help us without going into too much detail. "
)
LONG_QUERY = f"{QUERY} {_CHAT * 20}"
"""A turn of a chat, some 600 words: more than any reranker here reads of a query."""

LONG_TEXT = " ".join(f"{number}. {passage}" for number, passage in enumerate(PASSAGES * 20))
"""Some 1,600 words: more than the encoder reads of a text."""
