import json
import logging
import re
import sys

import pytest

from twopass.server.telemetry.logs import (
    JsonFormatter,
    LogFormat,
    LogLevel,
    TextFormatter,
    set_handler,
)


def record(message: str = "call", *, failed: bool = False, **fields: object) -> logging.LogRecord:
    error = None
    if failed:
        try:
            raise ZeroDivisionError("of the test")
        except ZeroDivisionError:
            error = sys.exc_info()
    made = logging.getLogger("twopass.server").makeRecord(
        "twopass.server", logging.WARNING, "file.py", 3, message, (), error, extra=fields
    )
    made.created, made.msecs = 1_750_000_000.25, 250.0
    return made


def test_a_json_line_holds_time_level_logger_message_and_fields():
    line = json.loads(JsonFormatter().format(record(code="OK", milliseconds=1.5)))
    assert line == {
        "time": "2025-06-15T15:06:40.250Z",
        "level": "warning",
        "logger": "twopass.server",
        "message": "call",
        "code": "OK",
        "milliseconds": 1.5,
    }


@pytest.mark.parametrize("value", ["two\nlines", 'a "quote"', "東京 🙂", "\x1b[31m"], ids=ascii)
def test_a_json_line_is_one_line_whatever_it_holds(value):
    line = JsonFormatter().format(record(reason=value))
    assert "\n" not in line
    assert json.loads(line)["reason"] == value


def test_a_value_that_json_can_not_say_is_written_out():
    assert json.loads(JsonFormatter().format(record(code=LogFormat)))["code"] == str(LogFormat)


def test_a_json_line_of_a_failure_holds_its_traceback():
    line = json.loads(JsonFormatter().format(record(failed=True)))
    assert "ZeroDivisionError: of the test" in line["exception"]


def test_a_text_line_ends_with_its_fields():
    line = TextFormatter().format(record(code="OK", milliseconds=1.5))
    assert re.fullmatch(r"\d\d:\d\d:\d\d WARNING call  code=OK milliseconds=1\.5", line)
    assert TextFormatter().format(record()).endswith("WARNING call")


def test_a_text_line_of_a_failure_has_its_fields_before_the_traceback():
    first, *rest = TextFormatter().format(record(failed=True, call="abc")).splitlines()
    assert first.endswith("call=abc")
    assert rest[-1] == "  ZeroDivisionError: of the test"


# What a terminal obeys, and JSON does not escape by itself: C1, DEL, overrides and isolates of
# the direction of writing, separators of lines, a lone surrogate.
OBEYED = "\x7f\x85\x9b31m\u202eevil\u2066\u2028\u2029\ud800"


def test_a_json_line_holds_nothing_that_a_terminal_obeys_and_says_the_same():
    line = JsonFormatter().format(record(OBEYED, failed=True, reason=OBEYED, **{OBEYED: 1}))
    assert line.isprintable()
    read = json.loads(line)
    assert (read["message"], read["reason"], read[OBEYED]) == (OBEYED, OBEYED, 1)


@pytest.mark.parametrize("formatter", [TextFormatter, JsonFormatter])
def test_a_traceback_obeys_no_caller_and_forges_no_line(formatter):
    try:
        raise ValueError(f"refused {OBEYED}\x1b[2J\n12:00:00 ERROR   engine lost\rOK")
    except ValueError:
        error = sys.exc_info()
    made = logging.getLogger("twopass.server").makeRecord(
        "twopass.server", logging.ERROR, "file.py", 3, "call", (), error
    )
    first, *rest = formatter().format(made).split("\n")
    assert all(line.isprintable() for line in (first, *rest))
    assert all(line.startswith("  ") for line in rest)
    if formatter is TextFormatter:
        assert rest[-1] == r"  12:00:00 ERROR   engine lost\rOK"


def test_the_calls_that_led_to_a_text_line_are_indented_beside_it():
    made = record()
    made.stack_info = "Stack (most recent call last):\n  \x9b31m"
    assert TextFormatter().format(made).split("\n")[1:] == [
        "  Stack (most recent call last):",
        r"    \x9b31m",
    ]


@pytest.fixture
def restored():
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield root
    root.handlers[:], root.level = handlers, level


def test_configured_lines_go_to_stderr_from_the_level_on(restored, capsys):
    set_handler(sys.stderr, LogFormat.JSON, LogLevel.WARNING)
    logging.getLogger("twopass.index").info("unseen")
    logging.getLogger("twopass.index").warning("seen", extra={"collection": "docs"})
    out, err = capsys.readouterr()
    assert out == ""
    assert json.loads(err)["collection"] == "docs"


def test_a_text_line_is_one_line_whatever_it_quotes():
    forged = "documents[0].x\n12:00:00 ERROR   engine lost\x1b[31m: 東京"
    line = TextFormatter().format(record(reason=forged))
    assert line.endswith(r"reason=documents[0].x\n12:00:00 ERROR   engine lost\x1b[31m: 東京")
