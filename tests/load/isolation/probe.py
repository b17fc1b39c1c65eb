"""The searches that are measured: dense, small, at times fixed beforehand."""

import asyncio
import time
from dataclasses import dataclass

from twopass.benchmarks.load import poisson_arrivals
from twopass.v1.document_pb2 import DocumentFields
from twopass.v1.search_pb2 import (
    RETRIEVE_MODE_DENSE,
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
)

from ..driver import percentile
from ..wire import Answer, Wire
from .corpus import query

_PATH = "/twopass.v1.SearchService/Search"
# Longer than anything that was seen; who is not answered by then waited that long.
_DEADLINE = 60.0
_QUERIES = 64


@dataclass(frozen=True, slots=True)
class Latencies:
    """How long searches took, in milliseconds, from when they were to be sent.

    Attributes:
        num_searches: How many there were.
        p50: The median.
        p99: All but one in a hundred are as fast.
        slowest: The longest.
        num_failed: How many were not answered with OK.
    """

    num_searches: int
    p50: float
    p99: float
    slowest: float
    num_failed: int


class Probe:
    """Searches one collection over one connection."""

    def __init__(self, wire: Wire, collection: str) -> None:
        self._wire = wire
        self._messages = [_search(collection, number) for number in range(_QUERIES)]

    @classmethod
    async def connect(cls, target: str, key: str, collection: str) -> "Probe":
        """Opens the connection."""
        metadata = (("authorization", f"Bearer {key}"),)
        return cls(await Wire.connect(target, _PATH, _DEADLINE, metadata), collection)

    async def measure(self, rate: float, seconds: float) -> Latencies:
        """Searches at random times, at a mean rate a second, whatever is unanswered.

        A search that is sent late, since this process had no processor, has waited since then.
        """
        began = time.perf_counter()
        planned, calls = [], []
        for number, offset in enumerate(poisson_arrivals(rate, seconds, seed=1)):
            await asyncio.sleep(began + offset - time.perf_counter())
            planned.append(began + offset)
            calls.append(self._wire.call(self._messages[number % _QUERIES]))
        answers = await asyncio.gather(*calls)
        return latencies(planned, answers)

    def close(self) -> None:
        """Ends the connection."""
        self._wire.close()


def latencies(planned: list[float], answers: list[Answer]) -> Latencies:
    """Sums up searches.

    Args:
        planned: When each was to be sent, seconds of `time.perf_counter`.
        answers: What came of each.
    """
    seconds = [answer.ended - at for at, answer in zip(planned, answers, strict=True)]
    return Latencies(
        num_searches=len(seconds),
        p50=percentile(seconds, 50),
        p99=percentile(seconds, 99),
        slowest=percentile(seconds, 100),
        num_failed=sum(answer.outcome(_DEADLINE).status != "OK" for answer in answers),
    )


def _search(collection: str, number: int) -> bytes:
    return SearchRequest(
        collection=collection,
        vector=query(number),
        retrieve=RetrieveOptions(mode=RETRIEVE_MODE_DENSE, k=10),
        rerank=RerankOptions(enabled=False),
        fields=DocumentFields(text=False, metadata=False),
    ).SerializeToString()
