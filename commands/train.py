"""`twopass train`: trains a better reranker from your own pairs."""

import importlib.util
import shlex
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import MofNCompleteColumn, Progress, TaskProgressColumn

from twopass.client import TwopassError
from twopass.commands.terminal.consoles import literal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import progress_bar
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.engines.errors import EngineError
from twopass.engines.installing import how_to_install
from twopass.server.local import LocalServerError
from twopass.training.mined import Mined, read_mined, write_mined
from twopass.training.mining import Advance, MiningOptions
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.preparing import mine_files
from twopass.training.recipe import Recipe, hold_to

_DEFAULTS = TrainingOptions()
# Where a device waits longer for its examples, more `--workers` would help.
_MUCH_WAITING = 0.05


def train(
    pairs: Annotated[
        list[Path],
        typer.Argument(
            help="Files of pairs, JSON lines: {query, positive, negatives?}. .gz or not. Negatives "
            "are mined among the passages of the same file, by the dense and the lexical search."
        ),
    ],
    out: Annotated[
        Path,
        typer.Option(help="Folder of the run. The same command goes on where it was stopped."),
    ],
    base: Annotated[
        str, typer.Option(help="What to start from: a shipped model, a folder or a hub id.")
    ] = "twopass-minilm-l6",
    encoder: Annotated[str, typer.Option(help="Encoder of the first pass.")] = "all-MiniLM-L6-v2",
    shares: Annotated[
        list[str] | None,
        typer.Option(
            "--share",
            metavar="PATTERN=SHARE",
            help="Take only a share of the pairs of files whose name matches: 'openstax*=0.3'.",
        ),
    ] = None,
    steps: Annotated[int, typer.Option(min=1, help="Updates of the weights.")] = _DEFAULTS.steps,
    questions: Annotated[int, typer.Option(min=1, help="Questions a step.")] = _DEFAULTS.questions,
    negatives: Annotated[
        int, typer.Option(min=1, help="Negatives for each question, beside its answer.")
    ] = _DEFAULTS.negatives,
    max_tokens: Annotated[
        int, typer.Option(min=16, max=512, help="Longest pair; longer passages are cut.")
    ] = _DEFAULTS.max_tokens,
    max_passage_tokens: Annotated[
        int | None,
        typer.Option(
            min=16,
            help="Most tokens of a passage that a server will read at once; unset: --max-tokens.",
        ),
    ] = _DEFAULTS.max_passage_tokens,
    tokens_a_part: Annotated[
        int | None,
        typer.Option(
            min=512,
            help="Most tokens computed at once, which bounds memory; unset: 4,096 on a CPU, about "
            "1 GiB for the shipped size, and on a GPU what takes half of its memory.",
        ),
    ] = _DEFAULTS.tokens_a_part,
    learning_rate: Annotated[
        float, typer.Option(min=0, help="The highest learning rate.")
    ] = _DEFAULTS.learning_rate,
    layers: Annotated[
        int | None,
        typer.Option(min=1, help="Keep only this many of the base's layers; unset: all."),
    ] = _DEFAULTS.layers,
    teacher: Annotated[
        str | None,
        typer.Option(help="A reranker to learn from beside the answers; unset: the first pass."),
    ] = _DEFAULTS.teacher,
    teacher_weight: Annotated[
        float,
        typer.Option(min=0, max=1, help="How much the teacher's order counts beside the answer."),
    ] = _DEFAULTS.teacher_weight,
    measure_every: Annotated[
        int, typer.Option(min=1, help="Steps between measurements; each writes a checkpoint.")
    ] = _DEFAULTS.measure_every,
    seed: Annotated[int, typer.Option(help="Seed of every random choice.")] = _DEFAULTS.seed,
    workers: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=64,
            help="Processes that prepare examples beside the one that trains; any number gives the "
            "same weights. Unset: up to 4 beside a GPU, none beside a CPU.",
        ),
    ] = None,
    deterministic: Annotated[
        bool,
        typer.Option(
            help="The same weights from the same seed on the same device. Without, a GPU's "
            "backward pass is faster, and its sums differ from run to run.",
        ),
    ] = True,
    compiled: Annotated[
        bool,
        typer.Option(
            "--compile/--no-compile",
            help="Compile what stands between attentions (torch.compile): fewer passes over a "
            "GPU's memory, after a minute at the start. Needs a C compiler.",
        ),
    ] = False,
) -> None:
    """Train a reranker on question-passage pairs, and say whether it helped.

    Needs PyTorch and transformers, the extra training. A GPU is used where there is one.

    One query in 50 is kept from training. Half of these choose the blend with the first pass, the
    calibration and the best moment to stop; on the other half the result is compared with its
    base, or with --layers with the first pass alone. OUT/model is written only if it is better
    there (p < 0.05).
    """
    missing = [name for name in ("torch", "transformers") if not importlib.util.find_spec(name)]
    if missing:
        exit_with(f"{' and '.join(missing)} not installed: {how_to_install('training')}")
    options = TrainingOptions(
        steps=steps,
        questions=questions,
        negatives=negatives,
        max_tokens=max_tokens,
        max_passage_tokens=max_passage_tokens,
        tokens_a_part=tokens_a_part,
        learning_rate=learning_rate,
        layers=layers,
        teacher=teacher,
        teacher_weight=teacher_weight,
        measure_every=measure_every,
        seed=seed,
    )
    wanted = _shares(shares or [])
    try:
        hold_to(Recipe.of(pairs, wanted, encoder, base, options), out)
        mined = _mined(pairs, wanted, encoder, seed, out / "mined")
        computing = {"workers": workers, "deterministic": deterministic, "compiled": compiled}
        _train(mined, base, out, options, computing)
    except (TrainingError, EngineError, LocalServerError, TwopassError) as error:
        exit_with(error)


