"""When a client tries again: the throttle, and requests of any size."""

import pickle

import grpc
import pytest
from hypothesis import given
from hypothesis import strategies as st

import twopass.client as twopass
from twopass.client import Balancing, connect
from twopass.client._retries import Throttle
from twopass.v1 import search_pb2
from twopass.v1.search_pb2_grpc import SearchServiceServicer


def test_while_most_calls_fail_none_is_made_again_and_then_they_are_again():
    throttle = Throttle()
    allowed = [throttle.failed() for _ in range(600)]
    assert allowed == [True] * 499 + [False] * 101
    for _ in range(1_020):
        throttle.succeeded()
    assert throttle.failed()


@given(st.lists(st.booleans(), max_size=300))
def test_a_client_with_few_failures_is_never_throttled(outcomes):
    throttle = Throttle()
    for has_succeeded in outcomes:
        if has_succeeded:
            throttle.succeeded()
        else:
            assert throttle.failed()


class Searches(SearchServiceServicer):
    """Is unavailable at first."""

    def __init__(self) -> None:
        self.num_calls = 0

    def Search(self, request, context):
        self.num_calls += 1
        if self.num_calls == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "starting")
        return search_pb2.SearchResponse()


def test_a_request_of_any_size_is_made_again(serve, connect):
    """gRPC itself keeps no copy of more than 256 KiB to send again."""
    searches = Searches()
    connect(serve(searches)).search("docs", "q" * 2**20)
    assert searches.num_calls == 2


def test_a_client_whose_calls_mostly_fail_makes_each_once(serve, connect):
    class Away(SearchServiceServicer):
        num_calls = 0

        def Search(self, request, context):
            self.num_calls += 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "away")

    away = Away()
    client = connect(serve(away))
    connection = (client if isinstance(client, twopass.Client) else client._client)._connection
    for _ in range(600):
        connection.throttle.failed()
    with pytest.raises(twopass.UnavailableError):
        client.search("docs", "q")
    assert away.num_calls == 1


def test_a_copied_client_spreads_its_calls_as_the_original_does():
    balancing = Balancing(health_service=None, hedge_after=0.5)
    with connect("one.invalid,127.0.0.1", balancing=balancing) as client:
        copied = pickle.dumps(client)
    with pickle.loads(copied) as again:
        assert again._connection.balancing == balancing
        assert again._connection.target == "one.invalid:50051,127.0.0.1:50051"
