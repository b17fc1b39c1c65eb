import math
import pickle
import threading
import time

import grpc
import pytest
from google.protobuf.any_pb2 import Any

from twopass import client as twopass
from twopass.client import Client, DeadlineExceededError, OverloadedError, TwopassError
from twopass.v1 import collection_pb2, rerank_pb2, search_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer
from twopass.v1.rerank_pb2_grpc import RerankServiceServicer
from twopass.v1.search_pb2_grpc import SearchServiceServicer
from twopass.v1.status_pb2 import ErrorInfo, RetryInfo, Status

CLASSES = {
    grpc.StatusCode.INVALID_ARGUMENT: twopass.InvalidArgumentError,
    grpc.StatusCode.NOT_FOUND: twopass.NotFoundError,
    grpc.StatusCode.ALREADY_EXISTS: twopass.AlreadyExistsError,
    grpc.StatusCode.RESOURCE_EXHAUSTED: twopass.OverloadedError,
    grpc.StatusCode.DEADLINE_EXCEEDED: twopass.DeadlineExceededError,
    grpc.StatusCode.FAILED_PRECONDITION: twopass.FailedPreconditionError,
    grpc.StatusCode.UNAUTHENTICATED: twopass.UnauthenticatedError,
    grpc.StatusCode.UNIMPLEMENTED: twopass.UnimplementedError,
    grpc.StatusCode.INTERNAL: twopass.InternalError,
    grpc.StatusCode.PERMISSION_DENIED: twopass.PermissionDeniedError,
}


class Searches(SearchServiceServicer):
    """Does what the script says, keeping how often and with what metadata and deadline."""

    def __init__(self, script) -> None:
        self.script = script
        self.num_calls = 0

    def Search(self, request, context):
        self.num_calls += 1
        self.metadata = dict(context.invocation_metadata())
        self.time_remaining = context.time_remaining()
        return self.script(context) or search_pb2.SearchResponse()


def at_once(context):
    return None


def aborting(code, message, details=b""):
    def script(context):
        if details:
            context.set_trailing_metadata((("grpc-status-details-bin", details),))
        context.abort(code, message)

    return script


@pytest.mark.parametrize("code", CLASSES, ids=lambda code: code.name)
def test_each_status_has_its_class_and_keeps_what_the_server_said(serve, connect, code):
    client = connect(serve(Searches(aborting(code, "the reason"))))
    with pytest.raises(TwopassError) as raised:
        client.search("docs", "q")
    error = raised.value
    assert type(error) is CLASSES[code]
    assert (error.code, error.message, str(error)) == (code, "the reason", "the reason")
    assert error.retry_after is None
    assert isinstance(error.__cause__, grpc.RpcError)


def retry_info(seconds):
    info = RetryInfo()
    info.retry_delay.FromMilliseconds(round(seconds * 1000))
    url = "type.googleapis.com/google.rpc.RetryInfo"
    other = Any(type_url="type.googleapis.com/google.rpc.ErrorInfo", value=b"\x0a\x01x")
    detail = Any(type_url=url, value=info.SerializeToString())
    return Status(code=8, details=[other, detail]).SerializeToString()


