import logging

import grpc
import pytest

from twopass.server.edge import call_log
from twopass.server.edge.call_log import CallLog
from twopass.server.errors import InvalidRequestError, OverloadedError, UnauthenticatedError

RERANK = "twopass.v1.RerankService.Rerank"
SEARCH = "twopass.v1.SearchService.Search"
MORE = "more calls refused"
FULL = OverloadedError("queue: full", retry_after=1.0)


@pytest.fixture
def log():
    return CallLog()


@pytest.fixture
def lines(caplog):
    """Those at a level and above, each as a mapping of its fields and its message."""

    def of(level: int) -> list[dict]:
        return [vars(r) | {"message": r.getMessage()} for r in caplog.records if r.levelno >= level]

    caplog.set_level(logging.DEBUG, logger="twopass.server")
    return of


def refuse(log: CallLog, rpc: str = RERANK, milliseconds: float = 1.0) -> None:
    log.ended(rpc, "id", grpc.StatusCode.RESOURCE_EXHAUSTED, milliseconds / 1000, FULL)


@pytest.mark.parametrize(
    ("code", "error", "level"),
    [
        (grpc.StatusCode.OK, None, logging.DEBUG),
        (grpc.StatusCode.INVALID_ARGUMENT, InvalidRequestError("why"), logging.INFO),
        (grpc.StatusCode.INTERNAL, ZeroDivisionError("a bug"), logging.ERROR),
    ],
    ids=lambda value: getattr(value, "name", None),
)
async def test_a_call_has_a_line_of_a_level_that_fits_its_end(log, lines, code, error, level):
    log.ended(RERANK, "abc", code, 0.0125, error)
    (line,) = lines(logging.DEBUG)
    assert (line["levelno"], line["rpc"], line["call"]) == (level, RERANK, "abc")
    assert (line["code"], line["milliseconds"]) == (code.name, 12.5)


async def test_the_text_of_a_bug_is_in_its_traceback_alone(log, lines):
    log.ended(RERANK, "abc", grpc.StatusCode.INTERNAL, 0.0, ZeroDivisionError("a bug"))
    (line,) = lines(logging.DEBUG)
    assert "reason" not in line
    assert line["exc_info"][0] is ZeroDivisionError


async def test_calls_of_one_second_that_are_too_many_share_a_line(log, lines, clock):
    for milliseconds in (1.0, 2.0, 7.5, 3.0):
        refuse(log, milliseconds=milliseconds)
    await clock.passes(1)
    first, others = lines(logging.INFO)
    assert (first["message"], first["reason"]) == ("call", "queue: full")
    assert (others["message"], others["rpc"], others["limit"]) == (MORE, RERANK, "queue")
    assert (others["count"], others["slowest_milliseconds"]) == (3, 7.5)


async def test_there_is_one_line_a_second_until_one_is_without_refusals(lines, monkeypatch):
    monkeypatch.setattr(call_log, "_SUMMARY_SECONDS", 3_600)  # they pass where the test says so
    log = CallLog()
    for _ in range(4):
        for _ in range(5):
            refuse(log)
        log._sum_up((RERANK, grpc.StatusCode.RESOURCE_EXHAUSTED, "queue"))
    log._sum_up((RERANK, grpc.StatusCode.RESOURCE_EXHAUSTED, "queue"))
    told = lines(logging.INFO)
    assert [line["message"] for line in told] == ["call"] + [MORE] * 4
    assert sum(line["count"] for line in told[1:]) == 19
    refuse(log)
    assert lines(logging.INFO)[-1]["message"] == "call"


async def test_a_refused_call_without_others_has_its_line_and_no_more(log, lines, clock):
    refuse(log)
    await clock.passes(1)
    refuse(log)
    await clock.passes(1)
    assert [line["message"] for line in lines(logging.INFO)] == ["call", "call"]


async def test_every_limit_is_told_of(log, lines):
    for limit in ("queue", "calls", "queue"):
        error = OverloadedError(f"{limit}: full", retry_after=1.0)
        log.ended(RERANK, "id", grpc.StatusCode.RESOURCE_EXHAUSTED, 0.0, error)
    assert [line["reason"] for line in lines(logging.INFO)] == ["queue: full", "calls: full"]


async def test_every_rpc_is_told_of(log, lines):
    for rpc in (RERANK, SEARCH, RERANK):
        refuse(log, rpc)
    assert [line["rpc"] for line in lines(logging.INFO)] == [RERANK, SEARCH]


async def test_at_level_debug_each_refused_call_has_its_line(log, lines):
    for _ in range(5):
        refuse(log)
    assert [line["message"] for line in lines(logging.DEBUG)] == ["call"] * 5


@pytest.mark.parametrize(
    ("code", "reason", "message"),
    [
        (grpc.StatusCode.CANCELLED, "cancelled: by the caller", "more calls cancelled"),
        (grpc.StatusCode.DEADLINE_EXCEEDED, "deadline: it ran out", "more calls late"),
    ],
    ids=["cancelled", "late"],
)
async def test_calls_whose_callers_are_gone_are_told_of_and_many_share_a_line(
    log, lines, clock, code, reason, message
):
    for _ in range(3):
        log.ended(SEARCH, "id", code, 0.2, reason=reason)
    await clock.passes(1)
    first, others = lines(logging.INFO)
    assert (first["message"], first["code"], first["reason"]) == ("call", code.name, reason)
    assert first["milliseconds"] == 200.0
    assert (others["message"], others["count"], others["code"]) == (message, 2, code.name)


async def test_unknown_callers_do_not_fill_the_log(log, lines):
    for _ in range(50):
        error = UnauthenticatedError("authorization: no API key")
        log.ended(SEARCH, "id", grpc.StatusCode.UNAUTHENTICATED, 0.0, error)
    assert len(lines(logging.INFO)) == 1
