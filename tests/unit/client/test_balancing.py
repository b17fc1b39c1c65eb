"""One client of several servers: who is asked, who is not, and what is asked again."""

import threading
from collections import Counter
from collections.abc import Callable

import grpc
import pytest
import trustme
from grpc_health.v1 import health, health_pb2, health_pb2_grpc

import twopass.client as twopass
from twopass.client import Balancing, InternalError, OverloadedError, UnavailableError
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer
from twopass.v1.status_pb2 import RetryInfo, Status

SERVING = health_pb2.HealthCheckResponse.SERVING
NOT_SERVING = health_pb2.HealthCheckResponse.NOT_SERVING
# Longer than any test waits: reached only where something hangs.
SECONDS = 60.0


def answers(context: grpc.ServicerContext) -> None:
    """What a server does that is well."""


class Replica(CollectionServiceServicer):
    """A server that tells its number, as the count of documents, or does as it is told."""

    def __init__(self, number: int, act: Callable[[grpc.ServicerContext], None] = answers) -> None:
        self.number = number
        self.act = act
        self.num_calls = 0

    def CountDocuments(self, request, context):
        self.num_calls += 1
        self.act(context)
        return collection_pb2.CountDocumentsResponse(num_documents=self.number)

    def DeleteDocuments(self, request, context):
        self.num_calls += 1
        self.act(context)
        return collection_pb2.DeleteDocumentsResponse(num_deleted=self.number)

    def UpdateAliases(self, request, context):
        self.num_calls += 1
        self.act(context)
        return collection_pb2.UpdateAliasesResponse()


class ClosedHealth(health_pb2_grpc.HealthServicer):
    """Tells health to nobody without a key."""

    def Watch(self, request, context):
        context.abort(grpc.StatusCode.UNAUTHENTICATED, "no API key")


def well(state: int = SERVING, service: str = "") -> health.HealthServicer:
    servicer = health.HealthServicer()
    servicer.set(service, state)
    return servicer


def fails(
    code: grpc.StatusCode, retry_after: float | None = None
) -> Callable[[grpc.ServicerContext], None]:
    def act(context: grpc.ServicerContext) -> None:
        if retry_after is not None:
            status = Status(code=code.value[0])
            info = RetryInfo()
            info.retry_delay.FromMilliseconds(round(retry_after * 1000))
            status.details.add(
                type_url="type.googleapis.com/google.rpc.RetryInfo", value=info.SerializeToString()
            )
            context.set_trailing_metadata(
                (("grpc-status-details-bin", status.SerializeToString()),)
            )
        context.abort(code, "as the test says")

    return act


def asked_in_turn(client, num_servers: int) -> None:
    """Calls until all servers have answered: connections are made in any order."""
    waiting = set(range(num_servers))
    while waiting:
        waiting.discard(client.count("docs"))


def test_calls_go_to_all_servers_in_turn(serve, connect):
    client = connect(",".join(serve(Replica(i), well()) for i in range(3)))
    asked_in_turn(client, 3)
    assert Counter(client.count("docs") for _ in range(30)) == {0: 10, 1: 10, 2: 10}


def test_names_in_a_list_are_as_good_as_numbers(serve, connect):
    targets = [serve(Replica(i), well()).replace("127.0.0.1", "localhost") for i in range(2)]
    asked_in_turn(connect(",".join(targets)), 2)


def test_a_server_that_says_it_is_unwell_is_asked_for_nothing_until_it_is_well(serve, connect):
    healths = [well(), well()]
    client = connect(",".join(serve(Replica(i), healths[i]) for i in range(2)))
    asked_in_turn(client, 2)
    healths[0].set("", NOT_SERVING)
    while client.count("docs") == 0 or client.count("docs") == 0:
        pass  # it is told, and a moment later heard
    assert {client.count("docs") for _ in range(10)} == {1}
    healths[0].set("", SERVING)
    asked_in_turn(client, 2)


def test_the_health_of_one_service_may_decide(serve, connect):
    name = "twopass.v1.EmbedService"
    unwell, fit = well(SERVING), well(NOT_SERVING)
    unwell.set(name, NOT_SERVING)
    fit.set(name, SERVING)
    targets = serve(Replica(0), unwell), serve(Replica(1), fit)
    client = connect(",".join(targets), balancing=Balancing(health_service=name))
    assert {client.count("docs") for _ in range(10)} == {1}


