"""What a store knows about one collection, open or closed."""

import threading
from concurrent.futures import Future
from pathlib import Path

from twopass.index.collection.collection import Collection
from twopass.index.collection_name import CollectionName
from twopass.index.summary import CollectionSummary


class KnownCollection:
    """A collection of the data folder.

    Attributes but for the first four are read and changed under the lock of `OpenCollections`.

    Attributes:
        shared_name: Its own name, as the parts of the open collection hold it.
        path: Its SQLite file. Its folder has the collection's name, or one that it had before.
        changing: Lock of the thread that opens or deletes it, or reads its file while it is closed.
            A thread that needs this lock and that of `OpenCollections` takes this one first.
        collection: The open collection; None while it is closed.
        opening: While it is being opened, a future that is done when it is open.
        closing: While it is being closed, a future that is done when it is closed.
        summary: Its last known description, for while it is closed.
        failure: Why it could not be opened or deleted; empty where nothing failed.
        retry_time: When opening it may be tried again after a failure, seconds of
            `time.monotonic`.
        num_pins: How many pins keep it open: calls that use it or wait for it to be opened.
        is_gone: Whether it is deleted, or is being deleted.
    """

    __slots__ = (
        "changing",
        "closing",
        "collection",
        "failure",
        "is_gone",
        "num_pins",
        "opening",
        "path",
        "retry_time",
        "shared_name",
        "summary",
    )

    def __init__(self, name: str, path: Path) -> None:
        self.shared_name = CollectionName(name)
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

    @property
    def name(self) -> str:
        """Its own name, not an alias."""
        return str(self.shared_name)
