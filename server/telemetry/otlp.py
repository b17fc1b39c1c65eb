"""Traces by OpenTelemetry, sent by OTLP over gRPC. Needs the extra `tracing`.

Sampling, resource and headers are set by OpenTelemetry's own environment variables
(`OTEL_TRACES_SAMPLER`, `OTEL_RESOURCE_ATTRIBUTES`, `OTEL_EXPORTER_OTLP_HEADERS`, …).
"""

import os
import time
from collections.abc import Mapping, Sequence

from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.grpc.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor
from opentelemetry.trace import Link, Span, SpanContext, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation import set_span_in_context
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

from twopass.server.metadata import Metadata
from twopass.server.telemetry.tracing import Attributes, BatchSpan, Stage


class OtlpTracer:
    """Implements `tracing.Tracer`."""

    def __init__(self, endpoint: str) -> None:
        """Connects in the background; what can't be sent is dropped, with a log line.

        Args:
            endpoint: Address of a collector, `http://host:port` or `https://host:port`.
        """
        name = os.environ.get("OTEL_SERVICE_NAME", "twopass")
        resource = Resource.create({"service.name": name})
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        exporter = OTLPSpanExporter(endpoint, insecure=not endpoint.startswith("https:"))
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("twopass")
        self._propagator = TraceContextTextMapPropagator()

    def begin(self, name: str, metadata: Metadata) -> "_Call | None":
        """Begins the span of a call; see `Tracer`."""
        carrier = {key: value for key, value in metadata if isinstance(value, str)}
        span = self._tracer.start_span(
            name, context=self._propagator.extract(carrier), kind=SpanKind.SERVER
        )
        return _Call(self, span) if span.is_recording() else None

    def batch(
        self, model: str, began: float, ended: float, attributes: Attributes
    ) -> BatchSpan | None:
        """Records a batch as a trace of its own; see `Tracer`."""
        span = self._tracer.start_span(
            "batch",
            context=Context(),  # no parent: it belongs to several calls
            start_time=_nanoseconds(began),
            attributes={"twopass.model": model, **_named(attributes)},
        )
        span.end(_nanoseconds(ended))
        return span.get_span_context()

    def close(self) -> None:
        """Sends the spans that have not been sent."""
        self._provider.shutdown()

    def stage(self, parent: Span, stage: Stage) -> None:
        """Records one stage of a call."""
        links = [Link(batch) for batch in stage.batches if isinstance(batch, SpanContext)]
        span = self._tracer.start_span(
            stage.name,
            context=set_span_in_context(parent),
            links=links,
            start_time=_nanoseconds(stage.began),
            attributes=_named(stage.attributes),
        )
        span.end(_nanoseconds(stage.ended))


class _Call:
    """Implements `tracing.TracedCall`."""

    def __init__(self, tracer: OtlpTracer, span: Span) -> None:
        self._tracer = tracer
        self._span = span

    def end(self, stages: Sequence[Stage], attributes: Attributes, error: str) -> None:
        """Ends the span; see `TracedCall`."""
        for stage in stages:
            self._tracer.stage(self._span, stage)
        self._span.set_attributes(_named(attributes))
        if error:
            self._span.set_status(Status(StatusCode.ERROR, error))
        self._span.end()


def _named(attributes: Attributes) -> Mapping[str, str | int | float]:
    return {f"twopass.{name}": value for name, value in attributes.items()}


def _nanoseconds(seconds: float) -> int:
    """Converts seconds of `time.perf_counter` to nanoseconds of the wall clock."""
    return time.time_ns() - time.perf_counter_ns() + round(seconds * 1e9)