def _train(
    mined: Mined, base: str, out: Path, options: TrainingOptions, computing: dict[str, Any]
) -> None:
    from twopass.training import loop, run  # the extra's packages
    from twopass.training.computing import devices

    with _bars() as bars:
        bar = bars.add_task("training", total=options.steps)

        def report(progress: loop.Progress) -> None:
            best = f", best nDCG@10 {progress.best.ndcg:.4f}" if progress.best else ""
            waits = ""
            if progress.waited > _MUCH_WAITING:
                waits = f", {progress.waited:.0%} of the time waiting for examples"
            bars.update(
                bar,
                completed=progress.step,
                description=f"loss {progress.loss:.3f}, {progress.pairs_per_second:.0f} pairs/s"
                f"{waits}{best}",
            )

        command = shlex.join(["twopass", *sys.argv[1:]])
        outcome = run.train(
            mined, base, out, options, command, report, devices.Computing(**computing)
        )
    verdict, fit = outcome.verdict, outcome.calibration
    say(
        f"nDCG@10 on {verdict.num_queries:,} held-out queries: "
        f"first pass {verdict.first_pass:.4f}, "
        f"{outcome.rival} {verdict.rival:.4f}, trained {verdict.trained:.4f} "
        f"(p = {verdict.p_value:.4f})\n"
        f"blend {outcome.blend:g}; "
        f"calibration error {fit.error_before:.4f} before, {fit.error_after:.4f} after"
    )
    if outcome.folder is None:
        exit_with(f"not significantly better than {outcome.rival}: no model was written")
    folder = shlex.quote(str(outcome.folder))
    say_exactly(literal(f"{outcome.folder}: twopass serve --reranker {folder}"))


def _mined(
    files: list[Path], shares: dict[str, float], encoder: str, seed: int, folder: Path
) -> Mined:
    """Mines negatives, or reads those that an earlier run mined."""
    earlier = read_mined(folder)
    if earlier is not None:
        say(f"{folder}: {len(earlier.groups):,} questions mined by an earlier run")
        return earlier
    with _bars() as bars:

        def report(name: str, size: int) -> Advance:
            bar = bars.add_task(printable(name), total=size)
            return lambda done: bars.advance(bar, done)

        mined = mine_files(
            files, shares, encoder=encoder, seed=seed, options=MiningOptions(), report=report
        )
    write_mined(mined, folder)
    return mined


def _shares(given: list[str]) -> dict[str, float]:
    shares = {}
    for text in given:
        pattern, _, share = text.rpartition("=")
        try:
            shares[pattern] = float(share)
        except ValueError:
            shares[pattern] = -1.0
        if not pattern or not 0 <= shares[pattern] <= 1:
            exit_with(f"--share {text}: PATTERN=SHARE is needed, the share from 0 to 1")
    return shares


@contextmanager
def _bars() -> Iterator[Progress]:
    with progress_bar(MofNCompleteColumn(), TaskProgressColumn(), transient=False) as bars:
        yield bars
