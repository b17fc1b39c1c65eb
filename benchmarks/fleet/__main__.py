"""`python -m twopass.benchmarks.fleet`: the speed of many engines, and what a killed one costs."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from twopass.benchmarks.fleet.measuring import Bits, Loss, Throughput, bits, loss, throughput
from twopass.benchmarks.machine import this_machine

# Of the rate that the engines left after a loss can do.
_LOAD_AFTER_LOSS = 0.75


def main() -> None:
    """Measures, and prints tables."""
    options = _options()
    for line in this_machine().lines():
        print(line)
    print(
        f"engines slowed to {options.tokens_per_second:,.0f} tokens a second each; Rerank of 24 "
        "candidates of about 100 tokens; the server in front, the engines and the client share "
        "the machine"
    )
    found = [
        throughput(count, options.tokens_per_second, options.seconds) for count in options.engines
    ]
    _print_throughput(found)
    most = found[-1]
    left = (most.num_engines - 1) / most.num_engines
    cost = None
    if most.num_engines > 1:
        rate = _LOAD_AFTER_LOSS * left * most.requests_per_second
        cost = loss(most.num_engines, options.tokens_per_second, options.seconds, rate)
        _print_loss(cost, rate)
    compared = bits(2, options.sets)
    _print_bits(compared)
    if options.json:
        _write(options.json, found, cost, compared)


def _print_throughput(found: list[Throughput]) -> None:
    print("\nThroughput of a closed loop that keeps all engines busy")
    print("engines  requests/s   pairs/s  of linear  p50 ms  p99 ms  cores in front  failed")
    one = found[0].pairs_per_second / found[0].num_engines
    for each in found:
        linear = each.pairs_per_second / (one * each.num_engines)
        p50, p99 = each.milliseconds
        print(
            f"{each.num_engines:7d}  {each.requests_per_second:10.1f}  {each.pairs_per_second:8.0f}"
            f"  {linear:9.2f}  {p50:6.0f}  {p99:6.0f}  {each.front_cores:14.2f}"
            f"  {sum(each.failures.values()):6d}"
        )


def _print_loss(cost: Loss, rate: float) -> None:
    print(f"\nOne of {cost.num_engines} engines killed (SIGKILL) under {rate:.1f} requests/s")
    print(f"calls {cost.num_calls}, failed {sum(cost.failures.values())} {cost.failures or ''}")
    print("                         p50 ms  p99 ms")
    print(f"before                   {cost.before[0]:6.0f}  {cost.before[1]:6.0f}")
    print(f"in the second after it   {cost.slowed[0]:6.0f}  {cost.slowed[1]:6.0f}")
    print(f"later, with one less     {cost.after[0]:6.0f}  {cost.after[1]:6.0f}")
    print(f"the slowest call that it met: {cost.slowest:.0f} ms")


def _print_bits(compared: Bits) -> None:
    print(
        f"\n{compared.num_logits:,} logits of two engines apart on the engine cpu against one in "
        f"process: {compared.num_different:,} differ in a bit"
    )


def _write(file: Path, found: list[Throughput], cost: Loss | None, compared: Bits) -> None:
    content: dict[str, Any] = {
        "machine": asdict(this_machine()),
        "throughput": [asdict(each) for each in found],
        "loss": None if cost is None else asdict(cost),
        "bits": asdict(compared),
    }
    file.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="twopass.benchmarks.fleet", description=__doc__)
    parser.add_argument("--engines", type=int, nargs="+", default=[1, 2, 4])
    parser.add_argument("--tokens-per-second", type=float, default=10_000.0)
    parser.add_argument("--seconds", type=float, default=20.0, help="of each measurement")
    parser.add_argument("--sets", type=int, default=40, help="candidate sets for the bits")
    parser.add_argument("--json", type=Path, help="write the figures to this file too")
    return parser.parse_args()


if __name__ == "__main__":
    main()
