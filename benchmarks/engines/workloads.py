"""What the engines compute: token ids, made once and given to all alike."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twopass.benchmarks.engines.batching import Order, padded_plan
from twopass.benchmarks.engines.texts import MIXED_WORDS, mixed_passages
from twopass.benchmarks.workload import Texts
from twopass.engines.base import Int32s, ModelKind, Ragged, TokenBatch
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.tokenizer import load_tokenizer
from twopass.evaluation.datasets import Dataset

_UNIFORM_PAIRS, _UNIFORM_TOKENS = 32, 128
_MIXED_QUERIES, _MIXED_PASSAGES_EACH = 10, 10
_SHORT_PASSAGES, _SHORT_WORDS = 10, 24
_LATENCY_PASSES = 50


class WorkloadName(StrEnum):
    """What there is to compute."""

    UNIFORM = "uniform"
    MIXED = "mixed"
    SHORT = "short"
    EMBED = "embed"


@dataclass(frozen=True, slots=True)
class Workload:
    """Sequences to compute, and how to speak of their speed.

    Attributes:
        name: As the command line has it.
        title: What is in it, for people.
        kind: Which model computes it.
        batch: All of its sequences, in the order given.
        orders: How engines that pad may cut them into batches.
        num_rounds: How many turns each engine has.
        passes: How often a turn computes all of them.
        is_latency: Whether milliseconds of a pass are reported, rather than sequences a second.
    """

    name: WorkloadName
    title: str
    kind: ModelKind
    batch: TokenBatch
    orders: tuple[Order, ...]
    num_rounds: int
    passes: int = 1
    is_latency: bool = False

    @property
    def unit(self) -> str:
        """Of the figures reported."""
        if self.is_latency:
            return "ms"
        return "pairs/s" if self.kind is ModelKind.RERANKER else "passages/s"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: Turns of each engine, but where passages are embedded.
        embed_rounds: Turns there, each of which takes long.
        embed_passages: Passages embedded in a turn, where the collections have so many.
    """

    rounds: int
    embed_rounds: int
    embed_passages: int


