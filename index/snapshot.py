"""The description of a snapshot."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Snapshot:
    """A snapshot, described.

    Attributes:
        name: Unique among those of its collection.
        collection: The name of its collection, which may have had another when it was made.
        sequence: The state that it holds, as clients see it.
        num_documents: How many documents are in it.
        num_bytes: Its size on disk.
        sha256: Hash of its documents' file, hexadecimal.
        create_time_us: When it was made, microseconds since 1970.
        damaged_reason: Why it can't be restored, and the way out, as far as is known without
            reading all of it; empty if it can. Of a damaged snapshot only the names may be known.
    """

    name: str
    collection: str
    sequence: str = ""
    num_documents: int = 0
    num_bytes: int = 0
    sha256: str = ""
    create_time_us: int = 0
    damaged_reason: str = ""
