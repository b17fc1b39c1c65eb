"""What it costs to count what the second pass changes: `python -m twopass.benchmarks.counting`.

Times the two calls that every search makes for it, `effect_of` and `Relevance.searched`, over
orders as a search has them. Seconds are the processor's, so that other work disturbs little. Left
out: a copy of the counts, once a minute for each collection that was searched in it.
"""

import statistics
import time
from collections.abc import Callable
from typing import Annotated

import numpy as np
import typer

from twopass.benchmarks.machine import this_machine
from twopass.server.search.candidates import Candidates
from twopass.server.search.effect import effect_of
from twopass.server.search.ranking import ranked
from twopass.server.search.second_pass import ScoredPairs
from twopass.server.search.types import RetrieveSettings, SearchQuery
from twopass.server.telemetry.relevance import Relevance

_SEARCHES = 2_000


def main(
    candidates: Annotated[
        list[int] | None, typer.Option(help="Candidates of a search; give several.")
    ] = None,
    rounds: Annotated[int, typer.Option(min=3, help="Rounds, of which medians are told.")] = 15,
    seed: Annotated[int, typer.Option(help="Seed of the orders.")] = 0,
) -> None:
    """Print the microseconds of a core that counting takes a search, at ten hits."""
    print("\n".join(this_machine().lines()))
    print(f"{'candidates':>10}  {'core-µs a search':>16}  {'least':>6}  {'most':>6}")
    for number in candidates or [10, 50, 200, 1_000]:
        count = _counting(number, seed)
        taken = [_microseconds(count) for _ in range(rounds)]
        median = statistics.median(taken)
        print(f"{number:>10,}  {median:>16.1f}  {min(taken):>6.1f}  {max(taken):>6.1f}")


def _counting(num_candidates: int, seed: int) -> Callable[[], None]:
    """What a search of so many candidates does to be counted."""
    draw = np.random.default_rng(seed)
    logits = draw.normal(size=num_candidates).astype(np.float32)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    none = np.zeros(num_candidates, np.bool_)
    scored = ScoredPairs(
        logits=logits,
        scores=scores,
        truncated=none,
        num_tokens=0,
        queue_seconds=0.0,
        engine_seconds=0.0,
        is_cached=none,
    )
    order = np.arange(num_candidates, dtype=np.int32)
    first_pass = np.linspace(1, 0, num_candidates, dtype=np.float32)
    ranking = ranked(scored, order, first_pass, 0.3, None)
    candidates = Candidates(order.astype(np.int64), first_pass, order)
    query = SearchQuery(collection="docs", text="a question", retrieve=RetrieveSettings())
    relevance = Relevance()

    def count() -> None:
        relevance.searched(
            "docs",
            "0" * 32,
            retrieve="complete",
            rerank="complete",
            seconds=0.03,
            query_truncated=False,
            answerable=None,
            effect=effect_of(query, candidates, ranking, 0.02),
        )

    return count


def _microseconds(count: Callable[[], None]) -> float:
    began = time.process_time()
    for _ in range(_SEARCHES):
        count()
    return (time.process_time() - began) / _SEARCHES * 1e6


if __name__ == "__main__":
    typer.run(main)
