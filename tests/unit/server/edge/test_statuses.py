import base64
import inspect
import re
from pathlib import Path
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2

from twopass.engines import errors as engine_errors
from twopass.engines.errors import EngineError, EngineUnavailableError
from twopass.index import errors as index_errors
from twopass.index.errors import CollectionClosedError, InvalidQueryError, StorageError
from twopass.server import errors as server_errors
from twopass.server.edge.statuses import (
    details_of,
    message_of,
    status_code,
    status_of,
    trailers_of,
)
from twopass.server.errors import (
    InvalidRequestError,
    OverloadedError,
    TextTooLongError,
    UnknownModelError,
    WouldBeLateError,
    at_place,
    within,
)
from twopass.v1.status_pb2 import RetryInfo

CODES = {
    # bad input
    "InvalidRequestError": grpc.StatusCode.INVALID_ARGUMENT,
    "InputTooLongError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidInputError": grpc.StatusCode.INVALID_ARGUMENT,
    "TextTooLongError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidSchemaError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidAliasError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidRenameError": grpc.StatusCode.INVALID_ARGUMENT,
    "InvalidSettingsError": grpc.StatusCode.INVALID_ARGUMENT,
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
    "AliasNameTakenError": grpc.StatusCode.ALREADY_EXISTS,
    "DocumentsExistError": grpc.StatusCode.ALREADY_EXISTS,
    "AliasExistsError": grpc.StatusCode.ALREADY_EXISTS,
    "SnapshotExistsError": grpc.StatusCode.ALREADY_EXISTS,
    # queue full
    "OverloadedError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "QuotaError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "WouldBeLateError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "OutOfDeviceMemoryError": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "EngineBusyError": grpc.StatusCode.RESOURCE_EXHAUSTED,
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
    "StoreUnreachableError": grpc.StatusCode.UNAVAILABLE,
    # damaged on disk
    "CollectionDamagedError": grpc.StatusCode.DATA_LOSS,
    "SnapshotDamagedError": grpc.StatusCode.DATA_LOSS,
    # late
    "LateError": grpc.StatusCode.DEADLINE_EXCEEDED,
    "NeverInTimeError": grpc.StatusCode.DEADLINE_EXCEEDED,
    "StoppedError": grpc.StatusCode.DEADLINE_EXCEEDED,
    # what the collection is now is not what the caller has in mind
    "WrongModelKindError": grpc.StatusCode.FAILED_PRECONDITION,
    "StaleSequenceError": grpc.StatusCode.FAILED_PRECONDITION,
    "WorkerChangedError": grpc.StatusCode.FAILED_PRECONDITION,
    "EncoderChangedError": grpc.StatusCode.FAILED_PRECONDITION,
    "SnapshotsKeptError": grpc.StatusCode.FAILED_PRECONDITION,
    "CollectionAliasedError": grpc.StatusCode.FAILED_PRECONDITION,
    # over another wire
    "FeedbackNotKeptError": grpc.StatusCode.UNIMPLEMENTED,
    "NotServedError": grpc.StatusCode.UNIMPLEMENTED,
    # by another store
    "UnsupportedByStoreError": grpc.StatusCode.UNIMPLEMENTED,
    # a bug or a failed device
    "EngineError": grpc.StatusCode.INTERNAL,
    "NonFiniteOutputError": grpc.StatusCode.INTERNAL,
    "ModelError": grpc.StatusCode.INTERNAL,
    "UnsupportedModelError": grpc.StatusCode.INTERNAL,
    "WrongKindError": grpc.StatusCode.INTERNAL,
    "MisfitError": grpc.StatusCode.INTERNAL,
    "DeviceError": grpc.StatusCode.INTERNAL,
    "CollectionError": grpc.StatusCode.INTERNAL,
    "RequestError": grpc.StatusCode.INTERNAL,
}
# Where the names for programs are written down for those who use them.
CONTRACT = (Path(__file__).parents[4] / "protos" / "twopass" / "v1" / "status.proto").read_text()
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


def details(error: Exception) -> dict[str, Message]:
    """The details of an error by their names, decoded as Google's."""
    found = {url.rpartition("/")[2]: content for url, content in details_of(error)}
    return {
        name.removeprefix("google.rpc."): getattr(
            error_details_pb2, name.removeprefix("google.rpc.")
        ).FromString(content)
        for name, content in found.items()
    }


@pytest.mark.parametrize("name", CODES)
def test_every_error_has_a_name_for_programs(name):
    info = details(made(CLASSES[name]))["ErrorInfo"]
    assert info.domain == "twopass"
    assert re.fullmatch("[A-Z][A-Z_]+[A-Z]", info.reason)
    assert info.reason in CONTRACT


