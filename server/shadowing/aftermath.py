"""What follows an answer: what it showed is remembered, and shadows are drawn for it."""

import json

from twopass.index.base.store import FeedbackStoreMaker, Store
from twopass.index.feedback import FeedbackStore
from twopass.index.lanes import Lane
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.errors import UnknownModelError
from twopass.server.feedback.database import FeedbackDatabase
from twopass.server.feedback.in_folder import FeedbackInFolder
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.feedback.sums import SumsInMemory, SumsStore
from twopass.server.search.observing import Answered
from twopass.server.shadow_spec import ShadowSpec, parse_shadow
from twopass.server.shadowing.reordering import Reordering, ShadowParts
from twopass.server.shadowing.shadowing import Shadowing


class Aftermath:
    """Observes searches for feedback and shadows, and follows collections."""

    def __init__(self, records: FeedbackRecords) -> None:
        self._records = records
        self.shadowing: Shadowing | None = None

    def answered(self, answered: Answered) -> str:
        """Remembers what an answer shows and draws shadows for it; returns its id."""
        search_id = self._records.answered(answered)
        if self.shadowing is not None and self.shadowing.specs:
            self.shadowing.draw(answered, search_id)
        return search_id

    async def start(self) -> None:
        """Reads what was kept, and begins to compare.

        Raises:
            StorageError: It can't be read.
        """
        await self._records.open()
        if self.shadowing is not None:
            await self.shadowing.start()
            self._records.on_feedback = self.shadowing.feedback_came

    async def close(self) -> None:
        """Ends comparing, and writes what is summed up."""
        if self.shadowing is not None:
            await self.shadowing.close()

    async def collection_gone(self, collection: str) -> None:
        """Forgets a collection that was deleted, or that is about to be made anew."""
        if self.shadowing is not None:
            self.shadowing.collection_gone(collection)
        await self._records.collection_gone(collection)

    async def collection_renamed(self, name: str, new_name: str) -> None:
        """Keeps what belongs to a collection under its new name."""
        if self.shadowing is not None:
            self.shadowing.collection_renamed(name, new_name)
        await self._records.collection_renamed(name, new_name)


def open_feedback(config: ServerConfig, store: Store, lane: Lane) -> FeedbackRecords:
    """Where feedback is kept, by the settings.

    Args:
        config: The settings.
        store: What keeps the collections; on other machines it may keep their feedback too.
        lane: One thread for the file in the data folder.
    """
    limits = {"max_rows": config.feedback_max_rows, "max_days": config.feedback_max_days}
    why_not = ""
    kept: FeedbackStore | None = None
    sums: SumsStore | None = None
    if not config.feedback_max_rows:
        why_not = "none is kept, since feedback_max_rows is 0; start the server with another number"
    elif not config.store:
        kept = sums = FeedbackInFolder(FeedbackDatabase(config.data, **limits), lane)
    elif isinstance(store, FeedbackStoreMaker):
        kept, sums = store.feedback(**limits), SumsInMemory()
    else:
        why_not = (
            f"not kept by the store {store.kind}, and a server on it keeps nothing of its own; "
            "keep what was clicked where you keep what was asked, as a table of query, document "
            "and grade, which `twopass eval` and `twopass tune` read; or keep the collections in "
            "PostgreSQL (store) or in a folder (data)"
        )
    return FeedbackRecords(
        kept,
        sums,
        shown_bytes=config.feedback_shown_bytes,
        keeps_texts=config.feedback_texts,
        why_not=why_not,
    )


def open_shadowing(config: ServerConfig, parts: ShadowParts, records: FeedbackRecords) -> Shadowing:
    """The shadows of the settings.

    Args:
        config: The settings.
        parts: What shadows work with.
        records: What was shown, and the feedback on it.

    Raises:
        ConfigError: The server does not hold a shadow's model.
    """
    specs = [parse_shadow(text) for text in config.shadow]
    return Shadowing(
        specs,
        [_definition(spec, parts) for spec in specs],
        Reordering(parts),
        records,
        settle_seconds=config.feedback_settle_seconds,
    )


def _definition(spec: ShadowSpec, parts: ShadowParts) -> str:
    """What a shadow is and is compared with: sums over anything else are other sums."""
    try:
        shadow = parts.models.reranker(spec.reranker)
    except UnknownModelError as error:
        raise ConfigError(f"shadow: {spec.name}: {error}; add the model to more_models") from error
    live = parts.models.reranker()
    return json.dumps(
        {
            "reranker": shadow.spec.revision if spec.reranker else "",
            "depth": spec.depth,
            "blend": spec.blend,
            "live": live.spec.revision,
        },
        sort_keys=True,
    )
