"""What an operator can see: counters and histograms, and gauges read when they are asked for.

Every name begins with `twopass_`. Labels have few values: rpcs, status codes, stages, models,
collections; never texts, ids or keys.
"""

import functools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from google.protobuf.descriptor import Descriptor
from google.protobuf.message import Message
from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from twopass.v1 import arranging_pb2, search_pb2, spans_pb2

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
_TOKENS = (16, 64, 128, 256, 512, 1_024, 2_048, 4_096, 8_192, 16_384, 32_768)
_SEQUENCES = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)


@dataclass(frozen=True, slots=True)
class _Batches:
    """The metrics of one model's batches."""

    sequences: Histogram
    tokens: Histogram
    padding: Counter
    seconds: Histogram


class Metrics:
    """The metrics of one server."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self._models: dict[object, str] = {}
        self._batches: dict[str, _Batches] = {}
        rpc_seconds = self._histogram(
            "rpc_seconds", "Time of a call, by its status.", _SECONDS, "rpc", "code"
        )
        self._stage_seconds = self._histogram(
            "stage_seconds", "Time of a stage of an answered call.", _SECONDS, "rpc", "stage"
        )
        self._searches = self._counter(
            "searches", "Answered searches, by the statuses of both passes.", "retrieve", "rerank"
        )
        self._spans = self._counter(
            "spans", "Answers that were asked for spans, by what became of them.", "rpc", "status"
        )
        self._arranged = self._counter(
            "arranged",
            "Answers whose hits were to be compared with each other, by what became of it.",
            "rpc",
            "status",
        )
        rejections = self._counter("rejections", "Requests refused or late, by reason.", "reason")
        self._rejections = rejections
        # Cached: looking labels up takes longer than counting.
        self._rpc_seconds_of = functools.cache(rpc_seconds.labels)
        self._rejections_of = functools.cache(rejections.labels)
        self._searches_of = functools.cache(self._searches.labels)
        self._stage_seconds_of = functools.cache(self._stage_seconds.labels)
        self._batch_sequences = self._histogram(
            "batch_sequences", "Pairs or texts in a batch.", _SEQUENCES, "model"
        )
        self._batch_tokens = self._histogram(
            "batch_tokens", "Tokens in a batch, padding left out.", _TOKENS, "model"
        )
        self._padding_tokens = self._counter(
            "padding_tokens", "Padding tokens computed to make rows equally long.", "model"
        )
        self._engine_seconds = self._histogram(
            "engine_seconds", "Time of a batch in its engine.", _SECONDS, "model"
        )
        self._engine_restarts = self._counter(
            "engine_restarts", "Restarts of engines after a failure.", "model"
        )
        self._cache_lookups = self._counter(
            "cache_lookups", "Look-ups in a cache, by result: hit, miss.", "cache", "result"
        )

    def gauges(self, read: Callable[[], Iterator[Metric]]) -> None:
        """Adds gauges that are read at every scrape, from the thread that serves it."""
        self.registry.register(_Gauges(read))

    def call_ended(self, rpc: str, code: str, seconds: float) -> None:
        """Counts a call."""
        self._rpc_seconds_of(rpc, code).observe(seconds)

    def answered(self, rpc: str, response: Message) -> None:
        """Counts a response's stage timings and the statuses of its two passes."""
        if isinstance(response, search_pb2.SearchResponse):
            retrieve = search_pb2.RetrieveStatus.Name(response.retrieve_status)
            rerank = search_pb2.RerankStatus.Name(response.rerank_status)
            self._searches_of(_word(retrieve), _word(rerank)).inc()
            if arranged := response.arrange_status:
                named = arranging_pb2.ArrangeStatus.Name(arranged)
                self._arranged.labels(rpc, _word(named)).inc()
        has_spans, has_timings = _told_by(response.DESCRIPTOR)
        if has_spans and (spans := response.spans_status):  # type: ignore[attr-defined]
            self._spans.labels(rpc, _word(spans_pb2.SpansStatus.Name(spans))).inc()
        if has_timings:
            for stage, duration in response.timings.ListFields():  # type: ignore[attr-defined]
                seconds = duration.seconds + duration.nanos / 1e9
                self._stage_seconds_of(rpc, stage.name).observe(seconds)

    def rejected(self, reason: str) -> None:
        """Counts a request that was refused, or late."""
        self._rejections_of(reason).inc()

    def rejections(self) -> dict[str, int]:
        """How many requests were refused or late so far, by reason."""
        return {
            sample.labels["reason"]: int(sample.value)
            for metric in self._rejections.collect()
            for sample in metric.samples
            if sample.name.endswith("_total")
        }

    def name_engine(self, engine: object, model: str) -> None:
        """Names the model of an engine, for the label of its batches."""
        self._models[engine] = model

    def model_of(self, engine: object) -> str:
        """The model of an engine; "other" where `name_engine` has not named it."""
        return self._models.get(engine, "other")

    def batch_computed(
        self, engine: object, num_sequences: int, num_tokens: int, num_padding: int, seconds: float
    ) -> None:
        """Counts a batch."""
        model = self.model_of(engine)
        batches = self._batches.get(model)
        if batches is None:
            batches = self._batches[model] = _Batches(
                self._batch_sequences.labels(model),
                self._batch_tokens.labels(model),
                self._padding_tokens.labels(model),
                self._engine_seconds.labels(model),
            )
        batches.sequences.observe(num_sequences)
        batches.tokens.observe(num_tokens)
        batches.padding.inc(num_padding)
        batches.seconds.observe(seconds)

    def engine_restarted(self, model: str) -> None:
        """Counts a restart of a model's engine."""
        self._engine_restarts.labels(model).inc()

    def cache_looked_up(self, cache: str, *, num_hits: int, num_misses: int) -> None:
        """Counts look-ups in a cache."""
        self._cache_lookups.labels(cache, "hit").inc(num_hits)
        self._cache_lookups.labels(cache, "miss").inc(num_misses)

    def _counter(self, name: str, text: str, *labels: str) -> Counter:
        return Counter(f"twopass_{name}", text, labels, registry=self.registry)

    def _histogram(
        self, name: str, text: str, buckets: tuple[float, ...], *labels: str
    ) -> Histogram:
        return Histogram(f"twopass_{name}", text, labels, buckets=buckets, registry=self.registry)


def gauge(name: str, text: str, label: str, values: dict[str, float]) -> GaugeMetricFamily:
    """A gauge with one value for each value of its label."""
    family = GaugeMetricFamily(f"twopass_{name}", text, labels=[label])
    for labelled, value in values.items():
        family.add_metric([labelled], value)
    return family


class _Gauges(Collector):
    """Gauges that are computed at each scrape."""

    def __init__(self, read: Callable[[], Iterator[Metric]]) -> None:
        self._read = read

    def collect(self) -> Iterator[Metric]:
        """Reads the gauges."""
        return self._read()


@functools.cache
def _told_by(descriptor: Descriptor) -> tuple[bool, bool]:
    """Whether messages of a type tell what became of spans, and how long stages took."""
    fields = descriptor.fields_by_name
    return "spans_status" in fields, "timings" in fields


def _word(enum_name: str) -> str:
    """The label of a status: skipped_deadline for RERANK_STATUS_SKIPPED_DEADLINE."""
    return enum_name.partition("STATUS_")[2].lower()