FACTS = [
    (
        InvalidRequestError("top_n: -1 given, at least 0 is needed", limit=0, value=-1),
        {"field": "top_n", "limit": "0", "value": "-1"},
    ),
    (InvalidRequestError("a.b[3].c_d: wrong"), {"field": "a.b[3].c_d"}),
    (InvalidRequestError("not a message: cut short"), {}),
    (
        index_errors.InvalidDocumentError("documents[3].id", "too long", limit=512, value=600),
        {"field": "documents[3].id", "limit": "512", "value": "600"},
    ),
    (index_errors.CollectionNotFoundError("docs"), {"collection": "docs"}),
    (
        index_errors.DocumentNotFoundError("docs", "a"),
        {"collection": "docs", "document": "a"},
    ),
    (
        index_errors.SnapshotExistsError("docs", "monday"),
        {"collection": "docs", "snapshot": "monday"},
    ),
    (
        index_errors.LaneFullError("writes", 64, 0.1),
        {"lane": "writes", "limit": "64"},
    ),
    (engine_errors.InputTooLongError(600, 512), {"limit": "512", "value": "600"}),
    (
        at_place(InvalidRequestError("collection: wrong"), chunk=3, chunks_written=2),
        {"field": "collection", "chunk": "3", "chunks_written": "2"},
    ),
    (EngineError("/secret"), {}),
    (at_place(ValueError("/secret"), piece=7), {"piece": "7"}),
]


@pytest.mark.parametrize(("error", "facts"), FACTS, ids=lambda value: type(value).__name__)
def test_what_a_message_says_in_words_is_told_to_programs_too(error, facts):
    assert dict(details(error)["ErrorInfo"].metadata) == facts


@pytest.mark.parametrize(
    ("error", "field", "description"),
    [
        (InvalidRequestError("a.b[3]: none given"), "a.b[3]", "none given"),
        (InvalidRequestError("not a message: cut short"), "", "not a message: cut short"),
        (index_errors.InvalidQueryError("vector", "too short"), "vector", "too short"),
        (at_place(InvalidRequestError("a: b"), chunk=1, chunks_written=0), "a", "b"),
    ],
)
def test_what_is_invalid_names_its_field_as_google_does(error, field, description):
    (violation,) = details(error)["BadRequest"].field_violations
    assert (violation.field, violation.description) == (field, description)


def test_an_error_of_a_stream_says_which_message_and_what_is_done():
    error = InvalidRequestError("documents[0].id: empty")
    placed = at_place(error, chunk=3, chunks_written=2)
    assert message_of(placed, "id") == "chunk 3, after 2 written: documents[0].id: empty"
    # Calls that share a COMMIT share its error, so it must stay as it was.
    assert message_of(error, "id") == "documents[0].id: empty"
    assert message_of(at_place(error, piece=5), "id") == "piece 5: documents[0].id: empty"


TEXTS = {"ascii": "x", "of three bytes": "東", "of four bytes": "🙂"}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
def test_trailers_never_exceed_what_grpc_lets_through(text):
    facts = {f"fact_{number}": text * 10_000 for number in range(50)}
    error = InvalidRequestError(f"field: {text * 10_000}", value=text * 10_000, **facts)
    message = message_of(error, "id")
    trailers = trailers_of(error, status_code(error), message)
    (details,) = (value for name, value in trailers if name == "grpc-status-details-bin")
    size = len(quote(message)) + len(base64.b64encode(details)) + len(str(trailers[0][0]))
    assert size < 8 * 1024 - 200  # what gRPC itself and proxies add


def test_of_too_many_facts_the_short_ones_are_told():
    error = InvalidRequestError("field: wrong", limit=10, **{c: c * 300 for c in "abcdef"})
    told = details(error)["ErrorInfo"].metadata
    assert (told["field"], told["limit"]) == ("field", "10")
    assert len(told) < 8


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
    _, detail = status_of(made(CLASSES[name]), "id").details
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


@pytest.mark.parametrize(
    ("error", "named"),
    [
        (InvalidRequestError("query: empty", value=1), "set.query"),
        (InvalidQueryError("query.x[3].y", "odd"), "set.query.x[3].y"),
        (TextTooLongError("query", 9, 8, "m"), "set.query"),
        (UnknownModelError("query: no such model", model="m"), "set.query"),
        (InvalidRequestError("set.query: said already"), "set.query"),
        (InvalidRequestError("candidates[0].text: empty"), "candidates[0].text"),
        (ValueError("a bug"), None),
    ],
)
def test_a_field_of_a_nested_message_gets_its_whole_path(error, named):
    before = vars(error).copy()
    placed = within(error, "set", {"query"})
    assert type(placed) is type(error)
    assert vars(error) == before
    if named is not None:
        assert placed.facts["field"] == named
        assert str(placed).startswith(f"{named}: ")
        assert getattr(placed, "field", named) == named
    assert status_code(placed) is status_code(error)
