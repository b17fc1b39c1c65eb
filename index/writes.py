"""What writes did."""

from dataclasses import dataclass

from twopass.index.sequences import SequenceToken


@dataclass(frozen=True, slots=True)
class UpsertResult:
    """What an upsert did.

    Attributes:
        sequence: The collection's state with these documents in it.
        num_inserted: How many documents were new.
        num_replaced: How many documents replaced one of the same id.
        num_skipped: How many documents were left out, since their ids were known.
        num_split: How many documents were split.
    """

    sequence: SequenceToken
    num_inserted: int
    num_replaced: int
    num_skipped: int = 0
    num_split: int = 0


@dataclass(frozen=True, slots=True)
class DeleteResult:
    """What a deletion did.

    Attributes:
        sequence: The collection's state without the documents.
        num_deleted: How many documents were deleted.
    """

    sequence: SequenceToken
    num_deleted: int


@dataclass(frozen=True, slots=True)
class UpdateResult:
    """What an update of metadata did.

    Attributes:
        sequence: The collection's state with the new metadata.
        num_updated: How many documents it was for, whether or not their metadata differed.
    """

    sequence: SequenceToken
    num_updated: int
