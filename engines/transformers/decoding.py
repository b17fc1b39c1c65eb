"""A decoder over a batch: what its sequences begin with is computed once.

In a batch of pairs the leading `query_lengths` tokens of all pairs of one set are the same: system
prompt, instruction, query. They go through the model once; their keys and values are expanded over
the passages of the set, which follow in launches of similar length, padded at their ends: a token
sees none after it, so padding needs no mask.
"""

import inspect
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from twopass.engines.base.sequences import Float32s, Int32s, TokenBatch
from twopass.engines.model.labels import relevance
from twopass.engines.transformers.prefixes import LayerState, Prefix, PrefixCache


@dataclass(frozen=True, slots=True)
class Bounds:
    """What a launch and the prefixes may take.

    Attributes:
        launch_tokens: Most tokens of a launch, padding included; a longer sequence is a launch of
            its own.
        attended_tokens: Most tokens of a launch together with those before them, which every
            layer joins: so many keys and values are held beside the cache.
        prefix_bytes: Most bytes of prefixes kept for later batches.
    """

    launch_tokens: int
    attended_tokens: int
    prefix_bytes: int


@dataclass(slots=True)
class Computed:
    """The tokens that a decoder has been given, and those it computed.

    Attributes:
        num_given: Tokens of all sequences.
        num_computed: Tokens that went through the model, padding not counted: fewer, since what
            sequences begin with is computed once.
        num_padding: Tokens of padding that went through it.
    """

    num_given: int = 0
    num_computed: int = 0
    num_padding: int = 0


Head = Callable[[Any, Any, Any, Any], Any]
"""From ids `[batch, len]`, positions, a cache and last places `[batch]` to logits `[batch]`."""


class Decoding:
    """Computes the logits of batches. For one thread.

    Attributes:
        computed: Counts of all batches so far.
    """

    def __init__(self, torch: Any, head: Head, device: Any, bounds: Bounds):
        """Takes what it works with.

        Args:
            torch: PyTorch.
            head: Runs the model.
            device: Where the model is.
            bounds: What it may take at once.
        """
        self._torch = torch
        self._cache_of, self._states_of = _caches(torch)
        self._head = head
        self._device = device
        self._bounds = bounds
        self._prefixes = PrefixCache(bounds.prefix_bytes)
        self.computed = Computed()

    def logits(self, batch: TokenBatch) -> Float32s:
        """The logit of every sequence, float32 `[num_sequences]`."""
        output = np.empty(len(batch), np.float32)
        for shared, rows in _sets(batch):
            prefix = self._prefix(shared)
            for launch in self._launches(batch, rows, len(shared)):
                output[launch] = self._launch(batch, launch, prefix)
        self.computed.num_given += batch.num_tokens
        return output

    def forget(self) -> None:
        """Frees the prefixes kept for later batches."""
        self._prefixes.clear()

    def _prefix(self, token_ids: Int32s) -> Prefix:
        """What every layer remembers of a prefix, in part from earlier batches; nothing of none."""
        if not len(token_ids):
            return Prefix(token_ids, ())
        known = self._prefixes.longest(token_ids)
        num_known = 0 if known is None else len(known.token_ids)
        if known is not None and num_known == len(token_ids):
            return known
        rest = token_ids[None, num_known:]
        cache = self._cache_of(known.layers if known else (), keeps=True)
        self._run(rest, num_known, cache, np.array([rest.shape[1] - 1]))
        self.computed.num_computed += rest.shape[1]
        prefix = Prefix(token_ids.copy(), self._states_of(cache))
        self._prefixes.put(prefix)
        return prefix

    def _launches(self, batch: TokenBatch, rows: Int32s, num_shared: int) -> Iterator[Int32s]:
        """Rows of one set in launches of similar length, the longest first."""
        lengths = batch.lengths[rows] - num_shared
        order = np.argsort(-lengths, kind="stable")
        start = 0
        while start < len(order):
            longest = int(lengths[order[start]])
            room = min(
                self._bounds.launch_tokens // longest,
                self._bounds.attended_tokens // (longest + num_shared),
            )
            yield rows[order[start : start + max(1, room)]]
            start += max(1, room)

    def _launch(self, batch: TokenBatch, rows: Int32s, prefix: Prefix) -> Float32s:
        num_shared = len(prefix.token_ids)
        lengths = batch.lengths[rows] - num_shared
        token_ids = np.zeros((len(rows), int(lengths.max())), np.int32)
        for place, row in enumerate(rows.tolist()):
            own = batch.token_ids[batch.offsets[row] + num_shared : batch.offsets[row + 1]]
            token_ids[place, : len(own)] = own
        cache = self._cache_of(prefix.layers, keeps=False)
        logits = self._run(token_ids, num_shared, cache, lengths - 1)
        num_own = int(lengths.sum())
        self.computed.num_computed += num_own
        self.computed.num_padding += token_ids.size - num_own
        return logits

    def _run(self, token_ids: Int32s, start: int, cache: Any, last: Int32s) -> Float32s:
        torch = self._torch
        ids, places = (
            torch.from_numpy(np.ascontiguousarray(values, np.int64)).to(self._device)
            for values in (token_ids, last)
        )
        positions = torch.arange(start, start + ids.shape[1], device=self._device)
        with torch.inference_mode():
            logits = self._head(ids, positions.expand(len(ids), -1), cache, places)
            values: Float32s = logits.float().cpu().numpy()
        return values


