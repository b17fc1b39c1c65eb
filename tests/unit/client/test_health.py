import pytest
from grpc_health.v1 import health, health_pb2

from twopass.client import DeadlineExceededError, NotFoundError

STATUSES = health_pb2.HealthCheckResponse
SERVING, NOT_SERVING, UNKNOWN = STATUSES.SERVING, STATUSES.NOT_SERVING, STATUSES.UNKNOWN


class Health(health.HealthServicer):
    """Answers with one status after the other, the last for good, whatever service is asked for."""

    def __init__(self, *statuses) -> None:
        super().__init__()
        self.statuses = list(statuses)
        self.services = []

    def Check(self, request, context):
        self.services.append(request.service)
        self.set(request.service, self.statuses[0])
        if len(self.statuses) > 1:
            del self.statuses[0]
        return super().Check(request, context)


@pytest.mark.parametrize(
    ("status", "is_ready"), [(SERVING, True), (NOT_SERVING, False), (UNKNOWN, False)]
)
def test_a_server_is_ready_when_it_serves(serve, connect, status, is_ready):
    assert connect(serve(Health(status))).is_ready() is is_ready


@pytest.mark.parametrize("service", ["", "twopass.v1.SearchService", "é" * 200])
def test_one_service_can_be_asked_for(serve, connect, service):
    servicer = Health(SERVING)
    assert connect(serve(servicer)).is_ready(service)
    assert servicer.services == [service]


def test_a_server_that_is_not_there_is_not_ready(connect):
    assert not connect("127.0.0.1:1").is_ready()


def test_an_unknown_service_is_an_error(serve, connect):
    with pytest.raises(NotFoundError):
        connect(serve(health.HealthServicer())).is_ready("unknown")


def test_waiting_ends_when_the_server_serves(serve, connect):
    servicer = Health(NOT_SERVING, NOT_SERVING, SERVING)
    connect(serve(servicer)).wait_until_ready(10)
    assert len(servicer.services) == 3


def test_waiting_ends_in_an_error_when_it_never_does(serve, connect):
    with pytest.raises(DeadlineExceededError, match=r"not ready within 0\.2 s"):
        connect(serve(Health(NOT_SERVING))).wait_until_ready(0.2)
