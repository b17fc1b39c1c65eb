"""The engine torch by one launch path after the other: what each is worth, in one run.

`python -m twopass.benchmarks.gpu.launch_paths` prints a table; measuring takes 36 seconds, opening
four engines about as long. `--device cpu` tries the script where there is no GPU.
"""

import argparse
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from statistics import median
from typing import Any

from twopass.benchmarks.gpu.made_pairs import mixed_lengths, pairs_of
from twopass.benchmarks.gpu.speed import padding_share, pairs_per_second
from twopass.engines.base.sequences import TokenBatch
from twopass.engines.gpu.launch_paths import LaunchPath
from twopass.engines.gpu.pytorch.engine import TorchEngine
from twopass.engines.model.folder import ModelFolder, open_model

Row = dict[str, str | float]

SHAPES = ((40, 128), (1, 128), (100, 128), (512, 128))
MIXED_PAIRS, _MAX_TOKENS = 8_000, 512
_TURNS = 3


def compare_launch_paths(
    folder: ModelFolder,
    *,
    device: str = "cuda",
    seconds: float = 0.3,
    shapes: Sequence[tuple[int, int]] = SHAPES,
    mixed_pairs: int = MIXED_PAIRS,
) -> list[Row]:
    """Measures all paths in turns, so that what the device does meanwhile is the same for all.

    Args:
        folder: The model.
        device: As of `TorchEngine`; a CPU has one path.
        seconds: Of each measurement, of which there are 30 a path.
        shapes: Pairs and tokens of each.
        mixed_pairs: Pairs of mixed lengths.

    Returns:
        A row for each path and shape: `paths` as added up, `shape` as pairs x tokens or "mixed",
        `ms` of one batch after another (median), `pairs/s` of as many as overlap, `padding`, and
        `graphs`, 1 where the engine still had them at the end.
    """
    batches = {f"{count} x {tokens}": pairs_of([tokens] * count) for count, tokens in shapes}
    batches["mixed"] = pairs_of(mixed_lengths(mixed_pairs, _MAX_TOKENS))
    paths = list(LaunchPath) if device != "cpu" else []
    with ExitStack() as stack:
        engines = {}
        for count in range(len(paths) + 1):
            engine = TorchEngine(folder, device=device, launch_paths=frozenset(paths[:count]))
            name = "+".join(paths[:count]) or "one by one"
            engines[name] = stack.enter_context(closing(engine))
        return list(_measured(engines, batches, seconds))


def _measured(
    engines: Mapping[str, TorchEngine], batches: Mapping[str, TokenBatch], seconds: float
) -> Iterator[Row]:
    for shape, batch in batches.items():
        for engine in engines.values():
            for _ in range(4):  # a shape that was missed twice is captured when nothing waits
                engine.submit(batch).result()
                time.sleep(0.02)
        times: dict[str, list[float]] = {name: [] for name in engines}
        speeds: dict[str, list[float]] = {name: [] for name in engines}
        for _ in range(_TURNS):
            for name, engine in engines.items():
                times[name].append(_milliseconds(engine, batch, seconds))
                speeds[name].append(pairs_per_second(engine, batch, seconds))
        for name, engine in engines.items():
            yield {
                "paths": name,
                "shape": shape,
                "ms": median(times[name]),
                "pairs/s": median(speeds[name]),
                "padding": padding_share(engine, batch),
                "graphs": float(engine.info.has_graphs),
            }


def _milliseconds(engine: TorchEngine, batch: TokenBatch, seconds: float) -> float:
    """Median time of a batch, each submitted when the one before is there."""
    times: list[float] = []
    end = time.perf_counter() + seconds
    while not times or time.perf_counter() < end:
        began = time.perf_counter()
        engine.submit(batch).result()
        times.append(time.perf_counter() - began)
    return 1e3 * median(times)


def main(argv: Sequence[str] | None = None) -> None:
    """Prints a line for each row."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default="twopass-minilm-l6", help="its name or folder")
    parser.add_argument("--device", default="cuda", help="cuda, cuda:1 or cpu (default: cuda)")
    parser.add_argument("--seconds", type=float, default=0.3, help="of each measurement")
    given = parser.parse_args(argv)
    # A CPU has but one path, and takes long for it.
    few: dict[str, Any] = {"shapes": SHAPES[:2], "mixed_pairs": 8} if given.device == "cpu" else {}
    rows = compare_launch_paths(
        open_model(given.model), device=given.device, seconds=given.seconds, **few
    )
    print(f"{'shape':>10} {'ms':>9} {'pairs/s':>9} {'padding':>8}  paths")
    for row in rows:
        print(
            f"{row['shape']:>10} {row['ms']:9.3f} {row['pairs/s']:9,.0f} {row['padding']:8.1%}  "
            f"{row['paths']}"
        )


if __name__ == "__main__":
    main()
