"""What a call did, when: recorded where the times are known, told to whoever traces.

A stage is recorded in the trace of the call that runs, which is a context variable: tasks and
threads that a call starts share it, and where nothing is traced recording does nothing.
"""

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from twopass.server.config import ConfigError
from twopass.server.metadata import Metadata

Attributes: TypeAlias = Mapping[str, str | int | float]
BatchSpan: TypeAlias = object
"""What a tracer gives for a batch, for the stages that it was part of."""

# A stream of sets is one call; it must not collect stages for as long as it lives.
_MAX_STAGES = 256


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a call.

    Attributes:
        name: Such as "tokenize".
        began: Seconds of `time.perf_counter`.
        ended: Seconds of `time.perf_counter`.
        attributes: What else is known.
        batches: Those an engine computed for it.
    """

    name: str
    began: float
    ended: float
    attributes: Attributes = field(default_factory=dict)
    batches: Sequence[BatchSpan] = ()


class Tracer(Protocol):
    """Sends spans somewhere; what is called while a call runs never raises and never waits."""

    def begin(self, name: str, metadata: Metadata) -> "TracedCall | None":
        """Begins the span of a call, below the caller's own if the metadata tell of one.

        Returns:
            None where this call is not traced.
        """

    def batch(
        self, model: str, began: float, ended: float, attributes: Attributes
    ) -> BatchSpan | None:
        """Records a batch; returns what stages refer to it by."""

    def close(self) -> None:
        """Sends what has not been sent; may take seconds."""


class TracedCall(Protocol):
    """The span of one call."""

    def end(self, stages: Sequence[Stage], attributes: Attributes, error: str) -> None:
        """Ends the span, with one for each stage below it; without an error, it is empty."""


def open_tracer(endpoint: str) -> Tracer | None:
    """A tracer that sends to an OTLP collector; None where there is no endpoint.

    Raises:
        ConfigError: The endpoint is no address, or OpenTelemetry is not installed.
    """
    if not endpoint:
        return None
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"traces_endpoint: {endpoint!r} is not http://host:port")
    try:
        from twopass.server.telemetry.otlp import OtlpTracer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"traces_endpoint: needs {error.name}; pip install 'twopass[tracing]'"
        ) from error
    return OtlpTracer(endpoint)


_stages: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)


def start_recording() -> list[Stage]:
    """Collects what is recorded from now on, in whatever task or thread this one starts.

    A context variable can't be put back by another task, and a stream may be ended by one: so
    recording ends with the task that answers the call, or with `stop_recording`.
    """
    stages: list[Stage] = []
    _stages.set(stages)
    return stages


def stop_recording() -> None:
    """Records nothing from now on."""
    _stages.set(None)


def is_recording() -> bool:
    """Whether the call that runs is traced."""
    return _stages.get() is not None


def record(
    name: str,
    began: float,
    ended: float | None = None,
    attributes: Attributes | None = None,
    batches: Sequence[BatchSpan] = (),
) -> None:
    """Records a stage of the call that runs, if it is traced.

    Args:
        name: The stage's.
        began: Seconds of `time.perf_counter`.
        ended: Seconds of `time.perf_counter`; None for now.
        attributes: What else is known.
        batches: Those an engine computed for it.
    """
    stages = _stages.get()
    if stages is None or len(stages) >= _MAX_STAGES:
        return
    end = time.perf_counter() if ended is None else ended
    stages.append(Stage(name, began, end, attributes or {}, tuple(batches)))
