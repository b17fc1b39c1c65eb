"""What runs a model folder on this machine, and whether it gives what its publisher's library does.

`model_references.py` has what it is compared with.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base.engine import EngineChoice, Precision
from twopass.engines.base.model import LoadedModel, LoadedReranker, ModelKind
from twopass.engines.base.sequences import Float32s
from twopass.engines.errors import EngineError
from twopass.engines.loading import load_model
from twopass.evaluation.model_references import PASSAGES, QUERY
from twopass.evaluation.orders import kendall_tau

# What float32 and half precisions may differ by: sums in another order, 11 and 8 bits.
_TOLERANCES = {"f32": 1e-3, "fp16": 2e-2, "bf16": 1e-1}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One engine, in one precision.

    Attributes:
        engine: Its name.
        precision: Of its products; "" where it did not run.
        refusal: Why it does not run the model here; "" where it does.
        outputs: Logits of the passages with the query, or embeddings of the query and of the
            passages; None where it does not run.
    """

    engine: str
    precision: str
    refusal: str
    outputs: NDArray[np.float32] | None


@dataclass(frozen=True, slots=True)
class Difference:
    """Between an engine's outputs and the reference's.

    Attributes:
        largest: Of a logit or of a component.
        cosine: The least of an embedding; None for rerankers.
        tau: Kendall's, of the orders of the passages; None for encoders.
        within: Whether it is small enough for the precision. Of int8 the cosine is judged, 0.95,
            and no logit: its error depends on how far apart a model's logits are.
    """

    largest: float
    cosine: float | None
    tau: float | None
    within: bool


def attempts(name: str, num_threads: int) -> Iterator[Attempt]:
    """Runs a model on every engine, the core in float32 and in int8, one after the other."""
    for choice in EngineChoice:
        if choice is EngineChoice.AUTO:
            continue
        both = choice is EngineChoice.CPU
        for precision in (Precision.F32, Precision.INT8) if both else (Precision.F32,):
            try:
                model = load_model(
                    name, num_threads=num_threads, engine=choice, precision=precision
                )
            except EngineError as error:
                yield Attempt(choice.value, "", str(error), None)
                break
            try:
                yield Attempt(choice.value, model.engine.info.precision, "", _outputs(model))
            except EngineError as error:
                yield Attempt(choice.value, model.engine.info.precision, str(error), None)
            finally:
                model.engine.close()


def difference(attempt: Attempt, expected: NDArray[np.float32], kind: ModelKind) -> Difference:
    """How far an engine's outputs are from the reference's."""
    found = attempt.outputs
    assert found is not None
    if found.shape != expected.shape:
        return Difference(float("inf"), None, None, within=False)
    largest = float(np.abs(found - expected).max())
    tolerance = _TOLERANCES.get(attempt.precision)
    if kind is ModelKind.RERANKER:
        scale = max(1.0, float(np.abs(expected).max()))
        within = tolerance is None or largest <= tolerance * scale
        return Difference(largest, None, kendall_tau(expected, found), within)
    cosine = float((found * expected).sum(axis=1).min())
    within = cosine >= 0.95 if tolerance is None else largest <= tolerance
    return Difference(largest, cosine, None, within)


def _outputs(model: LoadedModel) -> Float32s:
    spec, engine = model.spec, model.engine
    if isinstance(model, LoadedReranker):
        asked = model.read_query(QUERY)
        passages = model.tokenizer.encode(PASSAGES, spec.max_seq_len)
        pairs, _ = asked.template.assemble(asked.token_ids, passages, spec.max_seq_len)
        return engine.submit(pairs).result()
    parts = []
    for tokenizer, texts in ((model.query_tokenizer, [QUERY]), (model.passage_tokenizer, PASSAGES)):
        rows = tokenizer.encode(texts, spec.max_seq_len)
        batch, _ = tokenizer.single.assemble(rows, spec.max_seq_len)
        parts.append(engine.submit(batch).result())
    return np.concatenate(parts)
