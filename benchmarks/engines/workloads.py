"""What the engines compute: token ids, made once and given to all alike."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from twopass.benchmarks.engines.batching import Order, padded_plan
from twopass.benchmarks.engines.texts import MIXED_WORDS, mixed_passages
from twopass.benchmarks.workload import Texts
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Int32s, Ragged, TokenBatch
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.tokenizer import load_tokenizer
from twopass.evaluation.datasets import Dataset

_UNIFORM_PAIRS, _UNIFORM_TOKENS = 32, 128
_MIXED_PASSAGES_EACH = 10
_SHORT_PASSAGES, _SHORT_WORDS = 10, 24
_LATENCY_PASSES = 50


class WorkloadName(StrEnum):
    """What there is to compute."""

    UNIFORM = "uniform"
    MIXED = "mixed"
    SHORT = "short"
    EMBED = "embed"

    @property
    def kind(self) -> ModelKind:
        """Of the model that computes it."""
        return ModelKind.ENCODER if self is WorkloadName.EMBED else ModelKind.RERANKER


@dataclass(frozen=True, slots=True)
class Workload:
    """Sequences to compute, and how to speak of their speed.

    Attributes:
        name: As the command line has it.
        title: What is in it, for people.
        batch: All of its sequences, in the order given.
        orders: How engines that pad may cut them into batches.
        num_rounds: How many turns each engine has.
        passes: How often a turn computes all of them, at most.
        is_latency: Whether milliseconds of a pass are reported, rather than sequences a second.
    """

    name: WorkloadName
    title: str
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
        return "pairs/s" if self.name.kind is ModelKind.RERANKER else "passages/s"


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured.

    Attributes:
        rounds: Turns of each engine, but where passages are embedded.
        embed_rounds: Turns there, each of which takes long.
        embed_passages: Passages embedded in a turn, where the collections have so many.
        mixed_queries: Queries of the mixed workload, each with ten passages.
    """

    rounds: int
    embed_rounds: int
    embed_passages: int
    mixed_queries: int = 10


class WorkloadFactory:
    """Makes workloads of test collections' texts, or of made-up ones."""

    def __init__(
        self,
        folder: ModelFolder,
        datasets: Sequence[Dataset],
        sizes: Sizes,
        seed: int,
    ) -> None:
        """Loads the tokenizer.

        Args:
            folder: The model that will compute them.
            datasets: The first gives pairs, all give passages; none leaves made-up texts.
            sizes: How much is measured.
            seed: Fixes every choice.

        Raises:
            ModelError: The tokenizer is damaged.
            UnsupportedModelError: The model is a decoder.
        """
        if folder.decoder is not None:
            raise UnsupportedModelError(
                f"{folder.spec.id}: a decoder, whose pairs stand in a prompt; the engines "
                "compared here run none: measure a served one, twopass bench"
            )
        self._tokenizer = load_tokenizer(folder).after(folder.spec.passage_prefix)
        self._max_seq_len = folder.spec.max_seq_len
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

    def make_all(self, kind: ModelKind, names: Sequence[WorkloadName]) -> list[Workload]:
        """Makes those of the names that a model of this kind computes."""
        return [self.make(name) for name in names if name.kind is kind]

    def make(self, name: WorkloadName) -> Workload:
        """Makes the workload of this name, which is one of the model's kind."""
        return self._makers[name]()

    def _uniform(self) -> Workload:
        # Twice as many words as tokens are needed, so that every pair is cut to the same length.
        passages = self._texts.passages(0, _UNIFORM_PAIRS, 2 * _UNIFORM_TOKENS)
        return Workload(
            WorkloadName.UNIFORM,
            f"{_UNIFORM_PAIRS} pairs of {_UNIFORM_TOKENS} tokens",
            self._pairs([(self._texts.query(0), passages)], _UNIFORM_TOKENS),
            (Order.GIVEN,),
            self._sizes.rounds,
            passes=3,
        )

    def _mixed(self) -> Workload:
        count = self._sizes.mixed_queries
        if self._datasets:
            dataset = self._datasets[0]
            candidates, of = _judged_pairs(dataset, count, self._seed), dataset.name
        else:
            passages = mixed_passages(count * _MIXED_PASSAGES_EACH, self._seed)
            candidates = [(self._texts.query(q), passages[q::count]) for q in range(count)]
            of = MIXED_WORDS
        batch = self._pairs(candidates, self._max_seq_len)
        return Workload(
            WorkloadName.MIXED,
            f"{len(batch)} pairs of mixed length: {of}; {_described(batch)}; {_padding(batch)}",
            batch,
            (Order.GIVEN, Order.LENGTH_SORTED),
            self._sizes.rounds,
        )

    def _short(self) -> Workload:
        passages = self._texts.passages(1, _SHORT_PASSAGES, _SHORT_WORDS)
        batch = self._pairs([(self._texts.query(1), passages)], self._max_seq_len)
        return Workload(
            WorkloadName.SHORT,
            f"one query, {_SHORT_PASSAGES} short passages: {_described(batch)}; latency, p50",
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
            batch,
            # sentence-transformers' `encode` sorts by length: that is how its users run it.
            (Order.LENGTH_SORTED,),
            self._sizes.embed_rounds,
        )

    def _singles(self, passages: Sequence[str]) -> TokenBatch:
        """Each passage after the encoder's prefix for passages, cut to what it can read."""
        texts = self._tokenizer.encode(passages, self._max_seq_len)
        return self._tokenizer.single.assemble(texts, self._max_seq_len)[0]

    def _pairs(
        self, candidates: Sequence[tuple[str, Sequence[str]]], max_seq_len: int
    ) -> TokenBatch:
        """Each query with each of its passages, cut to `max_seq_len` tokens."""
        rows: list[Int32s] = []
        query_lengths: list[Int32s] = []
        for query, passages in candidates:
            query_ids = self._tokenizer.encode([query], max_seq_len)[0]
            texts = self._tokenizer.encode(passages, max_seq_len)
            batch, _ = self._tokenizer.template.assemble(query_ids, texts, max_seq_len)
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


def _judged_pairs(dataset: Dataset, count: int, seed: int) -> list[tuple[str, list[str]]]:
    """Queries, each with the passage judged best and others drawn from the corpus."""
    generator = np.random.default_rng(seed)
    passages = {d.id: f"{d.title} {d.text}".strip() for d in dataset.documents}
    everything = list(passages.values())
    ids = list(dataset.queries)
    chosen = generator.choice(len(ids), min(count, len(ids)), replace=False).tolist()
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
