"""What a store has had of a GPU that searches vectors."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceUse:
    """Figures since the process began, of all collections.

    Attributes:
        num_copies: Indexes that are on the GPU now.
        num_bytes: What they take of its memory, by estimate.
        num_calls: Searches of an index there; each may be for many queries.
        num_queries: Queries of these calls.
        seconds: Time spent in these calls.
        num_passed_on: Queries that the CPU answered since the GPU could not: more neighbours than
            it returns, a filter that leaves too few of them, or no proof where one is promised.
        num_fallbacks: Times that the CPU took over a collection's vectors, or one call where memory
            was short.
    """

    num_copies: int = 0
    num_bytes: int = 0
    num_calls: int = 0
    num_queries: int = 0
    seconds: float = 0.0
    num_passed_on: int = 0
    num_fallbacks: int = 0
