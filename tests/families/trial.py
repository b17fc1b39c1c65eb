"""A form on every engine: opened as a server opens it, computed, and compared."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.engine import Engine, Precision
from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Int32s, Ragged, TokenBatch
from twopass.engines.base.tokenizer import Tokenizer
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.errors import EngineError
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.engines.model.tokenizer import load_tokenizer
from twopass.engines.onnx.engine import OnnxRuntimeEngine
from twopass.engines.transformers.engine import TransformersEngine

from .form import Expected, Form
from .texts import PAIRS, TEXTS

Values = NDArray[np.float32]

# float32 in another order than the reference: outputs are of some units.
F32_DIFFERENCE = 1e-4
# How far an embedding in bfloat16 (8 bits) or int8 (127 steps) may be turned from float32's, as
# 1 - cosine: as in the tests of the engine cpu.
TURN = 0.03
# Root mean square of logits' differences over the deviation of the logits. Those of a random model
# differ little between pairs, so that rounding weighs more than in trained ones, where
# `make gate` measures it; logits of another computation are some 1.4 away.
LOGITS = {"bf16": 0.15, "int8": 0.5}


@dataclass(frozen=True, slots=True)
class Column:
    """An engine in one precision.

    Attributes:
        engine: Its name.
        precision: What it computes in.
        open: Opens a folder.
    """

    engine: str
    precision: str
    open: Callable[[ModelFolder], Engine]

    def __str__(self) -> str:
        """As a column's head."""
        return f"{self.engine} {self.precision}"


COLUMNS = [
    Column("cpu", "f32", lambda f: CpuEngine(f, num_threads=1, precision=Precision.F32)),
    Column("cpu", "bf16", lambda f: CpuEngine(f, num_threads=1, precision=Precision.BF16)),
    Column("cpu", "int8", lambda f: CpuEngine(f, num_threads=1, precision=Precision.INT8)),
    Column("onnxruntime", "f32", lambda f: OnnxRuntimeEngine(f, num_threads=1)),
    Column("torch", "f32", lambda f: TorchEngine(f, device="cpu", precision=Precision.F32)),
    Column("torch", "bf16", lambda f: TorchEngine(f, device="cpu", precision=Precision.BF16)),
    Column("transformers", "f32", lambda f: TransformersEngine(f, device="cpu", num_threads=1)),
]


@dataclass(frozen=True, slots=True)
class Cell:
    """What came of one form on one engine.

    Attributes:
        text: The largest difference, or a word for what happened instead.
        failure: Why it is not as it must be; None where it is.
    """

    text: str
    failure: str | None = None


def try_form(form: Form, folder: Path, columns: list[Column]) -> Iterator[Cell]:
    """Writes a form and yields what each engine makes of it."""
    expected = form.write(folder)
    try:
        opened = open_model(str(folder))
        batch = _batch(opened)
    except EngineError as error:
        cell = _refused(error, form.refusal)
        yield from [cell] * len(columns)
        return
    if expected is None or form.refusal is not None:
        for column in columns:
            yield _refused_by_engine(column, opened, form.refusal)
        return
    if opened.spec.kind is not form.kind:
        yield from [Cell("kind", f"read as {opened.spec.kind}, not {form.kind}")] * len(columns)
        return
    if failure := _token_difference(batch, expected):
        yield from [Cell("tokens", failure)] * len(columns)
        return
    for column in columns:
        yield _computed(column, opened, batch, expected, form.refused_by.get(column.engine))


def _refused(error: EngineError, refusal: str | None) -> Cell:
    if refusal is None:
        return Cell("refused", f"refused: {error}")
    if not re.search(refusal, str(error)):
        return Cell("refused", f"refused, but not by /{refusal}/: {error}")
    return Cell("refused")


def _refused_by_engine(column: Column, folder: ModelFolder, refusal: str | None) -> Cell:
    try:
        column.open(folder).close()
    except EngineError as error:
        return _refused(error, refusal)
    return Cell("taken", f"taken, though it should be refused by /{refusal}/")


def _computed(
    column: Column, folder: ModelFolder, batch: TokenBatch, expected: Expected, refusal: str | None
) -> Cell:
    try:
        engine = column.open(folder)
    except EngineError as error:
        return _refused(error, refusal)
    except Exception as error:  # a row of the table, whatever happened
        return Cell("fails", f"{type(error).__name__}: {error}")
    if refusal is not None:
        return Cell("taken", f"taken, though it should be refused by /{refusal}/")
    try:
        values = engine.submit(batch).result()
    except Exception as error:  # likewise
        return Cell("fails", f"{type(error).__name__}: {error}")
    finally:
        engine.close()
    if values.shape != expected.values.shape:
        return Cell("shape", f"{values.shape}, not {expected.values.shape}")
    if column.precision == "f32":
        difference = float(np.abs(values - expected.values).max())
        allowed = F32_DIFFERENCE
    elif folder.spec.kind is ModelKind.ENCODER:
        difference = float((1 - np.sum(values * expected.values, axis=1)).max())
        allowed = TURN
    else:
        errors = values - expected.values
        difference = float(np.sqrt(np.mean(errors**2)) / expected.values.std())
        allowed = LOGITS[column.precision]
    failure = None if difference < allowed else f"{difference:.2e}, allowed are {allowed:.0e}"
    return Cell(f"{difference:.1e}", failure)


def _batch(folder: ModelFolder) -> TokenBatch:
    """Every text, or every pair, as the server makes them."""
    spec = folder.spec
    if folder.decoder is not None and folder.decoder.layout is not None:
        decoder = DecoderTokenizer(folder.tokenizer, folder.decoder.layout)
        return _pairs(decoder, decoder.encode_queries, spec.max_seq_len)
    tokenizer = load_tokenizer(folder)
    if spec.kind is ModelKind.RERANKER:
        return _pairs(tokenizer, tokenizer.encode, spec.max_seq_len)
    prefixed = tokenizer.after(spec.passage_prefix)
    texts = prefixed.encode(TEXTS, spec.max_seq_len + 1)
    return prefixed.single.assemble(texts, spec.max_seq_len)[0]


def _pairs(
    tokenizer: Tokenizer, encode_queries: Callable[[list[str], int], Ragged], max_seq_len: int
) -> TokenBatch:
    queries = encode_queries([query for query, _ in PAIRS], max_seq_len)
    passages = tokenizer.encode([passage for _, passage in PAIRS], max_seq_len)
    batches = [
        tokenizer.template.assemble(queries[row], passages.rows(row, row + 1), max_seq_len)[0]
        for row in range(len(PAIRS))
    ]
    pairs = Ragged.from_rows([batch.token_ids for batch in batches])
    query_lengths = np.concatenate([batch.query_lengths for batch in batches])
    return TokenBatch(pairs.token_ids, pairs.offsets, query_lengths)


def _token_difference(batch: TokenBatch, expected: Expected) -> str | None:
    rows: list[Int32s] = np.split(batch.token_ids, batch.offsets[1:-1])
    for number, (row, right) in enumerate(zip(rows, expected.token_ids, strict=True)):
        ids = row.tolist()
        if ids != right:
            first = next((i for i, (a, b) in enumerate(zip(ids, right, strict=False)) if a != b), 0)
            return (
                f"sequence {number} has {len(ids)} tokens, {ids[first : first + 5]} from token "
                f"{first} on; {len(right)} and {right[first : first + 5]} are right"
            )
    return None
