"""Logits that were computed before: the same pair, read by the same model, is not computed again.

The key of a logit is all that decides it: the token ids of the pair as the model reads it, cut and
with special tokens, their types, the reranker's revision, and what computes it. A document that was
changed or a model that was replaced therefore has other keys, and nothing needs to be removed when
they are: a stale score can't be found. What is no longer asked for is displaced by what is.
"""

import functools
import secrets
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass._core import ScoreTable, gather_packed, sequence_digests, siphash128
from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.server.telemetry.metrics import Metrics

_KEY_BYTES = 16
# Keys of pools, models and engines that are kept; more only where API keys come and go.
_MOST_KEYS = 1_024


@dataclass(frozen=True, slots=True, eq=False)
class KnownPairs:
    """What the cache knows of the pairs of one request.

    Attributes:
        pairs: All of them.
        logits: float32 `[num_pairs]`; 0 for a pair that is not known.
        is_known: bool `[num_pairs]`.
        missing: Pairs that are not known, ascending, int32 `[num_missing]`.
        key: The key of the digests.
        digests: uint64 `[num_pairs, 2]`.
    """

    pairs: TokenBatch
    logits: Float32s
    is_known: NDArray[np.bool_]
    missing: Int32s
    key: bytes
    digests: NDArray[np.uint64]

    def missing_pairs(self) -> TokenBatch:
        """The pairs that are not known, in their order."""
        if len(self.missing) == len(self.pairs):
            return self.pairs
        pairs = self.pairs
        return TokenBatch(
            *gather_packed(pairs.token_ids, pairs.offsets, pairs.query_lengths, self.missing)
        )

    def leading(self, computed: Float32s) -> Float32s:
        """The logits of the first pairs, up to the first that is neither known nor computed.

        Args:
            computed: Logits of the first of the missing ones, float32 `[at most num_missing]`.
        """
        if len(self.missing) == len(self.pairs):
            return computed
        logits = self.logits.copy()
        logits[self.missing[: len(computed)]] = computed
        if len(computed) < len(self.missing):
            return logits[: self.missing[len(computed)]]
        return logits


class ScoreCache:
    """Logits of pairs, in bounded memory. Lives on one event loop.

    Attributes:
        name: The cache's label in metrics.
        num_computed_twice: Logits that were kept already when they had been computed: of pairs
            that several requests asked for at once.
    """

    name = "scores"

    def __init__(self, max_bytes: int, metrics: Metrics | None = None) -> None:
        """Starts empty.

        Args:
            max_bytes: Memory of the cache; 0 keeps nothing.
            metrics: Where look-ups are counted; None not to count them.
        """
        self._table = ScoreTable(max_bytes)
        self._metrics = metrics
        # Nobody outside the process knows it, so nobody can make two pairs with one digest.
        self._secret = secrets.token_bytes(_KEY_BYTES)
        self._key = functools.lru_cache(_MOST_KEYS)(self._new_key)
        self.num_computed_twice = 0

    @property
    def num_bytes(self) -> int:
        """The bytes of all places, used or not."""
        return self._table.num_bytes

    @property
    def num_evictions(self) -> int:
        """Logits that gave their place to another so far."""
        return self._table.num_evictions

    def __len__(self) -> int:
        return self._table.num_entries

    @property
    def capacity(self) -> int:
        """Most logits that are kept."""
        return self._table.capacity

    def look_up(
        self, reranker: LoadedReranker, pairs: TokenBatch, pool: str | None = ""
    ) -> KnownPairs:
        """Finds the logits of pairs that were computed before.

        Args:
            reranker: The model.
            pairs: The pairs as it reads them.
            pool: Logits of which pool are found and kept: "" is the one that callers share; None
                finds and keeps none.
        """
        count = len(pairs)
        if pool is None or not self._table.capacity:
            return KnownPairs(
                pairs,
                np.zeros(count, np.float32),
                np.zeros(count, np.bool_),
                np.arange(count, dtype=np.int32),
                b"",
                np.zeros((0, 2), np.uint64),
            )
        key = self._key_of(reranker, pool)
        digests = sequence_digests(key, pairs.token_ids, pairs.offsets, pairs.query_lengths)
        logits, is_known = self._table.find(digests)
        missing = np.flatnonzero(~is_known).astype(np.int32)
        if self._metrics is not None:
            self._metrics.cache_looked_up(
                self.name, num_hits=count - len(missing), num_misses=len(missing)
            )
        return KnownPairs(pairs, logits, is_known, missing, key, digests.reshape(-1, 2))

    def keep(
        self, known: KnownPairs, computed: Float32s, reranker: LoadedReranker, pool: str | None = ""
    ) -> None:
        """Keeps the logits of pairs that were not known.

        A no-op where something else may have computed them than when they were looked up: a fleet
        whose members have changed meanwhile.

        Args:
            known: From `look_up`.
            computed: Logits of the first of the missing pairs, float32 `[at most num_missing]`.
            reranker: As for `look_up`.
            pool: As for `look_up`.
        """
        if pool is None or not len(computed) or not known.key:
            return
        if self._key_of(reranker, pool) != known.key:
            return
        digests = known.digests[known.missing[: len(computed)]].reshape(-1)
        self.num_computed_twice += self._table.insert(digests, computed)

    def _key_of(self, reranker: LoadedReranker, pool: str) -> bytes:
        info = reranker.engine.info
        return self._key(reranker.spec.revision, info.engine, info.precision, info.device, pool)

    def _new_key(self, *decisive: str) -> bytes:
        """The key of digests under which logits are comparable.

        Args:
            *decisive: What decides a logit beside the pair: the model's revision, the engine, its
                precision and its device, several of each in a fleet that mixes them; and the pool.
        """
        return siphash128(self._secret, "\0".join(decisive).encode())
