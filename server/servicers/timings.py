"""Stage timings as a message."""

from google.protobuf.duration_pb2 import Duration

from twopass.server.telemetry.stopwatch import StageTimings
from twopass.v1 import timings_pb2

_PASSES = ("tokenize", "queue", "embed", "retrieve", "load", "rerank")
_STAGES = ("total", *_PASSES, "spans", "arrange")


def timings_message(timings: StageTimings) -> timings_pb2.Timings:
    """A message in which stages that did not run are unset."""
    message = timings_pb2.Timings()
    for stage in _STAGES:
        seconds = getattr(timings, stage)
        if seconds is not None:
            getattr(message, stage).CopyFrom(_duration(seconds))
    return message


def _duration(seconds: float) -> Duration:
    """A time of at least 0; a tenth of what `FromNanoseconds` takes, which checks it."""
    whole, nanos = divmod(round(seconds * 1e9), 10**9)
    return Duration(seconds=whole, nanos=nanos)
