"""What stands between the passes: candidates that are still there, and what is read of them."""

import asyncio
from dataclasses import dataclass

from twopass.engines.base import Float32s, Ragged
from twopass.index.collection import Collection
from twopass.index.documents import DocumentFields
from twopass.index.vectors import Int64s
from twopass.server.first_pass import Found
from twopass.server.passages import passage_of

_TEXT = DocumentFields(text=True, metadata=False)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the first pass found and is still there, best first.

    Attributes:
        keys: int64 `[num_candidates]`.
        scores: First-pass scores, float32 `[num_candidates]`.
        passages: Their stored token ids.
    """

    keys: Int64s
    scores: Float32s
    passages: Ragged


async def load_candidates(collection: Collection, found: Found) -> Candidates:
    """Loads what was found; what was replaced or deleted since is left out."""
    loaded = await asyncio.to_thread(collection.load, found.best.keys)
    return Candidates(
        found.best.keys[loaded.rows], found.best.scores[loaded.rows], loaded.token_ids
    )


async def load_passages(collection: Collection, keys: Int64s) -> list[str]:
    """Passages by key; "" for a document that is gone."""
    documents = await asyncio.to_thread(collection.fetch, keys, _TEXT)
    return [
        passage_of(documents[key].title, documents[key].text) if key in documents else ""
        for key in keys.tolist()
    ]
