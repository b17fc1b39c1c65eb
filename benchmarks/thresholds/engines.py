"""Whether a threshold decides alike on every engine, in every precision and in any batch."""

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.engine import EngineChoice, Precision
from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.loading import load_model

_REFERENCE = "cpu int8, 32 in a batch"


@dataclass(frozen=True, slots=True, eq=False)
class Decisions:
    """How the decisions of one way to compute differ from the reference's.

    Attributes:
        way: The engine, its precision and its batches.
        num_changed: Pairs that are accepted by one of the two alone.
        num_pairs: All of them.
        largest: The largest difference of two scores.
        typical: The median of all differences.
    """

    way: str
    num_changed: int
    num_pairs: int
    largest: float
    typical: float


def decisions(
    reranker: str,
    pairs: Sequence[tuple[str, str]],
    thresholds: NDArray[np.float32],
    tell: Callable[[str], None],
) -> list[Decisions]:
    """Scores pairs in every way that is at hand; the first is the reference.

    Args:
        reranker: A shipped model or a folder.
        pairs: Queries and passages.
        thresholds: The one that each pair is decided by, float32 `[num_pairs]`.
        tell: Called with what is done now.
    """
    ways: list[tuple[str, EngineChoice, Precision, Sequence[int]]] = [
        (_REFERENCE, EngineChoice.CPU, Precision.INT8, [32]),
        ("cpu int8, each alone", EngineChoice.CPU, Precision.INT8, [1]),
        ("cpu int8, 7 to 128 in a batch", EngineChoice.CPU, Precision.INT8, [7, 128, 31, 64]),
        ("cpu bf16", EngineChoice.CPU, Precision.BF16, [32]),
        ("cpu f32", EngineChoice.CPU, Precision.F32, [32]),
    ]
    if importlib.util.find_spec("onnxruntime") is not None:
        ways += [
            ("onnxruntime f32", EngineChoice.ONNXRUNTIME, Precision.F32, [32]),
            ("onnxruntime f32, each alone", EngineChoice.ONNXRUNTIME, Precision.F32, [1]),
        ]
    told: list[Decisions] = []
    reference: Float32s | None = None
    for way, engine, precision, sizes in ways:
        tell(f"{len(pairs):,} pairs: {way}")
        scores = _scores(reranker, engine, precision, pairs, sizes)
        reference = scores if reference is None else reference
        apart = abs(scores - reference)
        told.append(
            Decisions(
                way,
                int(((scores >= thresholds) != (reference >= thresholds)).sum()),
                len(pairs),
                float(apart.max()),
                float(np.median(apart)),
            )
        )
    return told


def _scores(
    name: str,
    engine: EngineChoice,
    precision: Precision,
    pairs: Sequence[tuple[str, str]],
    sizes: Sequence[int],
) -> Float32s:
    """Scores of pairs in batches of these sizes, in turn, whatever their queries."""
    # One thread: what is compared does not depend on it, and busy machines let few run at once.
    loaded = load_model(name, num_threads=1, engine=engine, precision=precision)
    assert isinstance(loaded, LoadedReranker)
    try:
        rows = _rows(loaded, pairs)
        logits: list[Float32s] = []
        start = turn = 0
        while start < len(rows):
            size = sizes[turn % len(sizes)]
            logits.append(loaded.engine.submit(_together(rows[start : start + size])).result())
            start, turn = start + size, turn + 1
        return loaded.spec.calibration.score(np.concatenate(logits))
    finally:
        loaded.engine.close()


def _rows(loaded: LoadedReranker, pairs: Sequence[tuple[str, str]]) -> list[TokenBatch]:
    """Each pair as a batch of its own."""
    most = loaded.engine.info.max_seq_len
    passages = loaded.tokenizer.encode(
        [text for _, text in pairs], loaded.spec.max_passage_tokens or most
    )
    rows = []
    for place, (query, _) in enumerate(pairs):
        asked = loaded.read_query(query)
        row, _ = asked.template.assemble(asked.token_ids, passages.rows(place, place + 1), most)
        rows.append(row)
    return rows


def _together(rows: Sequence[TokenBatch]) -> TokenBatch:
    lengths = [len(row.token_ids) for row in rows]
    return TokenBatch(
        np.concatenate([row.token_ids for row in rows]),
        np.concatenate([[0], np.cumsum(lengths)]).astype(np.int32),
        np.concatenate([row.query_lengths for row in rows]),
    )
