"""From the samples of one load to its figures."""

import math
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from twopass.benchmarks.load import OK, Sample, Window
from twopass.client import Timings

# In thousandths, so that ranks are exact.
PERCENTILES = {"p50": 500, "p90": 900, "p95": 950, "p99": 990, "p99.9": 999}
# The server's stages in the order a request meets them.
SERVER_STAGES = ("tokenize", "queue", "embed", "retrieve", "load", "rerank")
SENT_LATE, CLIENT_AND_NETWORK, REST = "sent_late", "client_and_network", "rest"
# Together they are the whole latency.
STAGES = (SENT_LATE, CLIENT_AND_NETWORK, *SERVER_STAGES, REST)


@dataclass(frozen=True, slots=True)
class Summary:
    """What one load measured. Latencies and stages are those of the answers, not of failures.

    Attributes:
        level: Requests under way (closed loop), or requests a second (open loop).
        seconds: Length of the window.
        num_requests: Requests meant to start in the window.
        requests_per_second: Answers that came in the window, whenever they were asked for.
        pairs_per_second: Pairs scored in those.
        cached_share: The share of these pairs that the server had scored before, and so did not
            compute, 0 to 1; None without a pair.
        latency_ms: Each percentile, from the intended start; None where the samples are too few.
        mean_ms: The mean; None without an answer, as is `max_ms`.
        max_ms: The longest.
        errors: Failures by status.
        stages_ms: The mean of each of `STAGES`, which together make `mean_ms`; None for a stage
            that never ran.
    """

    level: float
    seconds: float
    num_requests: int
    requests_per_second: float
    pairs_per_second: float
    cached_share: float | None
    latency_ms: Mapping[str, float | None]
    mean_ms: float | None
    max_ms: float | None
    errors: Mapping[str, int]
    stages_ms: Mapping[str, float | None]

    @property
    def num_errors(self) -> int:
        """Failures of any status."""
        return sum(self.errors.values())


def summarize(level: float, samples: Iterable[Sample], window: Window) -> Summary:
    """Counts latencies of requests that start in the window, and throughput of its answers.

    Both are free of the edges: a request that outlasts the window has its whole latency, and one
    from the warm-up that is answered in it was work of the window.
    """
    samples = list(samples)
    seconds = window.end - window.start
    started = [s for s in samples if window.start <= s.intended < window.end]
    answered = [(s, s.answer) for s in started if s.answer is not None]
    completed = [
        s.answer for s in samples if s.answer is not None and window.start <= s.ended < window.end
    ]
    latencies = sorted(s.latency * 1000 for s, _ in answered)
    num_pairs = sum(answer.num_pairs for answer in completed)
    num_cached = sum(answer.num_cached for answer in completed)
    return Summary(
        level=level,
        seconds=seconds,
        num_requests=len(started),
        requests_per_second=len(completed) / seconds,
        pairs_per_second=num_pairs / seconds,
        cached_share=num_cached / num_pairs if num_pairs else None,
        latency_ms={name: percentile(latencies, p) for name, p in PERCENTILES.items()},
        mean_ms=_mean(latencies),
        max_ms=latencies[-1] if latencies else None,
        errors=dict(Counter(s.status for s in started if s.status != OK)),
        stages_ms=_means([_stages(s, answer.timings) for s, answer in answered]),
    )


def percentile(ascending: Sequence[float], thousandths: int) -> float | None:
    """The smallest value that at least so many thousandths of all do not exceed (nearest rank).

    None where fewer than one value in the mean lies above it: that is the maximum, not a
    percentile. The 99th needs 100 values.
    """
    count = len(ascending)
    if count * (1000 - thousandths) < 1000:
        return None
    rank = -(-count * thousandths // 1000)
    return ascending[rank - 1]


def _stages(sample: Sample, timings: Timings) -> dict[str, float]:
    """Milliseconds of each stage that a request met; they add up to its latency."""
    ran = {
        stage: ms for stage in SERVER_STAGES if (ms := getattr(timings, f"{stage}_ms")) is not None
    }
    total = timings.total_ms or 0.0
    return {
        SENT_LATE: (sample.sent - sample.intended) * 1000,
        CLIENT_AND_NETWORK: (sample.ended - sample.sent) * 1000 - total,
        **ran,
        REST: total - math.fsum(ran.values()),
    }


def _means(requests: Sequence[Mapping[str, float]]) -> dict[str, float | None]:
    """The mean of each stage over all requests; one that a request did not meet took it no time."""
    met = {stage for request in requests for stage in request}
    return {
        stage: _mean([request.get(stage, 0.0) for request in requests]) if stage in met else None
        for stage in STAGES
    }


def _mean(values: Sequence[float]) -> float | None:
    return math.fsum(values) / len(values) if values else None
