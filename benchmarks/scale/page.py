"""`python -m twopass.benchmarks.scale.page`: writes the tables of docs/scale.md anew.

They follow from `constants.json`, `prices.json` and `benchmarks/results/scale.json`, which `make
scale SCALE=--keep` writes, and from `benchmarks/results/scale_losses.json`, which this command
simulates; a test holds the page to them.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twopass.benchmarks.scale.checking import CORE_MS
from twopass.benchmarks.scale.constants import load_constants, load_prices
from twopass.benchmarks.scale.losses import losses_table, simulate_losses
from twopass.benchmarks.scale.plan import as_table
from twopass.benchmarks.scale.planning import Demand, Design, Device, Planner
from twopass.benchmarks.scale.tables import markdown, short

_ROOT = Path(__file__).resolve().parents[2]
PAGE = _ROOT / "docs/scale.md"
RESULTS = _ROOT / "benchmarks/results/scale.json"
_TABLE = re.compile(
    r"(<!-- table: ([a-z ]+) -->\n)(?:(?!<!-- table: ).)*?(<!-- end of table -->)", re.DOTALL
)
_NUMBERS = (1e6, 1e8, 1e10)


def written(page: str) -> str:
    """The page with its tables as the figures are now."""
    return _TABLE.sub(lambda found: f"{found[1]}{_TABLES[found[2]]()}\n{found[3]}", page)


def check_table(rows: list[dict[str, Any]], tolerance: float) -> str:
    """What was predicted of one node, what was measured, and whether that is near enough."""
    return markdown(
        (
            *("load", "figure", "predicted", "measured", "off by", "in rounds by"),
            *(f"within {tolerance:.0%}", "others, % of the cores", "stolen, %"),
        ),
        [
            (
                row["load"],
                row["what"],
                f"{row['predicted']:,.1f}",
                "n/a" if row["measured"] is None else f"{row['measured']:,.1f}",
                "n/a" if row["error"] is None else f"{row['error']:+.1%}",
                _between(row),
                "yes" if row["error"] is not None and abs(row["error"]) <= tolerance else "no",
                f"{row['others'] * 100:.1f}",
                f"{row['stolen'] * 100:.1f}",
            )
            for row in rows
        ],
    )


def _between(row: dict[str, Any]) -> str:
    """The least and the most error of the rounds."""
    if row["least_error"] is None:
        return "n/a"
    return f"{row['least_error']:+.0%} to {row['most_error']:+.0%}"


def parts_table(parts: list[dict[str, Any]]) -> str:
    """Where the time of a search goes: predicted and measured, a line each for every load."""
    stages = list(dict.fromkeys(part["stage"] for part in parts))
    lines = []
    for load in dict.fromkeys(part["load"] for part in parts):
        mine = {part["stage"]: part for part in parts if part["load"] == load}
        for kind in ("predicted", "measured"):
            values = (f"{mine[stage][kind]:,.1f}" for stage in stages)
            lines.append((load if kind == "predicted" else "", kind, *values))
    heads = (f"{stage}, {'core-ms' if stage == CORE_MS else 'ms'}" for stage in stages)
    return markdown(("load", "", *heads), lines)


def rests_table(rests: list[dict[str, Any]]) -> str:
    """What a search costs by how long the machine had been idle."""
    return markdown(
        (
            *("idle before, ms", "processor time, times", "delay on its way, ms"),
            "delay in the second pass, ms",
        ),
        [
            (
                f"{rest['seconds'] * 1000:,.0f}",
                f"{rest['times']:.2f}",
                f"{rest['front_ms']:.1f}",
                f"{rest['second_ms']:.1f}",
            )
            for rest in rests
        ],
    )


def _planner() -> Planner:
    return Planner(load_constants(), load_prices())


def _plans(**options: Any) -> str:
    planner = _planner()
    numbers, designs = options.pop("numbers", _NUMBERS), options.pop("designs", Design)
    estimates = [
        planner.plan(design, device, Demand(number, **options))
        for number in numbers
        for design in designs
        for device in Device
    ]
    return as_table(estimates, load_prices().currency)


def _costs() -> str:
    """What a search computes, by part."""
    known, planner = load_constants(), _planner()
    rows = [
        ("the call: gRPC, tokenising, order, hits", f"{known['front_core_ms']:.1f}"),
        ("the query, embedded", f"{known['embed_core_ms']:.1f}"),
    ]
    for number, _ in known.first_pass:
        rows.append((f"nearest of {short(number)}", f"{known.nearest_core_ms(number):.1f}"))
    for number, _ in known.first_pass:
        rows.append((f"words of {short(number)}", f"{known.words_core_ms(number):.1f}"))
    rows.append(("token ids of 50 candidates", f"{known['load_core_ms']:.1f}"))
    for depth in (10, 20, 50):
        seconds = planner.second_pass_core_ms(Demand(1e6, depth=depth))
        rows.append((f"second pass of {depth} candidates", f"{seconds:.1f}"))
    return markdown(("part of a search", "core-ms"), rows)


def _constants() -> str:
    """Every constant with its origin."""
    return markdown(
        ("constant", "value", "unit", "known how"),
        [
            (
                name.replace("_", " "),
                f"{figure.value:,.6g}",
                figure.unit,
                f"{figure.kind}{_by(figure.command)}: {figure.where}",
            )
            for name, figure in load_constants().all.items()
        ],
    )


def _by(command: str) -> str:
    """What measured it, as code where it is a command of the tree."""
    if not command:
        return ""
    return f" by `{command}`" if command.startswith(("make", "python")) else f" by {command}"


def _gpu_vectors() -> str:
    """GPUs that find the nearest of all vectors."""
    planner = _planner()
    rows = []
    for number in _NUMBERS:
        count = planner.gpus_that_compare_all(Demand(number))
        held = f"{number * 2 * 384 / 1e9:,.1f}"
        rows.append((short(number), held, str(count) if count else "n/a: more than one holds"))
    return markdown(("vectors of 384 components", "GB in fp16", "H200 for 1,000 searches/s"), rows)


def _kept() -> dict[str, Any] | None:
    """What `make scale SCALE=--keep` has written; None before."""
    if not RESULTS.is_file():
        return None
    kept: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8"))
    return kept if "parts" in kept else None


_NOT_YET = "Not measured yet: `make scale SCALE=--keep`"


def _checked() -> str:
    if (kept := _kept()) is None:
        return _NOT_YET
    machine, tolerance = kept["machine"], kept["tolerance"]
    where = (
        f"{machine['cpu']}, {machine['num_cores']} cores, {', '.join(machine['flags'])}; at "
        f"{machine['commit']}; {kept['depth']} candidates reranked; medians of "
        f"{kept['rounds']} rounds."
    )
    return f"{check_table(kept['rows'], tolerance)}\n\n{where} {_verdict(kept['rows'], tolerance)}"


def _verdict(rows: list[dict[str, Any]], tolerance: float) -> str:
    off = [
        f"{row['what']} at {row['load']}"
        for row in rows
        if row["error"] is None or abs(row["error"]) > tolerance
    ]
    if not off:
        return f"All {len(rows)} figures are within {tolerance:.0%}."
    within = len(rows) - len(off)
    return f"{within} of {len(rows)} figures are within {tolerance:.0%}; not: {'; '.join(off)}."


def _parts() -> str:
    kept = _kept()
    return _NOT_YET if kept is None else parts_table(kept["parts"])


def _rests() -> str:
    kept = _kept()
    if kept is None:
        return _NOT_YET
    constants = kept["constants"]
    return (
        f"{rests_table(constants['rests'])}\n\nA thread that wakes up while all cores compute "
        f"waits {constants['turn_ms'] / 2:.1f} ms in the mean; "
        f"{constants['packing']:.0%} of those that wake up while one is idle wait as well. "
        f"A token costs {constants['core_us_per_token']:.1f} core-µs while all cores compute, "
        f"{constants['alone_us_per_token']:.1f} while one does."
    )


_TABLES: dict[str, Callable[[], str]] = {
    "costs": _costs,
    "constants": _constants,
    "by words and meaning": lambda: _plans(numbers=(1e6, 1e8)),
    "by meaning": lambda: _plans(words=False),
    "ten billion": lambda: "\n\n".join(
        (
            _plans(numbers=(1e10,), designs=(Design.MILVUS,)),
            _plans(numbers=(1e10,), designs=(Design.MILVUS,), part_read=0.01),
        )
    ),
    "gpu vectors": _gpu_vectors,
    "checked": _checked,
    "parts": _parts,
    "rests": _rests,
    "losses": losses_table,
}


def main() -> None:
    """Simulates what goes wrong, and writes the page."""
    simulate_losses()
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
