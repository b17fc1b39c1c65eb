"""`python -m twopass.benchmarks.tuning`: tunes test collections on one half of their queries."""

import argparse
import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

from twopass.benchmarks.machine import this_machine
from twopass.client import Client
from twopass.evaluation.datasets import Dataset, DatasetError, Part, load_dataset
from twopass.evaluation.progress import progress_bars
from twopass.evaluation.runs import Advance, index_dataset
from twopass.evaluation.tuning.choice import Aim
from twopass.evaluation.tuning.picture import frontier_svg
from twopass.evaluation.tuning.run import Tuned, Tuning, Wanted
from twopass.evaluation.tuning.trial import Check
from twopass.server.config import ServerConfig
from twopass.server.local import LocalServer

_RERANKERS = ("twopass-minilm-l3", "twopass-minilm-l6")


def main() -> None:
    """Tunes each collection, and prints what the other half says."""
    options = _options()
    for line in this_machine().lines():
        print(line)
    print(
        f"at most {options.max_queries} queries a half; {', '.join(options.reranker)}; "
        f"depths and k {', '.join(map(str, options.depth))}"
    )
    datasets = [_both_halves(folder, options.max_queries) for folder in options.folders]
    flags = _flags(options.reranker, datasets)
    found: list[tuple[str, Tuned]] = []
    with LocalServer(options.data, flags=flags) as server, Client(server.target) as client:
        for dataset in datasets:
            with _bar(f"{dataset.name}: indexing", len(dataset.documents)) as advance:
                name = index_dataset(client, dataset, _steps(advance))
            tuned = _tuned(client, replace(dataset, documents=(), collection=name), options)
            found.append((dataset.name, tuned))
    _print(found)
    if options.pictures:
        options.pictures.mkdir(parents=True, exist_ok=True)
        for name, tuned in found:
            named = replace(tuned.plan.collection, name=name)
            drawn = replace(tuned, plan=replace(tuned.plan, collection=named))
            (options.pictures / f"{name}.svg").write_text(frontier_svg(drawn), encoding="utf-8")
    if options.json:
        rows = [_row(name, tuned) for name, tuned in found]
        options.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="twopass.benchmarks.tuning", description=__doc__)
    parser.add_argument("folders", nargs="+", type=Path, help="test collections in BEIR form")
    parser.add_argument("--max-queries", type=int, default=100, help="most queries of a half")
    parser.add_argument("--depth", type=int, nargs="+", default=[10, 20, 50], help="depths and k")
    parser.add_argument("--reranker", nargs="+", default=list(_RERANKERS), help="candidates")
    parser.add_argument("--data", type=Path, help="keep indexed corpora, lists and logits here")
    parser.add_argument("--budget-ms", type=float, help="choose within so many milliseconds")
    parser.add_argument("--margin", type=float, default=Aim().margin, help="nDCG@10 to give away")
    parser.add_argument("--timed", type=int, default=20, help="queries that time the frontier")
    parser.add_argument("--pictures", type=Path, help="folder for a picture of each set")
    parser.add_argument("--json", type=Path, help="file for all that was found")
    return parser.parse_args()


def _both_halves(folder: Path, most: int) -> Dataset:
    """The first queries of either half."""
    halves = []
    for part in (Part.DEVELOPMENT, Part.HELD_OUT):
        try:
            halves.append(load_dataset(folder, most, part))
        except DatasetError as error:
            raise SystemExit(f"error: {error}") from error
    first, second = halves
    return replace(
        first,
        queries={**first.queries, **second.queries},
        qrels={**first.qrels, **second.qrels},
    )


def _flags(rerankers: Sequence[str], datasets: Sequence[Dataset]) -> tuple[str, ...]:
    usual = ServerConfig()
    longest = max(len(text.encode()) for one in datasets for text in one.queries.values())
    more = [
        flag for name in rerankers if name != usual.reranker for flag in ("--more-models", name)
    ]
    return (*more, "--max-query-bytes", str(max(longest, usual.max_query_bytes)))


def _tuned(client: Client, dataset: Dataset, options: argparse.Namespace) -> Tuned:
    wanted = Wanted(
        depths=sorted(options.depth),
        rerankers=options.reranker,
        aim=Aim(budget_ms=options.budget_ms, margin=options.margin),
        check=Check.HALVES,
        num_timed=options.timed,
        kept=None if options.data is None else options.data / "read",
    )
    tuning = Tuning(client, dataset, wanted)
    return tuning.run(tuning.planned(), lambda told, total: _bar(f"{dataset.name}: {told}", total))


@contextmanager
def _bar(description: str, total: int) -> Iterator[Advance]:
    with progress_bars() as progress:
        task = progress.add_task(description, total=total)
        yield lambda done: progress.advance(task, done)


def _steps(advance: Advance) -> Advance:
    """Advances by what was added since the call before."""
    so_far = 0

    def to(done: int) -> None:
        nonlocal so_far
        advance(done - so_far)
        so_far = done

    return to


def _print(found: Sequence[tuple[str, Tuned]]) -> None:
    print(
        "\nset                queries  defaults  chosen    gain    95 % interval      p  "
        "ms before  ms after  same hits  pairs read  seconds"
    )
    for name, tuned in found:
        gain, times = tuned.tried.gain, tuned.times
        before, after = times[tuned.plan.defaults], times[tuned.tried.choice.settings]
        print(
            f"{name:18} {gain.num_queries:7,}  {gain.before:8.3f}  {gain.after:6.3f}  "
            f"{gain.gain:+6.3f}  {gain.low:+.3f} to {gain.high:+.3f}  {gain.p_value:5.3f}  "
            f"{before.milliseconds:9.1f}  {after.milliseconds:8.1f}  {after.agreement or 0:9.0%}  "
            f"{tuned.num_pairs:10,}  {tuned.seconds:7.0f}"
        )
    for name, tuned in found:
        choice = tuned.tried.choice
        verdict = tuned.tried.kept_back or choice.reason
        print(f"{name}: {choice.settings.told()} ({verdict})")
        print(
            f"    best of {choice.num_ways:,}: {choice.best.told()}, {choice.gain_of_best:+.3f}, "
            f"p {choice.p_of_best:.4f}"
        )


def _row(name: str, tuned: Tuned) -> dict[str, Any]:
    choice = tuned.tried.choice
    return {
        "set": name,
        "queries": tuned.plan.num_queries,
        "defaults": tuned.plan.defaults.as_json(),
        "chosen": choice.settings.as_json(),
        "reason": choice.reason,
        "kept_back": tuned.tried.kept_back,
        "held_out": asdict(tuned.tried.gain),
        "num_ways": choice.num_ways,
        "p_of_best": choice.p_of_best,
        "seconds": tuned.seconds,
        "num_pairs": tuned.num_pairs,
        "ways": [
            {
                **way.as_json(),
                "ndcg": ndcg,
                "ms": tuned.milliseconds[way],
                "is_measured": way in tuned.times,
            }
            for way, ndcg in tuned.qualities.items()
        ],
    }


if __name__ == "__main__":
    main()
