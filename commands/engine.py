"""`twopass engine …`: what a GPU will run, looked at and built before there is one at hand."""

from typing import TYPE_CHECKING, Annotated

import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from twopass.commands.failures import exit_with
from twopass.commands.options import AsJson, print_json
from twopass.commands.stdlib_docs import passages

if TYPE_CHECKING:  # heavy imports wait until a command runs: --help stays quick
    from twopass.engines.base import TokenBatch
    from twopass.engines.model_folder import ModelFolder

app = typer.Typer(help="Prepare and examine what runs on an NVIDIA GPU.", no_args_is_help=True)

Model = Annotated[str, typer.Argument(help="A shipped model, a folder, or a hub id.")]


@app.command()
def precision(
    model: Model,
    sets: Annotated[int, typer.Option(help="Candidate sets to compare the order of.")] = 4,
    candidates: Annotated[int, typer.Option(help="Passages in a set.")] = 20,
    as_json: AsJson = False,
) -> None:
    """Compare a model in half precision with single, on the documentation of your own Python.

    Prints the largest activation of each layer beside float16's limit, the largest error of an
    output, and for a reranker Kendall's tau between the orders of each candidate set.
    """
    from twopass.engines.base import ModelKind
    from twopass.engines.errors import EngineError
    from twopass.engines.half_precision import graph_of, largest_activations, outputs
    from twopass.engines.model_folder import open_model
    from twopass.engines.onnx_graph import ComputeType
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
    error = max(float(np.abs(a - b).max()) for a, b in zip(exact, rounded, strict=True))
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
                "largest_error": error,
                "kendall_tau": taus,
                "largest_activations": {a.part: a.largest for a in activations},
            }
        )
        return
    table = Table(box=None, header_style="bold")
    table.add_column("part")
    table.add_column("largest activation", justify="right")
    table.add_column("of float16's range", justify="right")
    for a in activations:
        table.add_row(a.part, f"{a.largest:,.1f}", f"{a.share_of_range:.2%}")
    console = Console()
    console.print(table)
    console.print(f"largest error of an output: {error:.2e}, {sets} sets of {candidates} passages")
    if taus:
        console.print(f"Kendall's tau of the orders: least {min(taus):.4f}", highlight=False)


def _candidate_sets(folder: "ModelFolder", sets: int, size: int) -> "list[TokenBatch]":
    """Neighbouring passages of the library's documentation, asked for by the title of one."""
    from twopass.engines.tokenizer import HuggingFaceTokenizer
    from twopass.evaluation.token_batches import token_batch

    tokenizer = HuggingFaceTokenizer(folder.tokenizer)
    documents = passages()
    stride = max(1, len(documents) // sets)
    batches = []
    for first in range(0, stride * sets, stride):
        chosen = documents[first : first + size]
        texts = [f"{document.title} {document.text}" for document in chosen]
        batches.append(token_batch(folder.spec, tokenizer, chosen[0].text[:80], texts))
    return batches
