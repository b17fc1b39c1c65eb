"""A whole training: from mined groups to a model folder, unless the model is no better."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twopass.engines.base.model import ModelKind
from twopass.engines.base.sequences import Float32s
from twopass.engines.errors import UnsupportedModelError
from twopass.engines.model.families import read_architecture
from twopass.engines.model.folder import ModelFolder, open_model
from twopass.engines.model.tokenizer import load_tokenizer
from twopass.training.calibration import Fit, fit
from twopass.training.card import Story, card
from twopass.training.computing.cross_encoder import CrossEncoder
from twopass.training.computing.devices import Computing
from twopass.training.examples.tokenized import Examples
from twopass.training.judging import Reading, Verdict, judge
from twopass.training.loop import Progress, TrainingLoop
from twopass.training.measuring import measure
from twopass.training.mined import Mined
from twopass.training.model_files import write_model
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.preparing import split
from twopass.training.reading import read_groups
from twopass.training.teachers import teacher

_MAX_SEQ_LEN = 512


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result of a training.

    Attributes:
        rival: Name of what the model had to beat.
        verdict: Comparison with the rival on held-out queries.
        blend: Default weight of the first pass.
        calibration: Calibration of the scores.
        folder: The model's folder; None where it is no better than its rival.
    """

    rival: str
    verdict: Verdict
    blend: float
    calibration: Fit
    folder: Path | None


def train(
    mined: Mined,
    base: str,
    folder: Path,
    options: TrainingOptions,
    command: str,
    report: Callable[[Progress], None],
    computing: Computing | None = None,
) -> Outcome:
    """Trains, chooses a blend and a calibration, and judges; resumes an interrupted run.

    Of the queries kept from training, every other one chooses and the rest judge.

    Args:
        mined: Questions and candidates.
        base: A shipped model, a folder or a hub id to start from.
        folder: Gets the log, checkpoints, and the model in `model/`.
        options: Options of the training.
        command: The command line, for the card.
        report: Called as training goes on.
        computing: How it is computed; None for the default.

    Raises:
        ModelError: The base or the teacher is missing or damaged.
        TrainingError: There are too few questions, pairs are longer than the base reads, base and
            teacher don't fit, or the training went astray.
    """
    start = open_model(base)
    readable = _readable(start)
    if options.max_tokens > readable:
        raise TrainingError(
            f"max_tokens: {options.max_tokens} given, but {start.spec.id} reads at most {readable} "
            f"tokens; give --max-tokens {readable}"
        )
    tokenizer = load_tokenizer(start)
    passages = tokenizer.encode(list(mined.passages), options.max_tokens)
    training, kept = split(
        mined.groups, options.development_one_in, 2 * options.development_queries
    )
    examples, development, held_out = (
        Examples(passages, groups, tokenizer, options)
        for groups in (training, kept[::2], kept[1::2])
    )
    folder.mkdir(parents=True, exist_ok=True)
    model = CrossEncoder(
        start.path,
        frozen_embeddings=options.frozen_embeddings,
        layers=options.layers,
        pad_id=tokenizer.pad_id,
        computing=computing,
    )
    with teacher(options.teacher, tokenizer) as teach:
        loop = TrainingLoop(model, examples, development, options, folder, teach, computing)
        chosen = loop.run(report)

    best = folder / "best"
    chosen_on = read_groups(best, development)
    blend = chosen.blend
    after = read_groups(best, held_out)
    rival, before = _rival(start, options, development, held_out)
    verdict = judge(held_out.similarity(), before, Reading(after, blend))
    calibration = _calibration(chosen_on, after)
    installed = folder / "model" if verdict.is_better else None
    outcome = Outcome(rival, verdict, blend, calibration, installed)
    if outcome.folder:
        story = Story(
            outcome.folder.parent.name, start.spec.id, rival, command, options, training,
            loop.seconds / 60, chosen.step, blend, calibration, verdict,
        )  # fmt: skip
        write_model(
            outcome.folder,
            trained=best,
            max_seq_len=min(start.spec.max_seq_len, readable)
            if start.spec.kind is ModelKind.RERANKER
            else readable,
            max_passage_tokens=options.max_passage_tokens or options.max_tokens,
            blend=blend,
            calibration=calibration,
            card=card(story),
        )
    return outcome


def _readable(start: ModelFolder) -> int:
    """Tokens of the longest pair that a model of this base reads: its positions, 512 at most."""
    try:
        positions = read_architecture(start.config).max_seq_len
    except UnsupportedModelError:  # of a family that only transformers knows
        positions = start.spec.max_seq_len
    return min(positions, _MAX_SEQ_LEN)


def _rival(
    start: ModelFolder, options: TrainingOptions, development: Examples, held_out: Examples
) -> tuple[str, Reading]:
    """The name of the rival, and its reading of the held-out queries.

    The rival is the base. It is the first pass where the base is an encoder, which has no logits,
    or where layers were dropped: a smaller model is not meant to beat the one it was cut from.
    """
    if options.layers is not None or start.spec.kind is ModelKind.ENCODER:
        return "first pass alone", Reading(held_out.similarity(), 1.0)
    blend = measure(development.similarity(), read_groups(start.path, development), 0).blend
    return start.spec.id, Reading(read_groups(start.path, held_out), blend)


def _calibration(chosen_on: list[Float32s], held_out: list[Float32s]) -> Fit:
    groups = [*chosen_on, *held_out]
    return fit(
        np.concatenate(groups),
        np.concatenate([np.arange(len(logits)) == 0 for logits in groups]),
        np.repeat([False] * len(chosen_on) + [True] * len(held_out), [len(g) for g in groups]),
    )
