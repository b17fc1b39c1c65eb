"""An engine and a tokenizer whose every answer can be told beforehand."""

import asyncio
import re
from collections.abc import Iterable, Sequence
from concurrent.futures import Future

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.engine import BatchTerms, EngineInfo, Layout, PackedLayout
from twopass.engines.base.model import LoadedReranker, ModelKind, ModelSpec
from twopass.engines.base.sequences import Float32s, Int32s, PairTemplate, Ragged, TokenBatch
from twopass.server.scheduling.arbiter import Arbiter, Computed, Priority

MAX_SEQ_LEN = 64


def rows_of(batch: TokenBatch) -> list[list[int]]:
    return [x.tolist() for x in np.split(batch.token_ids, batch.offsets[1:-1])]


def batch_of(rows: Sequence[Sequence[int]]) -> TokenBatch:
    ragged = Ragged.from_rows(rows)
    return TokenBatch(ragged.token_ids, ragged.offsets, np.ones(len(rows), np.int32))


def rows_of_lengths(lengths: Iterable[int], first: int = 1) -> list[list[int]]:
    """Rows whose token ids tell which row it is: each holds one number again and again."""
    return [[number] * length for number, length in enumerate(lengths, first)]


def logits_of(rows: Sequence[Sequence[int]]) -> list[float]:
    """What `ScriptedEngine` makes of sequences."""
    return [float(sum(row)) for row in rows]


class ScriptedEngine:
    """A reranker whose logit is the sum of a pair's token ids.

    Where it is held, a batch stays in it until the test lets it go.

    Attributes:
        batches: All that were submitted, as rows.
        held: Those that are not answered.
    """

    def __init__(
        self,
        *,
        layout: Layout | None = None,
        max_batch_tokens: int = MAX_SEQ_LEN,
        max_in_flight: int = 1,
        is_held: bool = False,
    ) -> None:
        self.info = EngineInfo(
            engine="scripted",
            precision="f32",
            device="none",
            max_seq_len=MAX_SEQ_LEN,
            layout=layout or PackedLayout(),
            max_batch_tokens=max_batch_tokens,
            max_in_flight=max_in_flight,
        )
        self.output_width = 1
        self.is_held = is_held
        self.batches: list[list[list[int]]] = []
        self.held: list[tuple[list[list[int]], Future[Float32s]]] = []

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        rows = rows_of(batch)
        self.batches.append(rows)
        future: Future[Float32s] = Future()
        if self.is_held:
            self.held.append((rows, future))
        else:
            future.set_result(np.array(logits_of(rows), np.float32))
        return future

    def close(self) -> None:
        """Holds no device."""

    async def answer(
        self, which: int = 0, *, output: NDArray[np.float32] | Exception | None = None
    ) -> list[list[int]]:
        """Lets a held batch go, with its logits, other ones or an error; returns its rows."""
        rows, future = self.held.pop(which)
        if isinstance(output, Exception):
            future.set_exception(output)
        else:
            future.set_result(np.array(logits_of(rows), np.float32) if output is None else output)
        await settled()
        return rows


class ScriptedTokenEngine(ScriptedEngine):
    """Also gives the vector of a token: its id, and a half more."""

    token_width = 2

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        self.batches.append(rows_of(batch))
        future: Future[Float32s] = Future()
        future.set_result(np.stack([batch.token_ids, batch.token_ids + 0.5], 1).astype(np.float32))
        return future


class ScriptedDistantEngine(ScriptedEngine):
    """Is told until when batches are wanted, and for what.

    Attributes:
        terms: Of all batches that were submitted.
    """

    def __init__(self) -> None:
        super().__init__(is_held=True)
        self.terms: list[BatchTerms] = []

    def submit_on(self, batch: TokenBatch, terms: BatchTerms) -> Future[Float32s]:
        self.terms.append(terms)
        return self.submit(batch)


async def settled(turns: int = 8) -> None:
    """Lets the loop run all that is ready, and what that makes ready, so many times over."""
    for _ in range(turns):
        await asyncio.sleep(0)


def compute(
    arbiter: Arbiter,
    engine: ScriptedEngine,
    rows: Sequence[Sequence[int]],
    priority: Priority = Priority.RERANK,
    *,
    deadline: float | None = None,
) -> asyncio.Task[Computed]:
    """Starts a request."""
    return asyncio.create_task(arbiter.compute(engine, batch_of(rows), priority, deadline=deadline))


def compute_first(
    arbiter: Arbiter, engine: ScriptedEngine, rows: Sequence[Sequence[int]], *, deadline: float
) -> asyncio.Task[Computed]:
    """Starts a request that takes what it can get."""
    return asyncio.create_task(
        arbiter.compute(
            engine, batch_of(rows), Priority.RERANK, deadline=deadline, first_suffice=True
        )
    )


class NumberTokenizer:
    """A text is numbers, and those are its tokens: "3 4" has the ids 3 and 4."""

    fingerprint = "numbers"
    template = PairTemplate(prefix=(0,), separator=(0,), suffix=(0,))
    pad_id = 0

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        return Ragged.from_rows([[int(n) for n in text.split()][:max_tokens] for text in texts])

    def places(self, text: str) -> Int32s:
        spans = [found.span() for found in re.finditer(r"\S+", text)]
        return np.array(spans, np.int32).reshape(-1, 2)

    def pieces(self, text: str, max_chars: int) -> list[str]:
        return re.split(r"(?<=\S)(?= )", text) if len(text) > max_chars else [text]


class NumberPrompt:
    """A prompt whose instruction stands before the query, as numbers; 0 where there is none."""

    takes_instruction = True
    beside_query = ((), ())

    def encode_queries(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        return NumberTokenizer().encode(texts, max_tokens)

    def num_instruction_tokens(self, instruction: str, max_tokens: int) -> int:
        return len(NumberTokenizer().encode([instruction], max_tokens)[0])

    def pair_template(self, instruction: str) -> PairTemplate:
        prefix = tuple(NumberTokenizer().encode([instruction or "0"], 99)[0].tolist())
        return PairTemplate(prefix=prefix, separator=(0,), suffix=(0,))


def scripted_reranker(
    engine: ScriptedEngine,
    *,
    blend: float = 0.0,
    max_passage_tokens: int | None = None,
    prompt: NumberPrompt | None = None,
) -> LoadedReranker:
    """A model of the scripted parts: a pair's logit is the sum of its numbers."""
    spec = ModelSpec(
        id="scripted",
        kind=ModelKind.RERANKER,
        revision="0",
        max_seq_len=MAX_SEQ_LEN,
        max_query_tokens=8,
        max_passage_tokens=max_passage_tokens,
        blend=blend,
    )
    return LoadedReranker(spec, NumberTokenizer(), engine, prompt)
