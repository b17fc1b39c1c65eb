"""`twopass engine …`: examines and builds what a GPU runs, before there is a GPU at hand."""

import collections
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer

from twopass.commands.options import AsJson, print_json
from twopass.commands.stdlib_docs import passages
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.printable import printable
from twopass.commands.terminal.progress import progress_bar
from twopass.commands.terminal.sentences import say, say_exactly
from twopass.commands.terminal.tables import Table, figures, names, print_table

if TYPE_CHECKING:  # heavy imports wait until a command runs: --help stays quick
    from twopass.engines.base.sequences import TokenBatch
    from twopass.engines.model.folder import ModelFolder

app = typer.Typer(help="Prepare and examine what runs on an NVIDIA GPU.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="A shipped model, a folder, or a hub id.")]


@app.command()
def precision(
    model: Model,
    sets: Annotated[int, typer.Option(help="Candidate sets whose orders are compared.")] = 4,
    candidates: Annotated[int, typer.Option(help="Passages in a set.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare a model in half and in single precision, on the documentation of your own Python.

    Prints the largest activation of each layer beside float16's limit, the largest error of an
    output, and for a reranker Kendall's tau between the orders of each candidate set.
    """
    from twopass.engines.base.model import ModelKind
    from twopass.engines.errors import EngineError
    from twopass.engines.model.folder import open_model
    from twopass.engines.onnx.graph_writer import ComputeType
    from twopass.engines.onnx.half_precision import graph_of, largest_activations, outputs
    from twopass.evaluation.orders import kendall_tau

    try:
        folder = open_model(model)
        single = graph_of(folder, ComputeType.F32)
        half = graph_of(folder, ComputeType.F16)
    except EngineError as error:
        exit_with(error)
    batches = _candidate_sets(folder, sets, candidates)
    exact = [outputs(single, batch) for batch in batches]
    rounded = [outputs(half, batch) for batch in batches]
    largest_error = max(float(np.abs(a - b).max()) for a, b in zip(exact, rounded, strict=True))
    taus = (
        [kendall_tau(a, b) for a, b in zip(exact, rounded, strict=True)]
        if folder.spec.kind is ModelKind.RERANKER
        else []
    )
    activations = largest_activations(single, max(batches, key=lambda batch: batch.num_tokens))
    if as_json:
        print_json(
            {
                "model": folder.spec.id,
                "largest_error": largest_error,
                "kendall_tau": taus,
                "largest_activations": {a.part: a.largest for a in activations},
            }
        )
        return
    measured = figures("largest activation", "of float16's range")
    table = Table([*names("part"), *measured], num_names=1)
    for a in activations:
        table.add(a.part, f"{a.largest:,.1f}", f"{a.share_of_range:.2%}")
    print_table(table)
    say()
    say(f"largest error of an output: {largest_error:.2e}, {sets} sets of {candidates} passages")
    if taus:
        say(f"Kendall's tau of the orders: least {min(taus):.4f}")


def _candidate_sets(folder: "ModelFolder", sets: int, size: int) -> "list[TokenBatch]":
    """Neighbouring passages of the library's documentation, the first one's beginning as query."""
    from twopass.engines.model.tokenizer import load_tokenizer
    from twopass.evaluation.token_batches import token_batch

    tokenizer = load_tokenizer(folder)
    documents = passages()
    stride = max(1, len(documents) // sets)
    batches = []
    for first in range(0, stride * sets, stride):
        chosen = documents[first : first + size]
        texts = [f"{document.title} {document.text}" for document in chosen]
        batches.append(token_batch(folder.spec, tokenizer, chosen[0].text[:80], texts))
    return batches


@app.command()
def build(
    model: Model,
    max_batch_tokens: Annotated[
        int, typer.Option(min=1, help="Most tokens of a forward pass, padding counted.")
    ] = 16_384,
) -> None:
    """Build a model's TensorRT plan ahead of time and keep it in the cache.

    With TensorRT-RTX no GPU is needed, and the plan runs on every GPU that it supports; with
    TensorRT it is built on and for the GPU of this machine.
    """
    from twopass.engines.errors import EngineError
    from twopass.engines.gpu.tensorrt.api import find_tensorrt
    from twopass.engines.gpu.tensorrt.cuda_device import gpu_of
    from twopass.engines.gpu.tensorrt.plan_cache import PlanCache, default_plan_folder
    from twopass.engines.gpu.tensorrt.plans import PlanRequest, build_into
    from twopass.engines.model.folder import open_model

    try:
        folder, tensorrt = open_model(model), find_tensorrt()
        request = PlanRequest(folder, tensorrt, gpu_of(tensorrt), max_batch_tokens)
        with _building(folder.spec.id) as progress:
            plan, file = build_into(PlanCache(default_plan_folder()), request, progress=progress)
    except EngineError as error:
        exit_with(error)
    table = Table(figures("tokens", "tuned for", "at most", "scratch MB"))
    for profile, scratch in zip(request.key.profiles, plan.scratch_bytes, strict=False):
        table.add(
            str(profile.seq_len),
            f"{profile.tuned_batch:,}",
            f"{profile.max_batch:,}",
            f"{scratch / 1e6:.0f}",
        )
    print_table(table)
    say()
    types = collections.Counter(plan.products.values())
    say(
        f"{request.key.tensorrt}, GPU: {request.key.gpu}; matrix products: "
        f"{', '.join(f'{count} {kind}' for kind, count in types.items())}; "
        f"{len(plan.fused_attention)} nodes in fused attention"
    )
    say_exactly(f"{file} ({len(plan.data) / 1e6:.0f} MB)")


@contextmanager
def _building(model: str) -> Iterator[Callable[[str, int, int], None]]:
    """Shows a line with the phase that a build is in."""
    with progress_bar() as line:
        task = line.add_task(printable(model))

        def show(phase: str, done: int, total: int) -> None:
            line.update(
                task, description=printable(f"{model}: {phase}"), completed=done, total=total
            )

        yield show