def test_an_overloaded_server_says_when_to_try_again(serve, connect):
    script = aborting(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", retry_info(1.5))
    with pytest.raises(OverloadedError) as raised:
        connect(serve(Searches(script))).search("docs", "q")
    assert raised.value.retry_after == 1.5


def test_what_the_server_says_to_programs_is_told_as_it_is(serve, connect):
    facts = {"field": "query", "limit": "253", "value": "400"}
    info = ErrorInfo(reason="INVALID_FIELD", domain="twopass", metadata=facts)
    url = "type.googleapis.com/google.rpc.ErrorInfo"
    detail = Any(type_url=url, value=info.SerializeToString())
    status = Status(code=3, details=[detail]).SerializeToString()
    script = aborting(grpc.StatusCode.INVALID_ARGUMENT, "query: too long", status)
    with pytest.raises(twopass.InvalidArgumentError) as raised:
        connect(serve(Searches(script))).search("docs", "q")
    error = raised.value
    assert (error.reason, error.field, error.metadata) == ("INVALID_FIELD", "query", facts)


def test_of_an_older_server_there_is_no_more_than_the_message(serve, connect):
    script = aborting(grpc.StatusCode.NOT_FOUND, "no collection")
    with pytest.raises(twopass.NotFoundError) as raised:
        connect(serve(Searches(script))).search("docs", "q")
    assert (raised.value.reason, raised.value.field, raised.value.metadata) == ("", "", {})


def test_details_that_are_no_status_leave_the_error_as_it_is(serve, connect):
    script = aborting(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full", b"\xff\xff\xff")
    with pytest.raises(OverloadedError, match="queue full") as raised:
        connect(serve(Searches(script))).search("docs", "q")
    assert raised.value.retry_after is None


def test_a_message_above_the_limit_is_refused_by_the_client(serve, connect):
    searches = Searches(at_once)
    with pytest.raises(OverloadedError, match="larger than max"):
        connect(serve(searches), max_message_bytes=1_000).search("docs", "q" * 2_000)
    assert searches.num_calls == 0


def test_errors_can_be_sent_between_processes():
    full = OverloadedError("full", retry_after=2.0, reason="OVERLOADED", metadata={"limit": "9"})
    error = pickle.loads(pickle.dumps(full))
    assert (type(error), error.message, error.retry_after) == (OverloadedError, "full", 2.0)
    assert (error.reason, error.metadata) == ("OVERLOADED", {"limit": "9"})
    assert error.code is grpc.StatusCode.RESOURCE_EXHAUSTED


def fails_twice():
    attempts = []

    def script(context):
        attempts.append(1)
        if len(attempts) < 3:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")

    return script


def test_a_read_is_tried_again_while_the_server_is_unavailable(serve, connect):
    searches = Searches(fails_twice())
    connect(serve(searches)).search("docs", "q")
    assert searches.num_calls == 3


def test_a_retry_waits_as_long_as_the_server_asks(serve, connect):
    script = fails_twice()

    def asking(context):
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "700"),))
        script(context)

    searches = Searches(asking)
    began = time.monotonic()
    connect(serve(searches)).search("docs", "q")
    assert searches.num_calls == 3
    assert time.monotonic() - began > 1.4  # by itself it would wait 0.36 s at most


def test_a_server_that_asks_for_no_retry_is_not_asked_again(serve, connect):
    def refusing(context):
        context.set_trailing_metadata((("grpc-retry-pushback-ms", "-1"),))
        context.abort(grpc.StatusCode.UNAVAILABLE, "the disk is full")

    searches = Searches(refusing)
    with pytest.raises(twopass.UnavailableError, match="the disk is full"):
        connect(serve(searches)).search("docs", "q")
    assert searches.num_calls == 1


def test_trying_again_ends_after_four_attempts(serve, connect):
    searches = Searches(aborting(grpc.StatusCode.UNAVAILABLE, "draining"))
    with pytest.raises(twopass.UnavailableError, match="draining"):
        connect(serve(searches)).search("docs", "q")
    assert searches.num_calls == 4


def test_no_other_failure_is_tried_again(serve, connect):
    searches = Searches(aborting(grpc.StatusCode.RESOURCE_EXHAUSTED, "queue full"))
    with pytest.raises(OverloadedError):
        connect(serve(searches)).search("docs", "q")
    assert searches.num_calls == 1


class Collections(CollectionServiceServicer):
    def __init__(self) -> None:
        self.script = fails_twice()

    def CreateCollection(self, request, context):
        self.script(context)
        return collection_pb2.CreateCollectionResponse()

    def DeleteDocuments(self, request, context):
        self.script(context)
        return collection_pb2.DeleteDocumentsResponse(num_deleted=1)