@pytest.mark.parametrize(
    "told", [lambda: well(NOT_SERVING), ClosedHealth], ids=["unwell", "told-to-nobody"]
)
def test_where_no_server_says_it_is_well_all_are_asked(serve, connect, told):
    replicas = [Replica(i) for i in range(2)]
    client = connect(",".join(serve(each, told()) for each in replicas))
    asked_in_turn(client, 2)
    asked = sum(each.num_calls for each in replicas)
    client.update_aliases({"a": "docs"})  # a write that is made once alone: none was sent before
    assert sum(each.num_calls for each in replicas) == asked + 1


def test_a_stream_to_servers_that_are_all_unwell_says_so(serve, connect):
    client = connect(",".join(serve(Replica(i), well(NOT_SERVING)) for i in range(2)))
    with pytest.raises(UnavailableError, match=r"no server at .* is well") as raised:
        list(client.rerank_stream([twopass.CandidateSet("a", "q", ["b"])]))
    assert raised.value.reason == "UNWELL"


def test_where_no_server_is_reached_the_error_names_all(connect):
    with pytest.raises(UnavailableError) as raised:
        connect("127.0.0.1:1,127.0.0.1:2").count("docs")
    assert raised.value.reason == "CONNECTION_REFUSED"
    assert raised.value.message.endswith("at any of 127.0.0.1:1, 127.0.0.1:2?")


@pytest.mark.parametrize("balancing", [None, Balancing(health_service=None)])
def test_servers_without_health_are_taken_to_be_well(serve, connect, balancing):
    targets = [serve(Replica(i)) for i in range(2)]
    asked_in_turn(connect(",".join(targets), balancing=balancing), 2)


def test_a_read_whose_server_is_lost_is_made_again_of_another(serve, connect):
    hold, reached = threading.Event(), threading.Event()

    def hangs(context):
        reached.set()
        hold.wait(SECONDS)

    lost, other = Replica(0), Replica(1)
    servers = [serve.server(lost, well()), serve.server(other, well())]
    client = connect(",".join(server.target for server in servers))
    asked_in_turn(client, 2)
    lost.act = hangs
    ends = threading.Thread(target=lambda: reached.wait(SECONDS) and servers[0].stop(None))
    ends.start()
    assert {client.count("docs") for _ in range(4)} == {1}
    hold.set()
    ends.join()


def test_a_read_that_the_end_of_a_drain_has_cut_off_is_made_again_of_another(serve, connect):
    client, first = two_of_which_the_first(serve, connect, fails(grpc.StatusCode.CANCELLED))
    while not first.num_calls:
        assert client.count("docs") == 1


def test_a_single_server_that_has_no_room_is_the_callers_to_wait_for(serve, connect):
    replica = Replica(0, fails(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.01))
    client = connect(serve(replica, well()))
    with pytest.raises(OverloadedError) as raised:
        client.count("docs")
    assert raised.value.retry_after == pytest.approx(0.01)
    assert replica.num_calls == 1


def two_of_which_the_first(serve, connect, act):
    """A client that is connected to two servers, of which the first then does something else."""
    first, second = Replica(0), Replica(1)
    client = connect(",".join((serve(first, well()), serve(second, well()))))
    asked_in_turn(client, 2)
    first.act, first.num_calls = act, 0
    return client, first


@pytest.mark.parametrize("call", [lambda c: c.count("d"), lambda c: c.update_aliases({"a": "d"})])
def test_where_one_server_has_no_room_another_is_asked_for_reads_and_writes(serve, connect, call):
    full = fails(grpc.StatusCode.RESOURCE_EXHAUSTED, 0.01)
    client, first = two_of_which_the_first(serve, connect, full)
    while first.num_calls < 3:
        call(client)


def test_what_is_too_large_for_one_server_is_too_large_for_all(serve, connect):
    refuse = fails(grpc.StatusCode.RESOURCE_EXHAUSTED)  # without RetryInfo: no use in another try
    replicas = [Replica(i, refuse) for i in range(2)]
    client = connect(",".join(serve(each, well()) for each in replicas))
    with pytest.raises(OverloadedError):
        client.count("docs")
    assert sum(each.num_calls for each in replicas) == 1


def test_a_read_that_a_device_failed_is_made_once_more(serve, connect):
    broken = fails(grpc.StatusCode.INTERNAL, 0.01)
    client, first = two_of_which_the_first(serve, connect, broken)
    while first.num_calls < 3:
        assert client.count("docs") == 1


def test_a_read_that_every_device_fails_at_does_not_go_through_all_servers(serve, connect):
    replicas = [Replica(i, fails(grpc.StatusCode.INTERNAL, 0.01)) for i in range(4)]
    client = connect(",".join(serve(each, well()) for each in replicas))
    with pytest.raises(InternalError):
        client.count("docs")
    assert sum(each.num_calls for each in replicas) == 2


