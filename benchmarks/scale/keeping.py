"""Writes what `make scale` has measured into the committed constants."""

import json

from twopass.benchmarks.machine import this_machine
from twopass.benchmarks.scale.constants import CONSTANTS_FILE
from twopass.benchmarks.scale.measuring import Ingest
from twopass.benchmarks.scale.node_constants import NodeConstants


def keep_constants(constants: NodeConstants, ingest: Ingest) -> str:
    """Writes constants into the committed file, with the machine and the commit.

    Plans are made with prices of machines of one kind, so constants of another processor are not
    mixed with them.

    Returns:
        What was done, in words.
    """
    read = json.loads(CONSTANTS_FILE.read_text(encoding="utf-8"))
    machine = this_machine()
    if machine.cpu != read["cpu"]:
        return (
            f"constants.json stays as it is: it is of {read['cpu']}, and this is {machine.cpu}; "
            "change its cpu to replace what make scale measures"
        )
    where = f"{machine.cpu}, {machine.num_cores} cores, at {machine.commit or 'no commit'}"
    for name, value in values_of(constants, ingest).items():
        figure = read["constants"][name]
        figure["value"] = float(f"{value:.3g}")
        figure["where"] = f"{figure['where'].partition('; ')[0]}; {where}"
    CONSTANTS_FILE.write_text(json.dumps(read, indent=2) + "\n", encoding="utf-8")
    return f"constants.json has what was measured on {where}"


def values_of(constants: NodeConstants, ingest: Ingest) -> dict[str, float]:
    """The constants of the plan that follow from those of a node."""
    part, depth = constants.working_part, len(constants.rerank_lengths[0])
    stages = constants.retrieve_ms + constants.load_ms + constants.embed_ms
    return {
        "front_core_ms": constants.front_core_ms - part * stages,
        "embed_core_ms": part * constants.embed_ms,
        "load_core_ms": part * constants.load_ms * 50 / depth,
        "client_core_ms": constants.client_core_ms,
        "ingest_core_ms": ingest.core_ms,
        "rerank_core_us_per_token": constants.core_us_per_token,
        "tokens_per_pair": constants.mean_tokens / depth,
    }
