"""A store in this process, without a server around it."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from twopass._core import available_cpus
from twopass.index.lanes import Lanes
from twopass.index.store.store import CollectionStore
from twopass.index.vectors.merging import MergePolicy


@contextmanager
def own_store(folder: Path, merge_policy: MergePolicy | None = None) -> Iterator[CollectionStore]:
    """Opens a data folder, for as long as the block lasts.

    Args:
        folder: The data folder.
        merge_policy: When a collection's index is merged; None for the default.
    """
    with (
        closing(Lanes.for_cpus(available_cpus())) as lanes,
        CollectionStore(folder, lanes, merge_policy=merge_policy) as store,
    ):
        yield store
