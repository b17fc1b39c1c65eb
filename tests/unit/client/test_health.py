import grpc
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from twopass.client import DeadlineExceededError, NotFoundError

SERVING, NOT_SERVING = 1, 2


def messages():
    """The standard's own two messages, so that what is coded by hand meets a real codec."""
    file = descriptor_pb2.FileDescriptorProto(name="health.proto", package="grpc.health.v1")
    field = descriptor_pb2.FieldDescriptorProto
    request = file.message_type.add(name="HealthCheckRequest").field
    request.add(name="service", number=1, type=field.TYPE_STRING, label=field.LABEL_OPTIONAL)
    response = file.message_type.add(name="HealthCheckResponse").field
    response.add(name="status", number=1, type=field.TYPE_INT32, label=field.LABEL_OPTIONAL)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return [
        message_factory.GetMessageClass(pool.FindMessageTypeByName(f"grpc.health.v1.{name}"))
        for name in ("HealthCheckRequest", "HealthCheckResponse")
    ]


Request, Response = messages()


class Health(grpc.GenericRpcHandler):
    """Answers with one status after the other, the last for good."""

    def __init__(self, *statuses) -> None:
        self.statuses = list(statuses)
        self.services = []

    def service(self, handler_call_details):
        assert handler_call_details.method == "/grpc.health.v1.Health/Check"
        return grpc.unary_unary_rpc_method_handler(
            self.check,
            request_deserializer=Request.FromString,
            response_serializer=Response.SerializeToString,
        )

    def check(self, request, context):
        self.services.append(request.service)
        if request.service == "unknown":
            context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        status = self.statuses.pop(0) if len(self.statuses) > 1 else self.statuses[0]
        return Response(status=status)


@pytest.mark.parametrize(
    ("status", "is_ready"), [(SERVING, True), (NOT_SERVING, False), (0, False)]
)
def test_a_server_is_ready_when_it_serves(serve, connect, status, is_ready):
    assert connect(serve(Health(status))).is_ready() is is_ready


@pytest.mark.parametrize("service", ["", "twopass.v1.SearchService", "é" * 200])
def test_one_service_can_be_asked_for(serve, connect, service):
    health = Health(SERVING)
    assert connect(serve(health)).is_ready(service)
    assert health.services == [service]


def test_a_server_that_is_not_there_is_not_ready(connect):
    assert not connect("127.0.0.1:1").is_ready()


def test_an_unknown_service_is_an_error(serve, connect):
    with pytest.raises(NotFoundError, match="unknown service"):
        connect(serve(Health(SERVING))).is_ready("unknown")


def test_waiting_ends_when_the_server_serves(serve, connect):
    health = Health(NOT_SERVING, NOT_SERVING, SERVING)
    connect(serve(health)).wait_until_ready(10)
    assert len(health.services) == 3


def test_waiting_ends_in_an_error_when_it_never_does(serve, connect):
    with pytest.raises(DeadlineExceededError, match=r"not ready within 0\.2 s"):
        connect(serve(Health(NOT_SERVING))).wait_until_ready(0.2)
