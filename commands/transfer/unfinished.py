"""A file that is there when it is whole, and not before."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def unfinished(output: Path) -> Iterator[Path]:
    """A file beside another one, whose name it takes when the block ends well; else it is gone."""
    beside = output.with_name(f".unfinished-{output.name}")
    try:
        yield beside
        beside.replace(output)
    finally:
        beside.unlink(missing_ok=True)
