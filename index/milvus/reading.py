"""Reads of one collection's rows, as recent as they must be."""

import math
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

from twopass.index.collection_name import CollectionName
from twopass.index.errors import (
    CollectionClosedError,
    StaleSequenceError,
    StoreUnreachableError,
)
from twopass.index.milvus.connection import (
    MilvusConnection,
    NoSuchCollectionError,
    NotLoadedError,
)
from twopass.index.milvus.filter_expression import (
    EVERYTHING,
    STORE,
    Expression,
    literal,
    one_of,
)
from twopass.index.milvus.layout import MAX_FOUND
from twopass.index.milvus.names import name_in_milvus
from twopass.index.milvus.place import Consistency
from twopass.index.sequences import SequenceToken
from twopass.index.stopping import NEVER, Stop

PAGE_ROWS = 1_000

# Of Milvus' timestamps: milliseconds since 1970, and 18 bits that count within one.
_LOGICAL_BITS = 18
_CLOCKS_APART = 86_400.0  # seconds; more means that a sequence was made up
# Searches within so many seconds of a write through this server must wait for it themselves.
_GRACE = 60.0
_IDS_A_QUERY = 1_000


class CollectionReader:
    """Reads rows of a collection. Belongs to one event loop.

    Attributes:
        name: What the collection is called, shared by all parts of it.
    """

    def __init__(
        self,
        name: CollectionName,
        incarnation: str,
        connection: MilvusConnection,
        consistency: Consistency,
    ) -> None:
        self.name = name
        self._incarnation = incarnation
        self._connection = connection
        self._consistency = consistency
        self._position = 0
        self._written_at = -math.inf  # by this process's own clock, whatever Milvus' says

    @property
    def name_in_milvus(self) -> str:
        """What Milvus calls the collection."""
        return name_in_milvus(str(self.name))

    @property
    def sequence(self) -> SequenceToken:
        """The last write that was acknowledged through this server, or that it was told of."""
        return SequenceToken(self._incarnation, self._position)

    def position_of(self, sequence: str) -> int:
        """Which timestamp of Milvus a sequence stands for.

        Raises:
            MalformedSequenceError: It is not a sequence.
            StaleSequenceError: It belongs to another life of the collection.
        """
        token = SequenceToken.parse(sequence)
        latest = _timestamp(time.time() + _CLOCKS_APART)
        if token.incarnation != self._incarnation or token.position > max(latest, self._position):
            raise StaleSequenceError(str(self.name), sequence)
        return token.position

    def reached(self, position: int) -> None:
        """Has all reads from now on see a write.

        Args:
            position: Milvus' timestamp of the write; 0 where the server tells none.
        """
        self._written_at = time.monotonic()
        # Timestamps of one server do not tell two writes apart that share a millisecond.
        self._position = max(self._position + 1, position or _timestamp(time.time()))

    def passed(self) -> None:
        """Has the sequence go on after a write that had nothing to write."""
        self._position += 1

    async def query(
        self,
        expression: Expression,
        output: Sequence[str],
        stop: Stop = NEVER,
        *,
        limit: int | None = None,
        min_position: int = 0,
    ) -> list[dict[str, Any]]:
        """Reads the rows that pass, in any order; with a limit the first of them by id.

        Args:
            expression: Which rows; without a limit at most some thousands.
            output: The fields to read.
            stop: Ends the reading.
            limit: Most rows, at most `MAX_FOUND`. There may be fewer though others follow them:
                Milvus ends a page where one of its shards has no more at hand. None at all means
                that none follow.
            min_position: What must be seen at least.
        """
        how = self._recent(min_position)
        if limit is not None:
            # What pymilvus' own iterator sends, so that the least ids come, in order. It is read at
            # the level that the collection was created with, the strongest.
            how = {"limit": limit, "iterator": "True", "reduce_stop_for_best": "True"}
        rows = await self._read(
            "query",
            stop,
            filter=expression.text or 'id != ""',
            output_fields=list(output),
            **how,
        )
        return sorted(rows, key=lambda row: row["id"]) if limit is not None else list(rows)

    async def with_ids(
        self,
        ids: Sequence[str],
        output: Sequence[str],
        stop: Stop = NEVER,
        *,
        id_field: str = "id",
        min_position: int = 0,
    ) -> list[dict[str, Any]]:
        """Reads the rows that have one of some ids, in any order."""
        found: list[dict[str, Any]] = []
        for start in range(0, len(ids), _IDS_A_QUERY):
            some = Expression(one_of(id_field, ids[start : start + _IDS_A_QUERY]))
            found += await self.query(some, output, stop, min_position=min_position)
        return found

    async def pages(
        self,
        expression: Expression,
        output: Sequence[str],
        stop: Stop = NEVER,
        *,
        after: str = "",
        page_rows: int = PAGE_ROWS,
    ) -> AsyncIterator[list[dict[str, Any]]]:
        """Reads all rows that pass, by id, a page at a time.

        Args:
            expression: Which rows.
            output: The fields to read, `id` among them.
            stop: Ends the reading.
            after: The id before the first.
            page_rows: Most rows at once.
        """
        while True:
            following = expression.also(f"id > {literal(after)}" if after else "")
            rows = await self.query(following, output, stop, limit=page_rows)
            if not rows:
                return
            yield rows
            after = rows[-1]["id"]

    async def has_any(self, expression: Expression, stop: Stop = NEVER) -> bool:
        """Whether a row passes."""
        rows = await self._read(
            "query",
            stop,
            filter=expression.text,
            output_fields=["id"],
            limit=1,
            **self._recent(0),
        )
        return bool(rows)

    async def count(self, expression: Expression = EVERYTHING, stop: Stop = NEVER) -> int:
        """Counts the rows that pass, as they are at one moment."""
        rows = await self._read(
            "query",
            stop,
            filter=expression.text,
            output_fields=["count(*)"],
            **self._recent(0),
        )
        return int(rows[0]["count(*)"])

    async def search(
        self,
        field: str,
        query: Any,
        k: int,
        expression: Expression,
        output: Sequence[str],
        parameters: dict[str, Any],
        stop: Stop = NEVER,
        *,
        min_position: int = 0,
    ) -> tuple[list[tuple[float, dict[str, Any]]], int]:
        """Finds the rows that are best by one field.

        Args:
            field: `vector` or `bm25`.
            query: What to compare with: a vector, or a text.
            k: Most rows, at most `MAX_FOUND`.
            expression: The only rows to find.
            output: The fields to read of them.
            parameters: Of the search.
            stop: Ends the search.
            min_position: What must be seen at least.

        Returns:
            Scores and rows, best first, and a timestamp of Milvus up to which all was seen.
        """
        assert 0 < k <= MAX_FOUND
        recent = self._recent(min_position)
        seen = max(self._position, min_position)
        found = await self._read(
            "search",
            stop,
            data=[query],
            anns_field=field,
            limit=k,
            filter=expression.text,
            output_fields=list(output),
            search_params=parameters,
            **recent,
        )
        rows = [
            (float(hit["distance"]), dict(hit["entity"]) | {"id": hit["id"]}) for hit in found[0]
        ]
        return rows, seen

    async def load(self) -> None:
        """Has Milvus take the collection's indexes into memory."""
        await self._connection.change("load_collection", self.name_in_milvus)

    def _recent(self, min_position: int) -> dict[str, Any]:
        """How recent a read must be, in pymilvus' words."""
        if self._consistency is Consistency.STRONG:
            return {"consistency_level": "Strong"}
        position = max(self._position, min_position)
        must_wait = min_position or time.monotonic() - self._written_at < _GRACE
        if self._consistency is Consistency.BOUNDED and not must_wait:
            return {"consistency_level": "Bounded"}
        return {"consistency_level": "Customized", "guarantee_timestamp": max(position, 1)}

    async def _read(self, verb: str, stop: Stop, **arguments: Any) -> Any:
        name = self.name_in_milvus
        try:
            try:
                return await self._connection.read(verb, name, stop=stop, **arguments)
            except NotLoadedError:  # another program released it, or the server began anew
                await self.load()
                return await self._connection.read(verb, name, stop=stop, **arguments)
        except NotLoadedError as error:  # a server that has just begun may take longer
            problem = "it is taking the collection into memory"
            raise StoreUnreachableError(STORE, problem) from error
        except NoSuchCollectionError as error:
            if name != self.name_in_milvus:  # it was renamed meanwhile
                return await self._read(verb, stop, **arguments)
            raise CollectionClosedError(str(self.name)) from error


def _timestamp(seconds: float) -> int:
    return int(seconds * 1_000) << _LOGICAL_BITS
