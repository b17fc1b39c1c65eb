"""What each design does when something goes wrong: simulated, kept for the page."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from twopass.benchmarks.scale.constants import load_constants, load_prices
from twopass.benchmarks.scale.designs import Trouble, simulate
from twopass.benchmarks.scale.planning import Demand, Design, Device, Planner
from twopass.benchmarks.scale.simulation.engines import Straggling
from twopass.benchmarks.scale.tables import markdown

LOSSES = Path(__file__).resolve().parents[1] / "results/scale_losses.json"
DEMAND = Demand(1e6, searches=200.0, depth=50)
_SECONDS, _SEEDS = 10.0, (1, 2, 3)
_STRAGGLING = Straggling(0.01, 10.0)
# In each case the designs that it makes a difference to.
_APART = (Design.ENGINES_APART, Design.POSTGRES, Design.MILVUS)
_CASES: Mapping[str, tuple[Trouble, tuple[Design, ...]]] = {
    "nothing": (Trouble(), tuple(Design)),
    "a machine lost after 3 s": (Trouble(lost_at=3.0), tuple(Design)),
    "1 % stragglers": (Trouble(straggling=_STRAGGLING), _APART),
    "… a second copy asked after 120 ms": (
        Trouble(straggling=_STRAGGLING, hedge_after=0.12),
        (Design.MILVUS,),
    ),
}


def simulate_losses() -> None:
    """Simulates every case, and writes the file that `losses_table` reads."""
    known = load_constants()
    planner = Planner(known, load_prices())
    rows: list[dict[str, Any]] = []
    for case, (trouble, designs) in _CASES.items():
        for design in designs:
            plan = planner.plan(design, Device.CPU, DEMAND)
            if plan.breaks:
                continue
            figures = simulate(
                planner,
                known,
                plan,
                DEMAND.searches,
                seconds=_SECONDS,
                seeds=_SEEDS,
                trouble=trouble,
            )
            rows.append(
                {
                    "case": case,
                    "design": design.value,
                    "p99_ms": figures.p99_ms.mean,
                    "half_width_ms": figures.p99_ms.half_width,
                    "failed": figures.failed.mean,
                }
            )
    LOSSES.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def losses_table() -> str:
    """A row a case, a column a design: the 99th percentile, and what has failed."""
    rows = json.loads(LOSSES.read_text(encoding="utf-8")) if LOSSES.is_file() else []
    cells = {(row["case"], row["design"]): _cell(row) for row in rows}
    return markdown(
        ("p99, ms", *(design.value for design in Design)),
        [(case, *(cells.get((case, design.value), "") for design in Design)) for case in _CASES],
    )


def _cell(row: Mapping[str, Any]) -> str:
    text = f"{row['p99_ms']:,.0f} ± {row['half_width_ms']:,.0f}"
    # Less than one in a thousand is that of the few under way on the lost machine.
    return text + (f", {row['failed']:.0%} fail" if row["failed"] >= 0.005 else "")
