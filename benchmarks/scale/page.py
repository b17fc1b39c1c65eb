"""`python -m twopass.benchmarks.scale.page`: writes the tables of docs/scale.md anew.

They follow from `constants.json`, `prices.json` and `benchmarks/results/scale.json`, which `make
scale SCALE=--keep` writes; a test holds the page to them.
"""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from twopass.benchmarks.scale.constants import load_constants, load_prices
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


def check_table(rows: list[dict[str, Any]]) -> str:
    """What was predicted of one node, and what was measured."""
    return markdown(
        ("load", "figure", "predicted", "measured", "off by", "others, % of the cores"),
        [
            (
                row["load"],
                row["what"],
                f"{row['predicted']:,.1f}",
                "n/a" if row["measured"] is None else f"{row['measured']:,.1f}",
                "n/a" if row["error"] is None else f"{row['error']:+.1%}",
                f"{row['others'] * 100:.1f}",
            )
            for row in rows
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


def _checked() -> str:
    if not RESULTS.is_file():
        return "Not measured yet: `make scale SCALE=--keep`"
    read = json.loads(RESULTS.read_text(encoding="utf-8"))
    machine = read["machine"]
    where = f"{machine['cpu']}, {machine['num_cores']} cores, at {machine['commit']}"
    return f"{check_table(read['rows'])}\n\n{where}, {read['depth']} candidates reranked."


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
}


def main() -> None:
    """Writes the page."""
    PAGE.write_text(written(PAGE.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main()