class WorkloadFactory:
    """Makes workloads of test collections' texts, or of made-up ones."""

    def __init__(
        self,
        models: Mapping[ModelKind, ModelFolder],
        datasets: Sequence[Dataset],
        sizes: Sizes,
        seed: int,
    ) -> None:
        """Loads the tokenizers.

        Args:
            models: The reranker and the encoder.
            datasets: The first gives pairs, all give passages; none leaves made-up texts.
            sizes: How much is measured.
            seed: Fixes every choice.

        Raises:
            ModelError: A tokenizer is damaged.
            UnsupportedModelError: A model is a decoder.
        """
        for folder in models.values():
            if folder.decoder is not None:
                raise UnsupportedModelError(
                    f"{folder.spec.id}: a decoder, whose pairs stand in a prompt; the engines "
                    "compared here run none: measure a served one, twopass bench"
                )
        self._tokenizers = {
            k: load_tokenizer(f).after(f.spec.passage_prefix) for k, f in models.items()
        }
        self._max_seq_len = {k: f.spec.max_seq_len for k, f in models.items()}
        self._datasets = datasets
        self._sizes = sizes
        self._seed = seed
        self._texts = Texts(seed)
        self._makers = {
            WorkloadName.UNIFORM: self._uniform,
            WorkloadName.MIXED: self._mixed,
            WorkloadName.SHORT: self._short,
            WorkloadName.EMBED: self._embed,
        }

    def make(self, name: WorkloadName) -> Workload:
        """Makes the workload of this name."""
        return self._makers[name]()

    def _uniform(self) -> Workload:
        # Twice as many words as tokens are needed, so that every pair is cut to the same length.
        passages = self._texts.passages(0, _UNIFORM_PAIRS, 2 * _UNIFORM_TOKENS)
        return Workload(
            WorkloadName.UNIFORM,
            f"{_UNIFORM_PAIRS} pairs of {_UNIFORM_TOKENS} tokens",
            ModelKind.RERANKER,
            self._pairs([(self._texts.query(0), passages)], _UNIFORM_TOKENS),
            (Order.GIVEN,),
            self._sizes.rounds,
            passes=3,
        )

    def _mixed(self) -> Workload:
        if self._datasets:
            candidates, of = _judged_pairs(self._datasets[0], self._seed), self._datasets[0].name
        else:
            passages = mixed_passages(_MIXED_QUERIES * _MIXED_PASSAGES_EACH, self._seed)
            candidates = [
                (self._texts.query(q), passages[q::_MIXED_QUERIES]) for q in range(_MIXED_QUERIES)
            ]
            of = MIXED_WORDS
        batch = self._pairs(candidates, self._max_seq_len[ModelKind.RERANKER])
        return Workload(
            WorkloadName.MIXED,
            f"{len(batch)} pairs of mixed length: {of}; {_described(batch)}; {_padding(batch)}",
            ModelKind.RERANKER,
            batch,
            (Order.GIVEN, Order.LENGTH_SORTED),
            self._sizes.rounds,
        )

    def _short(self) -> Workload:
        passages = self._texts.passages(1, _SHORT_PASSAGES, _SHORT_WORDS)
        batch = self._pairs(
            [(self._texts.query(1), passages)], self._max_seq_len[ModelKind.RERANKER]
        )
        return Workload(
            WorkloadName.SHORT,
            f"one query, {_SHORT_PASSAGES} short passages: {_described(batch)}; latency, p50",
            ModelKind.RERANKER,
            batch,
            (Order.GIVEN,),
            self._sizes.rounds,
            passes=_LATENCY_PASSES,
            is_latency=True,
        )

    def _embed(self) -> Workload:
        count = self._sizes.embed_passages
        if self._datasets:
            documents = [d for dataset in self._datasets for d in dataset.documents][:count]
            passages = [f"{d.title} {d.text}".strip() for d in documents]
            of = ", ".join(dataset.name for dataset in self._datasets)
        else:
            passages, of = mixed_passages(count, self._seed), MIXED_WORDS
        batch = self._singles(passages)
        return Workload(
            WorkloadName.EMBED,
            f"embedding {len(batch):,} passages: {of}; {_described(batch)}",
            ModelKind.ENCODER,
            batch,
            # sentence-transformers' `encode` sorts by length: that is how its users run it.
            (Order.LENGTH_SORTED,),
            self._sizes.embed_rounds,
        )

    def _singles(self, passages: Sequence[str]) -> TokenBatch:
        """Each passage after the encoder's prefix for passages, cut to what it can read."""
        tokenizer = self._tokenizers[ModelKind.ENCODER]
        max_seq_len = self._max_seq_len[ModelKind.ENCODER]
        texts = tokenizer.encode(passages, max_seq_len)
        return tokenizer.single.assemble(texts, max_seq_len)[0]

    def _pairs(
        self, candidates: Sequence[tuple[str, Sequence[str]]], max_seq_len: int
    ) -> TokenBatch:
        """Each query with each of its passages, cut to `max_seq_len` tokens."""
        tokenizer = self._tokenizers[ModelKind.RERANKER]
        rows: list[Int32s] = []
        query_lengths: list[Int32s] = []
        for query, passages in candidates:
            query_ids = tokenizer.encode([query], max_seq_len)[0]
            texts = tokenizer.encode(passages, max_seq_len)
            batch, _ = tokenizer.template.assemble(query_ids, texts, max_seq_len)
            pairs = Ragged(batch.token_ids, batch.offsets)
            rows += [pairs[row] for row in range(len(pairs))]
            query_lengths.append(batch.query_lengths)
        joined = Ragged.from_rows(rows)
        return TokenBatch(joined.token_ids, joined.offsets, np.concatenate(query_lengths))


def digest(batch: TokenBatch) -> str:
    """sha256 of all arrays of a batch: equal for two engines that were given the same."""
    sums = hashlib.sha256()
    for array in (batch.token_ids, batch.offsets, batch.query_lengths):
        sums.update(np.ascontiguousarray(array, np.int32).tobytes())
    return sums.hexdigest()


def _judged_pairs(dataset: Dataset, seed: int) -> list[tuple[str, list[str]]]:
    """Queries, each with the passage judged best and others drawn from the corpus."""
    generator = np.random.default_rng(seed)
    passages = {d.id: f"{d.title} {d.text}".strip() for d in dataset.documents}
    everything = list(passages.values())
    ids = list(dataset.queries)
    chosen = generator.choice(len(ids), min(_MIXED_QUERIES, len(ids)), replace=False).tolist()
    pairs = []
    for query_id in (ids[i] for i in chosen):
        grades = dataset.qrels[query_id]
        best = passages[max(grades, key=lambda document: grades[document])]
        others = generator.choice(len(everything), _MIXED_PASSAGES_EACH - 1, replace=False)
        pairs.append((dataset.queries[query_id], [best, *(everything[i] for i in others.tolist())]))
    return pairs


def _padding(batch: TokenBatch) -> str:
    """What engines that pad compute in vain, in one phrase."""
    lengths = batch.lengths
    phrases = []
    for order in Order:
        slots = sum(len(rows) * int(lengths[rows].max()) for rows in padded_plan(lengths, order))
        phrases.append(f"{slots / batch.num_tokens - 1:.0%} {order}")
    return f"padding adds {', '.join(phrases)}"


def _described(batch: TokenBatch) -> str:
    """The distribution of lengths, in one phrase."""
    low, median, high = np.percentile(batch.lengths, (10, 50, 90))
    return f"p10/p50/p90 {low:.0f}/{median:.0f}/{high:.0f} tokens, longest {batch.lengths.max()}"