def test_a_write_is_tried_again_where_twice_is_as_good_as_once(serve, connect):
    assert connect(serve(Collections())).delete("docs", ["a"]).num_deleted == 1
    with pytest.raises(twopass.UnavailableError):
        connect(serve(Collections())).create_collection("docs")


def test_a_late_answer_is_an_error(serve, connect):
    def script(context):
        late.wait(10)

    searches = Searches(script)
    late = threading.Event()
    with pytest.raises(DeadlineExceededError):
        connect(serve(searches)).search("docs", "q", timeout=0.05)
    late.set()


@pytest.mark.parametrize(
    ("of_client", "of_call", "longest"),
    [(30.0, None, 30), (30.0, 5.0, 5), (None, 5.0, 5), (None, None, None), (30.0, math.inf, None)],
)
def test_a_call_has_the_deadline_of_its_own_or_the_clients(
    serve, connect, of_client, of_call, longest
):
    searches = Searches(at_once)
    connect(serve(searches), timeout=of_client).search("docs", "q", timeout=of_call)
    # A server without a deadline sees one that is centuries away, or none.
    if longest is None:
        assert searches.time_remaining is None or searches.time_remaining > 1e6
    else:
        # gRPC rounds deadlines up; on its way the call may lose some of the time.
        assert longest - 5 < searches.time_remaining < longest + 1


def test_the_key_goes_with_every_call(serve, connect):
    searches = Searches(at_once)
    address = serve(searches)
    connect(address, api_key="secret").search("docs", "q")
    assert searches.metadata["authorization"] == "Bearer secret"
    connect(address).search("docs", "q")
    assert "authorization" not in searches.metadata


def test_the_key_goes_with_streams_too(serve, connect):
    class Reranks(RerankServiceServicer):
        def RerankStream(self, request_iterator, context):
            keys.append(dict(context.invocation_metadata()).get("authorization"))
            for request in request_iterator:
                yield rerank_pb2.RerankStreamResponse(set_id=request.set_id)

    keys = []
    client = connect(serve(Reranks()), api_key="secret")
    list(client.rerank_stream([twopass.CandidateSet("a", "q", ["x"])]))
    assert keys == ["Bearer secret"]


def test_a_server_that_is_not_there_is_unavailable(connect):
    with pytest.raises(twopass.UnavailableError):
        connect("127.0.0.1:1").search("docs", "q")


def test_a_closed_client_refuses_every_call(serve, connect):
    client = connect(serve(Searches(at_once)))
    client.search("docs", "q")
    client.close()
    client.close()
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.search("docs", "q")
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.upsert("docs", [])


def test_leaving_the_block_closes_the_client(serve):
    with Client(serve()) as client:
        pass
    with pytest.raises(RuntimeError, match="the client is closed"):
        client.models()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"query": "\udc80"}, twopass.InvalidArgumentError, "query: .*U\\+DC80 at character 0"),
        ({"collection": "d\ud83d"}, twopass.InvalidArgumentError, "collection: .*at character 1"),
        ({"query": b"bytes"}, TypeError, "query: a str is needed, bytes given"),
        ({"top_n": 2**31}, twopass.InvalidArgumentError, "top_n: 2,147,483,648 given"),
        ({"top_n": 1.5}, TypeError, "top_n: an int is needed, float given"),
        ({"vector": [[1.0]]}, TypeError, "vector: a flat sequence of numbers"),
        ({"time_budget": math.nan}, twopass.InvalidArgumentError, "time_budget: nan seconds"),
        ({"retrieve": "sparse"}, twopass.InvalidArgumentError, "one of dense, lexical, hybrid"),
    ],
)
def test_a_bad_argument_is_refused_by_name_before_anything_is_sent(
    serve, connect, arguments, error, message
):
    searches = Searches(at_once)
    with pytest.raises(error, match=message) as raised:
        connect(serve(searches)).search(**({"collection": "docs", "query": "q"} | arguments))
    if isinstance(raised.value, TwopassError):
        assert message.startswith(f"{raised.value.field}: ") or "one of" in message
    assert searches.num_calls == 0
