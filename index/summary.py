"""The description of a collection, open or closed."""

from dataclasses import dataclass
from datetime import datetime

from twopass.index.schema import CollectionSchema
from twopass.index.sequences import SequenceToken


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSummary:
    """A collection at one moment, described.

    Attributes:
        name: Its own name, not an alias.
        schema: Its schema.
        create_time: When it was created, UTC.
        num_documents: How many documents a search sees.
        num_split: How many of them are split.
        sequence: The state that a search sees.
        read_only_reason: Why it takes no writes, and the way out; empty if it takes writes.
        settings: What the server keeps with it; "" for nothing.
    """

    name: str
    schema: CollectionSchema
    create_time: datetime
    num_documents: int
    num_split: int
    sequence: SequenceToken
    read_only_reason: str
    settings: str = ""
