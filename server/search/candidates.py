"""What stands between the passes: candidates that are still there, and what is read of them."""

import asyncio
from dataclasses import dataclass

import numpy as np

from twopass.engines.base import Float32s, Int32s, Ragged
from twopass.index.arrays import Int64s
from twopass.index.collection.collection import Collection
from twopass.index.documents import DocumentFields
from twopass.server.models.passages import passage_of
from twopass.server.search.first_pass import Found

_TEXT = DocumentFields(text=True, metadata=False)


@dataclass(frozen=True, slots=True, eq=False)
class Candidates:
    """What the first pass found and is still there, best first.

    Attributes:
        keys: int64 `[num_candidates]`.
        scores: First-pass scores, float32 `[num_candidates]`.
        passages: Their stored token ids.
        windows: Where documents are split, the nearest window of each: first token in the passage
            and one past the last, int32 `[num_candidates, 2]`; the whole passage where none is
            known. None where they are not split.
    """

    keys: Int64s
    scores: Float32s
    passages: Ragged
    windows: Int32s | None

    def parts(self, count: int) -> Ragged:
        """Token ids of the first candidates, of split ones those of their nearest windows."""
        if self.windows is None:
            return self.passages.first(count)
        return Ragged.from_rows([self.passages[i][slice(*self.windows[i])] for i in range(count)])


async def load_candidates(collection: Collection, found: Found) -> Candidates:
    """Loads what was found; what was replaced or deleted since is left out."""
    loaded = await asyncio.to_thread(collection.load, found.best.keys)
    keys, passages = found.best.keys[loaded.positions], loaded.token_ids
    windows = None
    if collection.schema.chunking is not None:
        whole = zip(keys.tolist(), passages.lengths.tolist(), strict=True)
        windows = np.array(
            [found.windows.get(key, (0, length)) for key, length in whole], np.int32
        ).reshape(-1, 2)
    return Candidates(keys, found.best.scores[loaded.positions], passages, windows)


async def load_passages(collection: Collection, keys: Int64s) -> list[str]:
    """Passages by key; "" for a document that is gone."""
    documents = await asyncio.to_thread(collection.fetch, keys, _TEXT)
    return [
        passage_of(documents[key].title, documents[key].text) if key in documents else ""
        for key in keys.tolist()
    ]
