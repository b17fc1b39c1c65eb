"""Before and after in one run: the engine torch with one more way to launch after the other."""

import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

from twopass.engines.gpu.launch_paths import LaunchPath, variable_of


@dataclass(frozen=True, slots=True)
class Variant:
    """The engine torch in half precision, launched in some way.

    Attributes:
        name: In reports.
        paths: What is on; all others are off.
    """

    name: str
    paths: tuple[LaunchPath, ...]

    @property
    def environment(self) -> dict[str, str]:
        """The variables that an engine of it, or a server over one, is started with."""
        return {variable_of(path): str(int(path in self.paths)) for path in LaunchPath}


@contextmanager
def environment_of(variables: Mapping[str, str]) -> Iterator[None]:
    """Sets variables in this process, for as long as the block."""
    before = {name: os.environ.get(name) for name in variables}
    os.environ.update(variables)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value


_WORDS = {path: path.value.replace("_", " ").replace("cuda", "CUDA") for path in LaunchPath}


def _added_up() -> Iterator[Variant]:
    paths = tuple(LaunchPath)
    for count in range(len(paths) + 1):
        words = "".join(f", {_WORDS[path]}" for path in paths[:count])
        yield Variant(f"torch fp16{words}", paths[:count])


VARIANTS = tuple(_added_up())
"""From every kernel launched by itself to all there is; each has one path more."""

BEFORE, AFTER = VARIANTS[0], VARIANTS[-1]