@pytest.mark.parametrize(
    ("retry_after", "call"),
    [(None, lambda c: c.count("d")), (0.01, lambda c: c.delete("d", ["a"]))],
    ids=["bug", "write"],
)
def test_no_bug_and_no_write_that_failed_inside_is_made_again(serve, connect, retry_after, call):
    replicas = [Replica(i, fails(grpc.StatusCode.INTERNAL, retry_after)) for i in range(2)]
    client = connect(",".join(serve(each, well()) for each in replicas))
    with pytest.raises(InternalError):
        call(client)
    assert sum(each.num_calls for each in replicas) == 1


def test_a_server_that_needs_long_is_not_waited_for_where_it_is_the_only_one(serve, connect):
    replica = Replica(0, fails(grpc.StatusCode.UNAVAILABLE, 5.0))
    with pytest.raises(UnavailableError) as raised:
        connect(serve(replica, well())).count("docs")
    assert raised.value.retry_after == 5.0
    assert replica.num_calls == 1


def test_a_server_that_needs_long_is_passed_over_where_there_are_others(serve, connect):
    away = fails(grpc.StatusCode.UNAVAILABLE, 5.0)
    client, first = two_of_which_the_first(serve, connect, away)
    while not first.num_calls:
        assert client.count("docs") == 1


def test_no_attempt_is_waited_for_that_the_deadline_forbids(serve, connect):
    replicas = [Replica(i, fails(grpc.StatusCode.UNAVAILABLE, 1.5)) for i in range(2)]
    client = connect(",".join(serve(each, well()) for each in replicas))
    with pytest.raises(UnavailableError):  # what was wrong, not that time ran out
        client.count("docs", timeout=1.0)
    assert sum(each.num_calls for each in replicas) == 1


class Slow:
    """Holds each call until its caller goes."""

    def __init__(self) -> None:
        self.num_given_up = 0

    def __call__(self, context: grpc.ServicerContext) -> None:
        gone = threading.Event()
        context.add_callback(gone.set)
        assert gone.wait(SECONDS)
        self.num_given_up += 1


def test_a_read_that_is_slow_is_asked_of_a_second_server_and_the_first_call_cancelled(
    serve, connect
):
    slow, fast = Replica(0), Replica(1)
    targets = ",".join((serve(slow, well()), serve(fast, well())))
    client = connect(targets, balancing=Balancing(hedge_after=0.05))
    asked_in_turn(client, 2)
    slow.act = hold = Slow()
    while hold.num_given_up < 2:
        assert client.count("docs") == 1


def test_a_read_fails_by_the_first_failure_once_both_servers_have_failed_it(serve, connect):
    broken = fails(grpc.StatusCode.NOT_FOUND)
    targets = ",".join(serve(Replica(i, broken), well()) for i in range(2))
    client = connect(targets, balancing=Balancing(hedge_after=30.0))
    with pytest.raises(twopass.NotFoundError):
        client.count("docs")


def test_no_write_is_asked_twice_at_once(serve, connect):
    replicas = [Replica(i) for i in range(2)]
    targets = ",".join(serve(each, well()) for each in replicas)
    client = connect(targets, balancing=Balancing(hedge_after=1e-6))
    for _ in range(10):
        client.delete("docs", ["a"])
    assert sum(each.num_calls for each in replicas) == 10


@pytest.mark.parametrize("seconds", [0, -1.0, float("nan")])
def test_a_delay_that_is_none_is_refused(seconds):
    with pytest.raises(twopass.InvalidArgumentError, match=r"hedge_after: .* seconds above 0"):
        Balancing(hedge_after=seconds)


def test_with_tls_every_server_of_a_list_shows_the_first_name(serve, connect):
    authority = trustme.CA()
    tls = serve.tls(authority.issue_cert("localhost"))
    other = serve.tls(authority.issue_cert("other.example"))
    trusting = grpc.ssl_channel_credentials(authority.cert_pem.bytes())
    targets = [
        serve.server(Replica(i), well(), credentials=each).target.replace("127.0.0.1", "localhost")
        for i, each in enumerate((tls, tls, other))
    ]
    asked_in_turn(connect(",".join(targets[:2]), credentials=trusting), 2)
    with pytest.raises(UnavailableError) as raised:
        connect(f"{targets[2]},{targets[2]}", credentials=trusting).count("docs")
    assert raised.value.reason == "OTHER_NAME"
