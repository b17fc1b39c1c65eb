"""The stages of a call and their times: recorded where they are known, sent by a tracer.

Stages are recorded in a context variable, which the tasks and threads that a call starts share with
it. Where the call is not traced, recording does nothing.
"""

import time
from collections.abc import Mapping, Sequence
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Protocol, TypeAlias
from urllib.parse import urlsplit

from twopass.engines.installing import how_to_install
from twopass.server.config import ConfigError
from twopass.server.metadata import Metadata

Attributes: TypeAlias = Mapping[str, str | int | float]
BatchSpan: TypeAlias = object
"""A tracer's handle of a batch, by which stages refer to the batch."""

# A stream of sets is one call; it must not collect stages for as long as it lives.
_MAX_STAGES = 256


@dataclass(frozen=True, slots=True)
class Stage:
    """A part of a call.

    Attributes:
        name: Such as "tokenize".
        began: Seconds of `time.perf_counter`.
        ended: Seconds of `time.perf_counter`.
        attributes: Further facts, by name.
        batches: The batches that an engine computed for the stage.
    """

    name: str
    began: float
    ended: float
    attributes: Attributes = field(default_factory=dict)
    batches: Sequence[BatchSpan] = ()


class Tracer(Protocol):
    """Sends spans to a collector. Only `close` may wait; `begin` and `batch` never raise."""

    def begin(self, name: str, metadata: Metadata) -> "TracedCall | None":
        """Begins the span of a call, a child of the caller's span if the metadata name one.

        Returns:
            The call's span; None where the call is not traced.
        """

    def batch(
        self, model: str, began: float, ended: float, attributes: Attributes
    ) -> BatchSpan | None:
        """Records a batch; returns the handle by which stages refer to it."""

    def close(self) -> None:
        """Sends the spans that have not been sent; may take seconds."""


class TracedCall(Protocol):
    """The span of one call."""

    def end(self, stages: Sequence[Stage], attributes: Attributes, error: str) -> None:
        """Ends the span, with a child for each stage; an empty `error` means success."""


def open_tracer(endpoint: str) -> Tracer | None:
    """A tracer that sends to an OTLP collector; None where there is no endpoint.

    Raises:
        ConfigError: The endpoint is no address, or OpenTelemetry is not installed.
    """
    if not endpoint:
        return None
    url = urlsplit(endpoint)
    if url.scheme not in ("http", "https") or not url.hostname:
        raise ConfigError(f"--traces-endpoint: {endpoint!r} is not http://host:port")
    try:
        from twopass.server.telemetry.otlp import OtlpTracer
    except ModuleNotFoundError as error:
        raise ConfigError(
            f"--traces-endpoint: needs {error.name}; {how_to_install('tracing')}"
        ) from error
    return OtlpTracer(endpoint)


_stages: ContextVar[list[Stage] | None] = ContextVar("stages", default=None)


def start_recording() -> list[Stage]:
    """Collects the stages recorded from now on, by this task and the tasks and threads it starts.

    Recording ends with the task that answers the call, or with `stop_recording`. It is no context
    manager, since another task may end a stream and could not reset the context variable.
    """
    stages: list[Stage] = []
    _stages.set(stages)
    return stages


def stop_recording() -> None:
    """Stops recording the stages of the current call."""
    _stages.set(None)


def is_recording() -> bool:
    """Whether the current call is traced."""
    return _stages.get() is not None


def record(
    name: str,
    began: float,
    ended: float | None = None,
    attributes: Attributes | None = None,
    batches: Sequence[BatchSpan] = (),
) -> None:
    """Records a stage of the current call, if the call is traced.

    Args:
        name: Name of the stage.
        began: Seconds of `time.perf_counter`.
        ended: Seconds of `time.perf_counter`; None for now.
        attributes: Further facts, by name.
        batches: The batches that an engine computed for the stage.
    """
    stages = _stages.get()
    if stages is None or len(stages) >= _MAX_STAGES:
        return
    end = time.perf_counter() if ended is None else ended
    stages.append(Stage(name, began, end, attributes or {}, tuple(batches)))
