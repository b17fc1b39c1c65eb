import inspect

import grpc
import pytest

from twopass.engines import errors as engine_errors
from twopass.engines.errors import EngineUnavailableError
from twopass.index import errors as index_errors
from twopass.index.errors import CollectionClosedError, StorageError
from twopass.server import errors as server_errors
from twopass.server.edge.statuses import status_code, status_of, trailers_of
from twopass.server.errors import OverloadedError, WouldBeLateError
from twopass.v1.status_pb2 import RetryInfo

CODES = {
    # bad input
    "InvalidRequestError": grpc.StatusCode.INVALID_ARGUMENT,
    "InputTooLongError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidInputError": grpc.StatusCode.INVALID_ARGUMENT,
    "TextTooLongError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidSchemaError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidAliasError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidDocumentError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidFilterError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidQueryError": grpc.StatusCode.INVALID_ARGUMENT,
    "MalformedSequenceError": grpc.StatusCode.INVALID_ARGUMENT,
    # unknown collection, model, document
    "CollectionNotFoundError": grpc.StatusCode.NOT_FOUND,
    "UnknownModelError": grpc.StatusCode.NOT_FOUND,
    "DocumentNotFoundError": grpc.StatusCode.NOT_FOUND,
    "SnapshotNotFoundError": grpc.StatusCode.NOT_FOUND,
    # exists already
    "CollectionExistsError": grpc.StatusCode.ALREADY_EXISTS,
    "DocumentsExistError": grpc.StatusCode.ALREADY_EXISTS,
    "AliasExistsError": grpc.StatusCode.ALREADY_EXISTS,
    "SnapshotExistsError": grpc.StatusCode.ALREADY_EXISTS,
    # queue full
    "OverloadedError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QuotaError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "WouldBeLateError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OutOfDeviceMemoryError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "ResponseTooLargeError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "AnswerTooLargeError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "DocumentTooLargeError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "LaneFullError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "CollectionsInUseError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    # no key, or not for this
    "UnauthenticatedError": grpc.StatusCode.UNAUTHENTICATED,
    "PermissionDeniedError": grpc.StatusCode.PERMISSION_DENIED,
    # engine or disk down
    "EngineUnavailableError": grpc.StatusCode.UNAVAILABLE,
    "CollectionClosedError": grpc.StatusCode.UNAVAILABLE,
    "StorageError": grpc.StatusCode.UNAVAILABLE,
    "FolderInUseError": grpc.StatusCode.UNAVAILABLE,
    # damaged on disk
    "CollectionDamagedError": grpc.StatusCode.DATA_LOSS,
    "SnapshotDamagedError": grpc.StatusCode.DATA_LOSS,
    # late
    "LateError": grpc.StatusCode.DEADLINE_EXCEEDED,
    "NeverInTimeError": grpc.StatusCode.DEADLINE_EXCEEDED,
    "StoppedError": grpc.StatusCode.DEADLINE_EXCEEDED,
    # what the collection is now is not what the caller has in mind
    "StaleSequenceError": grpc.StatusCode.FAILED_PRECONDITION,
    "EncoderChangedError": grpc.StatusCode.FAILED_PRECONDITION,
    "CollectionAliasedError": grpc.StatusCode.FAILED_PRECONDITION,
    # a bug or a failed device
    "EngineError": grpc.StatusCode.INTERNAL,
    "NonFiniteOutputError": grpc.StatusCode.INTERNAL,
    "ModelError": grpc.StatusCode.INTERNAL,
    "UnsupportedModelError": grpc.StatusCode.INTERNAL,
    "WrongKindError": grpc.StatusCode.INTERNAL,
    "DeviceError": grpc.StatusCode.INTERNAL,
    "CollectionError": grpc.StatusCode.INTERNAL,
    "RequestError": grpc.StatusCode.INTERNAL,
}
CLASSES = {
    name: member
    for module in (server_errors, index_errors, engine_errors)
    for name, member in inspect.getmembers(module, inspect.isclass)
    if issubclass(member, Exception) and member.__module__ == module.__name__
}


def test_the_table_leaves_out_no_error():
    assert CLASSES.keys() == CODES.keys()


@pytest.mark.parametrize("name", CODES)
def test_every_error_is_answered_with_its_status(name):
    error_class = CLASSES[name]
    error = error_class.__new__(error_class)  # whatever its constructor wants to know
    assert status_code(error) is CODES[name]


@pytest.mark.parametrize("error", [ValueError(), KeyError("x"), ZeroDivisionError(), Exception()])
def test_what_nobody_thought_of_is_internal(error):
    assert status_code(error) is grpc.StatusCode.INTERNAL


@pytest.mark.parametrize(
    "module", [server_errors, index_errors, engine_errors], ids=lambda module: module.__name__
)
def test_the_tree_at_the_top_of_each_file_names_each_of_its_errors(module):
    for name, error_class in CLASSES.items():
        if error_class.__module__ == module.__name__:
            assert name in module.__doc__


def made(error_class: type[Exception]) -> Exception:
    """An error of a class, whatever its constructor wants to know."""
    error = error_class.__new__(error_class)
    if error_class in (OverloadedError, WouldBeLateError):
        error.retry_after = 0.1  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(
    "name", [name for name, code in CODES.items() if code is grpc.StatusCode.UNAVAILABLE]
)
def test_whatever_is_unavailable_says_when_to_try_again(name):
    (detail,) = status_of(made(CLASSES[name]), "id").details
    assert detail.type_url == "type.googleapis.com/google.rpc.RetryInfo"
    assert RetryInfo.FromString(detail.value).retry_delay.ToMilliseconds() > 0


@pytest.mark.parametrize(
    ("error", "pushback"),
    [
        (EngineUnavailableError("it starts anew"), "1000"),
        (CollectionClosedError("docs"), "500"),
        (StorageError("the disk is full"), "-1"),  # an operator's matter: clients should say so
        (OverloadedError("full", retry_after=0.2), None),  # refused: gRPC does not try it again
    ],
    ids=lambda value: type(value).__name__,
)
def test_retries_of_grpc_itself_wait_or_give_up_as_the_error_wants(error, pushback):
    trailers = trailers_of(error, status_code(error), "what happened")
    assert dict(trailers).get("grpc-retry-pushback-ms") == pushback