def causal_head(torch: Any, model: Any, true_id: int, false_id: int | None) -> Head:
    """The lead of one token over another, by a language model's own forward pass.

    Only last tokens go through the matrix of the vocabulary. Whatever the model does with logits
    after it is done, as softcapping.
    """
    gathering: list[Any] = []

    def only_last(_module: Any, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
        hidden, *others = arguments
        rows = torch.arange(len(hidden), device=hidden.device)
        return hidden[rows, gathering[0]].unsqueeze(1), *others

    model.get_output_embeddings().register_forward_pre_hook(only_last)
    keyword = _cache_keyword(model)

    def head(ids: Any, positions: Any, cache: Any, last: Any) -> Any:
        gathering[:] = [last]
        output = model(
            input_ids=ids, position_ids=positions, use_cache=True, **{keyword: cache}
        ).logits[:, -1]
        logits = output[:, true_id]
        return logits if false_id is None else logits.float() - output[:, false_id].float()

    return head


def classifier_head(torch: Any, model: Any, relevant: int | None) -> Head:
    """The labels of a decoder with a head for classification, at the last token.

    Args:
        torch: PyTorch.
        model: The model.
        relevant: Which of two labels is that of relevant pairs; None where there is one label.
    """
    decoder = getattr(model, model.base_model_prefix)
    keyword = _cache_keyword(decoder)

    def head(ids: Any, positions: Any, cache: Any, last: Any) -> Any:
        hidden = decoder(
            input_ids=ids, position_ids=positions, use_cache=True, **{keyword: cache}
        ).last_hidden_state
        rows = torch.arange(len(ids), device=ids.device)
        return relevance(model.score(hidden[rows, last]).float(), relevant)

    return head


def _cache_keyword(model: Any) -> str:
    """How the forward pass calls its cache: it was renamed in transformers 5."""
    return "cache" if "cache" in inspect.signature(model.forward).parameters else "past_key_values"


def _sets(batch: TokenBatch) -> Iterator[tuple[Int32s, Int32s]]:
    """The sequences of a batch by what they begin with: those tokens, and the rows.

    A sequence always has a token of its own after them, whose logit it is about.
    """
    rows_of: dict[bytes, list[int]] = defaultdict(list)
    num_shared = np.minimum(batch.query_lengths, batch.lengths - 1)
    for row, (start, length) in enumerate(
        zip(batch.offsets[:-1].tolist(), num_shared.tolist(), strict=True)
    ):
        rows_of[batch.token_ids[start : start + length].tobytes()].append(row)
    for rows in rows_of.values():
        start = batch.offsets[rows[0]]
        yield batch.token_ids[start : start + num_shared[rows[0]]], np.array(rows, np.int32)


def _caches(
    torch: Any,
) -> "tuple[Callable[..., Any], Callable[[Any], list[LayerState]]]":
    """Makes transformers' caches of layer states, and layer states of its caches."""
    from transformers.cache_utils import Cache, DynamicLayer

    class Growing(DynamicLayer):  # type: ignore[misc]
        """A layer that keeps what is computed."""

        def __init__(self, state: LayerState | None = None) -> None:
            super().__init__()
            if state is not None:
                self.lazy_initialization(*state)
                self.keys, self.values = state

    class Expanded(Growing):
        """A layer of one sequence that many continue; what they add is not kept."""

        def update(self, keys: Any, values: Any, *_: Any, **__: Any) -> tuple[Any, Any]:
            joined = (
                torch.cat([known.expand(len(added), -1, -1, -1), added], dim=-2)
                for known, added in ((self.keys, keys), (self.values, values))
            )
            return next(joined), next(joined)

    def cache_of(layers: Sequence[LayerState], *, keeps: bool) -> Any:
        if not layers:
            return Cache(layer_class_to_replicate=Growing)
        return Cache(layers=[(Growing if keeps else Expanded)(state) for state in layers])

    def states_of(cache: Any) -> list[LayerState]:
        return [LayerState(layer.keys, layer.values) for layer in cache.layers]

    return cache_of, states_of
