"""What runs a model folder on this machine, and whether it gives what its publisher's library does.

The reference is sentence-transformers in float32 on the CPU, over the same folder.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from twopass.engines.base import (
    EngineChoice,
    Float32s,
    LoadedModel,
    LoadedReranker,
    ModelKind,
    Precision,
)
from twopass.engines.errors import EngineError
from twopass.engines.loading import load_model
from twopass.engines.model.folder import ModelFolder
from twopass.evaluation.orders import kendall_tau

QUERY = "how did Fleming find penicillin?"
# Lengths, scripts, cases and spellings that tokenizers differ in.
PASSAGES = (
    "In 1928 Alexander Fleming came back from a holiday and found a mould on one of his plates.",
    "Around the mould no bacteria grew: it made what he called penicillin.",
    "Penicillin.",
    "The Eiffel Tower is 330 metres tall and was finished in 1889.",
    "A Dutch oven is a thick-walled cooking pot with a tight-fitting lid.",
    "ALL CAPITALS AND numb3rs 4711, e-mail@example.org, https://example.org/a?b=c",
    "Die Entdeckung des Penizillins veränderte die Medizin; Größe zählt nicht.",
    "La pénicilline fut découverte par hasard, dit-on, à l'hôpital Saint Mary.",
    "青霉素是亚历山大·弗莱明在1928年发现的。",
    "Пенициллин был открыт Александром Флемингом.",
    "It was, he wrote, by chance that a spore had drifted in, and by chance that he looked. " * 6,
    "  spaces \t tabs\nand lines  ",
)
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


def reference(folder: ModelFolder) -> NDArray[np.float32] | str:
    """What sentence-transformers gives for the same texts, or why there is nothing to compare."""
    if folder.decoder is not None:
        return "a decoder runs in transformers itself"
    if folder.relevant_label is not None:
        return "sentence-transformers gives both labels' scores, and twopass.json chose one"
    if not folder.weight_files:
        return "there is only an exported graph"
    try:
        import sentence_transformers
    except ImportError:
        return "sentence-transformers is not installed: pip install sentence-transformers"
    spec, path = folder.spec, str(folder.root)
    try:
        if spec.kind is ModelKind.RERANKER:
            import torch

            pairs = [(QUERY, passage) for passage in PASSAGES]
            scorer: Any = sentence_transformers.CrossEncoder(path, device="cpu")
            scorer.float()  # files of float16 are loaded as such
            logits = scorer.predict(pairs, activation_fn=torch.nn.Identity())
            return np.asarray(logits, np.float32).reshape(-1)
        encoder: Any = sentence_transformers.SentenceTransformer(path, device="cpu")
        encoder.float()
        # Prefixes are told, so that both read the same texts whatever names the prompts have.
        query = encoder.encode([QUERY], prompt=spec.query_prefix, normalize_embeddings=True)
        passages = encoder.encode(
            list(PASSAGES), prompt=spec.passage_prefix, normalize_embeddings=True
        )
        return np.concatenate([query, passages]).astype(np.float32)
    except Exception as error:  # whatever another library can fail with
        return f"sentence-transformers does not read the folder ({error})"


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
        query_ids, template = model.read_query(QUERY, spec.max_query_tokens)
        passages = model.tokenizer.encode(PASSAGES, spec.max_seq_len)
        return engine.submit(template.assemble(query_ids, passages, spec.max_seq_len)[0]).result()
    parts = []
    for tokenizer, texts in ((model.query_tokenizer, [QUERY]), (model.passage_tokenizer, PASSAGES)):
        rows = tokenizer.encode(texts, spec.max_seq_len)
        batch, _ = tokenizer.single.assemble(rows, spec.max_seq_len)
        parts.append(engine.submit(batch).result())
    return np.concatenate(parts)
