"""`python -m twopass.benchmarks.training`: how fast a reranker trains, and where the time goes.

Groups are made up, with lengths as those of web passages. Each way of computing the same steps is a
row; a GPU's are measured on it, else the CPU's, where core-seconds matter more than seconds: those
of the process that trains. What processes beside it take is in the table of examples.
"""

import json
import os
import resource
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.gpu.made_pairs import mixed_lengths
from twopass.benchmarks.machine import this_machine
from twopass.engines.base.sequences import Int32s, Ragged
from twopass.engines.model.folder import open_model
from twopass.engines.model.tokenizer import load_tokenizer
from twopass.training.examples.layout import PartSize, lay_out, most_elements
from twopass.training.examples.pool import Steps, prepared_by, prepared_here
from twopass.training.examples.sampling import GroupArrays, StepSampler
from twopass.training.examples.worker import Source
from twopass.training.options import TrainingOptions

Row = dict[str, Any]

_GROUPS, _MEMBERS = 2_000, 30
_QUERY_TOKENS = (6, 18)
# Words of BERT's vocabulary proper.
_FIRST_WORD, _END_OF_WORDS = 2_000, 29_000


@dataclass(frozen=True, slots=True)
class Load:
    """What is trained on.

    Attributes:
        questions: Groups a step.
        negatives: Passages of each beside its answer.
        max_tokens: Longest pair.
        seconds: How long each figure is measured.
    """

    questions: int = 64
    negatives: int = 11
    max_tokens: int = 256
    seconds: float = 3.0

    def options(self) -> TrainingOptions:
        """Options of a training without an end."""
        return TrainingOptions(
            steps=10**6,
            questions=self.questions,
            negatives=self.negatives,
            max_tokens=self.max_tokens,
        )


def sampler_of(load: Load, model: str) -> tuple[StepSampler, int]:
    """Made-up groups for a model, and its token id of padding."""
    rng = np.random.default_rng(0)
    num_passages = _GROUPS * 8
    tokenizer = load_tokenizer(open_model(model))
    members = rng.integers(0, num_passages, (_GROUPS, _MEMBERS))
    groups = GroupArrays(
        ends=np.arange(_GROUPS + 1) * _MEMBERS,
        members=members.flatten(),
        similarity=rng.uniform(0.2, 0.9, members.size),
        sources=np.tile([0, num_passages - 1], (_GROUPS, 1)),
    )
    passages = _made_up(mixed_lengths(num_passages, 512), rng)
    queries = _made_up(rng.integers(*_QUERY_TOKENS, _GROUPS, np.int32), rng)
    sampler = StepSampler(passages, queries, groups, tokenizer.template, load.options())
    return sampler, tokenizer.pad_id


