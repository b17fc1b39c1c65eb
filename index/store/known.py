"""What a store knows of one collection, open or not."""

import threading
from concurrent.futures import Future
from pathlib import Path

from twopass.index.collection.collection import Collection
from twopass.index.collection.summary import CollectionSummary


class KnownCollection:
    """A collection of the data folder.

    Attributes but for the first three are read and changed under the lock of `OpenCollections`.

    Attributes:
        name: Its own name.
        path: Its SQLite file.
        changing: Is held by whoever opens or deletes it, or reads its file while it is closed;
            taken before the lock of `OpenCollections` by who needs both.
        collection: It, where it is open.
        opening: Done when it is open, where it is about to be opened.
        closing: Done when it is closed, where it is being closed.
        summary: What was last known of it, where it is not open.
        failure: Why it could not be opened or deleted; empty where nothing failed.
        retry_time: When opening it may be tried again after a failure, seconds of
            `time.monotonic`.
        num_pins: How many calls use it, or wait for it to be opened.
        is_gone: Whether it is deleted, or is being deleted.
    """

    __slots__ = (
        "changing",
        "closing",
        "collection",
        "failure",
        "is_gone",
        "name",
        "num_pins",
        "opening",
        "path",
        "retry_time",
        "summary",
    )

    def __init__(self, name: str, path: Path) -> None:
        self.name = name
        self.path = path
        self.changing = threading.Lock()
        self.collection: Collection | None = None
        self.opening: Future[Collection] | None = None
        self.closing: Future[None] | None = None
        self.summary: CollectionSummary | None = None
        self.failure = ""
        self.retry_time = 0.0
        self.num_pins = 0
        self.is_gone = False
