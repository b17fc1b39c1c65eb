"""Log lines: text for people, or one JSON object a line for machines."""

import json
import logging
import sys
import time
from collections.abc import Callable
from enum import StrEnum
from types import TracebackType
from typing import TextIO, TypeAlias

from twopass.server.telemetry.foreign_lines import ForeignLines, log_uncaught_exceptions

_ExceptionInfo: TypeAlias = (
    tuple[type[BaseException], BaseException, TracebackType | None] | tuple[None, None, None]
)

# Attributes of every LogRecord; any others came through `extra` and are the line's fields.
_STANDARD = frozenset(vars(logging.LogRecord("", 0, "", 0, "", (), None))) | {
    "message",
    "asctime",
    "taskName",
}


class LogFormat(StrEnum):
    """How log lines look."""

    TEXT = "text"
    JSON = "json"


class LogLevel(StrEnum):
    """The least severity that is logged."""

    DEBUG = "debug"
    INFO = "info"
    WARNING = "warning"
    ERROR = "error"


def fields_of(record: logging.LogRecord) -> dict[str, object]:
    """The fields that were logged beside the message."""
    return {k: v for k, v in vars(record).items() if k not in _STANDARD}


class JsonFormatter(logging.Formatter):
    """One JSON object a line: time, level, logger, message, fields."""

    def format(self, record: logging.LogRecord) -> str:
        """Formats one record."""
        line: dict[str, object] = {
            "time": self.formatTime(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **fields_of(record),
        }
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return _printable_json(json.dumps(line, default=str, ensure_ascii=False))

    def formatTime(self, record: logging.LogRecord, datefmt: str | None = None) -> str:  # noqa: ARG002, N802
        """UTC in RFC 3339 with milliseconds."""
        seconds = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
        return f"{seconds}.{int(record.msecs):03d}Z"


class TextFormatter(logging.Formatter):
    """Time, level, message, then the fields as name=value; a traceback follows, indented."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)-7s %(message)s", "%H:%M:%S")

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802
        """The line itself."""
        line = super().formatMessage(record)
        fields = " ".join(f"{name}={value}" for name, value in fields_of(record).items())
        return _in_one_line(f"{line}  {fields}" if fields else line)

    def formatException(self, ei: _ExceptionInfo) -> str:  # noqa: N802
        """A traceback, of which no line looks like one of the log, whatever its message quotes."""
        return _indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802
        """The calls that led to a line, indented as a traceback is."""
        return _indented(super().formatStack(stack_info))


def _indented(text: str) -> str:
    return "\n".join(f"  {_in_one_line(line)}" for line in text.split("\n"))


def _in_one_line(text: str) -> str:
    """A text without line breaks and control characters: what a caller sent may be quoted in it."""
    return _escaped(text, lambda each: repr(each)[1:-1])


def _printable_json(document: str) -> str:
    """A JSON document without characters that a terminal obeys; it stays the same document.

    JSON escapes those of C0 alone. The others, such as C1 and overrides of the direction of
    writing, stand within strings, where an escape means the same.
    """
    return _escaped(document, lambda each: json.dumps(each)[1:-1])


def _escaped(text: str, escape: Callable[[str], str]) -> str:
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else escape(each) for each in text)


def configure_logging(log_format: LogFormat, level: LogLevel) -> None:
    """Sends every log line of the process to stderr; in JSON format, nothing else goes there.

    Called once, by a server process. What faulthandler writes of a crash does not become JSON.
    """
    if log_format is LogFormat.TEXT:
        set_handler(sys.stderr, log_format, level)
        return
    foreign = ForeignLines()
    set_handler(foreign.stderr, log_format, level)
    foreign.start()
    log_uncaught_exceptions()


def set_handler(stream: TextIO, log_format: LogFormat, level: LogLevel) -> None:
    """Sends log lines to a stream."""
    handler = logging.StreamHandler(stream)
    handler.setFormatter(JsonFormatter() if log_format is LogFormat.JSON else TextFormatter())
    logging.basicConfig(handlers=[handler], level=level.upper(), force=True)
    # At INFO, faiss tells which of its builds was loaded: of no interest to an operator.
    logging.getLogger("faiss").setLevel(logging.WARNING)
    # uvicorn tells there that it starts and ends, as the server does itself.
    logging.getLogger("uvicorn.error").setLevel(logging.WARNING)