def _made_up(lengths: Int32s, rng: np.random.Generator) -> Ragged:
    offsets = np.zeros(len(lengths) + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    return Ragged(rng.integers(_FIRST_WORD, _END_OF_WORDS, offsets[-1], np.int32), offsets)


def examples_alone(load: Load, model: str) -> list[Row]:
    """What preparing examples takes of one core: sampled, and laid out for a GPU."""
    sampler, pad_id = sampler_of(load, model)
    size = PartSize(262_144, 8, 8_192)
    stages: dict[str, Callable[[int], object]] = {
        "sampled, as token ids": sampler.of_step,
        "sampled and laid out": lambda step: list(lay_out(sampler.of_step(step), size, pad_id)),
    }
    rows = []
    for name, stage in stages.items():
        stage(0)
        began, num_steps = time.process_time(), 0
        while time.process_time() - began < load.seconds / 2:
            num_steps += 1
            stage(num_steps)
        seconds = time.process_time() - began
        num_pairs = num_steps * load.questions * (1 + load.negatives)
        rows.append(
            {
                "examples": name,
                "pairs/s of a core": num_pairs / seconds,
                "core-ms a 1,000 pairs": seconds / num_pairs * 1e6,
            }
        )
    return rows


def training_speed(load: Load, model: str) -> list[Row]:
    """Pairs a second of each way of computing the same steps, and the time of its parts.

    Args:
        load: What is trained on.
        model: A shipped reranker, a folder or a hub id to train.
    """
    return [measured(name, computing, load, model) for name, computing in ways()]


def ways() -> Iterator[tuple[str, Any]]:
    """Ways of computing the same steps on this device: a name, and a `Computing`."""
    # PyTorch looks at it before its first product, and never again: ways whose sums have one order
    # come after one that needs none.
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    import torch

    from twopass.training.computing.devices import Computing

    yield "padded", Computing(workers=0, packed=False, deterministic=False)
    yield "packed, examples in the same process", Computing(workers=0)
    yield "packed", Computing() if torch.cuda.is_available() else Computing(workers=1)
    if torch.cuda.is_available():
        yield "packed, sums in any order", Computing(deterministic=False)
        yield "packed, compiled", Computing(compiled=True)


def same_weights_twice(load: Load, model: str) -> list[Row]:
    """Whether the same steps from the same weights give the same weights, on this device."""
    from twopass.training.computing.devices import Computing

    rows = []
    for deterministic in (True, False):
        ends = []
        for workers in (0, 1):
            run = _Run(load, model, Computing(workers=workers, deterministic=deterministic))
            with closing(run.steps(5)) as steps:
                for number, step in enumerate(steps):
                    run.update(run.on_device(step), number)
            ends.append([p.detach().cpu() for p in run.model.parameters()])
        is_same = all(bool((a == b).all()) for a, b in zip(*ends, strict=True))
        rows.append({"deterministic": deterministic, "same weights after 5 steps": is_same})
    return rows


class _Run:
    """One model, and what updates it."""

    def __init__(self, load: Load, model: str, computing: Any) -> None:
        import torch

        from twopass.training.computing import devices
        from twopass.training.computing.cross_encoder import CrossEncoder
        from twopass.training.computing.update import Update

        torch.manual_seed(0)
        torch.use_deterministic_algorithms(False)
        sampler, pad_id = sampler_of(load, model)
        self._options = load.options()
        self.model = CrossEncoder(
            open_model(model).path, frozen_embeddings=True, pad_id=pad_id, computing=computing
        )
        self.device = self.model.device
        if computing.deterministic:
            devices.use_deterministic_kernels(self.device)
        self._workers = devices.num_workers(self.device, computing.workers)
        self._lock = devices.page_locker(self.device)
        self._size = self.model.part_size(None)
        self._source = Source(sampler, self._size, pad_id)
        self.update = Update(self.model, self._options)
        self._copies = devices.Copies(self.device)

    def steps(self, count: int) -> Steps:
        """The first steps, prepared as a training prepares them."""
        if not self._workers:
            return prepared_here(self._source, range(count))
        most = most_elements(self._options, self._size)
        return prepared_by(self._workers, self._source, range(count), most, self._lock)

    def on_device(self, step: Any) -> Any:
        """A step's parts on the device."""
        tensors = self._copies.to_device([part.array for part in step.parts], step.free)
        return self.model.parts(step.parts, tensors, self._size)

    def wait(self) -> None:
        """Waits until the device has computed what it was asked."""
        import torch

        if self.device.type == "cuda":
            torch.cuda.synchronize()


def measured(name: str, computing: Any, load: Load, model: str) -> Row:
    """Trains for some seconds in one way.

    Args:
        name: Of the way.
        computing: The way, a `Computing`.
        load: What is trained on.
        model: A shipped reranker, a folder or a hub id to train.
    """
    run = _Run(load, model, computing)
    _reset_peak(run)
    waited, num_pairs = 0.0, 0
    with closing(run.steps(10**6)) as steps:
        for number in range(3):  # what is compiled and allocated is not measured
            run.update(run.on_device(next(steps)), number)
        run.wait()
        began, cores = time.monotonic(), time.process_time()
        while time.monotonic() - began < load.seconds or not num_pairs:
            asked = time.monotonic()
            step = next(steps)
            if run.update.is_done():
                waited += time.monotonic() - asked
            num_pairs += step.num_pairs
            number += 1
            run.update(run.on_device(step), number)
        run.wait()
        seconds, cores = time.monotonic() - began, time.process_time() - cores
    return {
        "way": name,
        "pairs/s": num_pairs / seconds,
        "core-s a 1,000 pairs": cores / num_pairs * 1e3,
        "waited for examples": waited / seconds,
        "peak GiB": _peak(run) / 2**30,
    } | _parts(run, load)


def _parts(run: _Run, load: Load) -> Row:
    """Milliseconds of a step that is on the device already: forward, backward, update."""
    with closing(run.steps(1)) as steps:
        parts = run.on_device(next(steps))

    def forward() -> None:
        for _ in run.update.losses(parts):
            pass

    stages: dict[str, Callable[[], object]] = {
        "forward ms": forward,
        "backward ms": lambda: run.update.gradients(parts),
        "update ms": lambda: run.update(parts, 1),
    }
    row, before = {}, 0.0
    for name, stage in stages.items():
        stage()
        run.wait()
        began, times = time.monotonic(), 0
        while not times or time.monotonic() - began < load.seconds / 3:
            stage()
            times += 1
        run.wait()
        each = (time.monotonic() - began) / times * 1e3
        row[name], before = each - before, each
    return row


def _reset_peak(run: _Run) -> None:
    import torch

    if run.device.type == "cuda":
        torch.cuda.reset_peak_memory_stats()
    elif Path("/proc/self/clear_refs").exists():
        Path("/proc/self/clear_refs").write_text("5")  # the peak is counted from now on


def _peak(run: _Run) -> float:
    import torch

    if run.device.type == "cuda":
        return float(torch.cuda.max_memory_allocated())
    status = Path("/proc/self/status")
    if status.exists():
        (line,) = (one for one in status.read_text().splitlines() if one.startswith("VmHWM"))
        return float(line.split()[1]) * 2**10
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss) * 2**10


def main(
    model: Annotated[str, typer.Option(help="What is trained.")] = "twopass-minilm-l6",
    questions: Annotated[int, typer.Option(min=1, help="Groups a step.")] = 64,
    negatives: Annotated[int, typer.Option(min=1, help="Of each group.")] = 11,
    max_tokens: Annotated[int, typer.Option(min=16, max=512, help="Longest pair.")] = 256,
    seconds: Annotated[float, typer.Option(min=0.1, help="For each figure.")] = 3.0,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure how fast a reranker trains on this machine, and where the time goes."""
    load = Load(questions, negatives, max_tokens, seconds)
    report = {
        "machine": this_machine().lines(),
        "device": _device(),
        "examples": examples_alone(load, model),
        "training": training_speed(load, model),
        "twice": same_weights_twice(load, model),
    }
    if as_json:
        print(json.dumps(report, indent=2))
        return
    console = Console(width=None if os.isatty(1) else 200)
    console.print(*report["machine"], report["device"], sep="\n")
    for name in ("examples", "training", "twice"):
        console.print(_table(report[name]))


def _device() -> str:
    import torch

    name = torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"
    return f"{name}, {torch.get_num_threads()} threads, PyTorch {torch.__version__}"


def _table(rows: Any) -> Table:
    table = Table(*rows[0])
    for row in rows:
        table.add_row(*(_cell(value) for value in row.values()))
    return table


def _cell(value: object) -> str:
    return f"{value:,.4g}" if isinstance(value, float) else str(value)


if __name__ == "__main__":
    typer.run(main)
