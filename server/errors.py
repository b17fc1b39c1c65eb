"""What a request can be refused or fail with.

::

    RequestError                  the root; carries a message for the caller
    ├── InvalidRequestError       a field is wrong: names the field, the limit, the value
    │   └── TextTooLongError      a text is not to be cut, and has more tokens than a model reads
    ├── UnknownModelError         no model has that id, or it is of another kind
    ├── WrongModelKindError       the model does not do what is asked of it
    ├── EncoderChangedError       the collection's embeddings were made by another encoder
    ├── WorkerChangedError        another process answers than the caller was told of
    ├── OverloadedError           the queue has no room; says when to try again
    │   ├── QuotaError            the quota of the caller's key is used up
    │   └── WouldBeLateError      there is room, but the deadline would pass before its turn
    ├── LateError                 the deadline or the time budget ran out
    │   └── NeverInTimeError      even an idle engine takes longer than the deadline leaves
    ├── NotServedError            what is asked for is served over another wire alone
    ├── FeedbackNotKeptError      the server keeps no feedback
    ├── ResponseTooLargeError     the answer does not fit one message
    ├── UnauthenticatedError      no API key, or one that the server does not know
    └── PermissionDeniedError     the key may not do this, or not with this collection

`server/edge/statuses.py` translates them, and the errors of the index and the engines, to gRPC's
status codes.
"""

import re
from collections.abc import Container, Mapping

from twopass.index.errors import Fact

# A path in a request and its colon, with which messages about one field begin.
_FIELD = re.compile(r"([A-Za-z_]\w*(?:\[\d+\])*(?:\.\w+(?:\[\d+\])*)*): ", re.ASCII)


class RequestError(Exception):
    """A request was refused or failed.

    Attributes:
        facts: What the message says in words, for the caller's program, by name: "field", "limit",
            "value", "limit_name", "model", "collection".
    """

    facts: Mapping[str, Fact] = {}

    def __init__(self, message: str, **facts: Fact) -> None:
        """Makes an error.

        Args:
            message: For the caller, as are the facts.
            facts: See the class.
        """
        super().__init__(message)
        self.facts = facts


class InvalidRequestError(RequestError):
    """A field of the request is wrong; `facts` names it.

    The message begins with the field's path and a colon, or is about the request as a whole.
    """

    def __init__(self, message: str, **facts: Fact) -> None:
        if "field" not in facts and (named := _FIELD.match(message)):
            facts["field"] = named[1]
        super().__init__(message, **facts)


def at_place(error: Exception, **place: int) -> Exception:
    """An error of a stream that also says which of its messages was at fault.

    Args:
        error: Any error. It stays as it is: calls that share a COMMIT share its error.
        place: Further facts: `chunk` and `chunks_written`, `piece`, or `message`.

    Returns:
        An error of the same class.
    """
    kind = type(error)
    placed = kind.__new__(kind, *error.args)
    vars(placed).update(vars(error), facts={**getattr(error, "facts", {}), **place})
    return placed


def within(error: Exception, message: str, fields: Container[str]) -> Exception:
    """An error about a field of a nested message, with the whole path of the field.

    Args:
        error: Any error; what it says begins with the field's path, or it is about no field.
        message: What the nested message is called in the request.
        fields: Names of the nested message's fields.

    Returns:
        An error of the same class; `error` itself where it is about no such field.
    """
    named = _FIELD.match(str(error))
    if named is None or re.split(r"[.\[]", named[1])[0] not in fields:
        return error
    kind = type(error)
    placed = kind.__new__(kind)
    field = f"{message}.{named[1]}"
    vars(placed).update(vars(error), facts={**getattr(error, "facts", {}), "field": field})
    if "field" in vars(error):
        vars(placed)["field"] = field
    placed.args = (f"{message}.{error}",)
    return placed


class TextTooLongError(InvalidRequestError):
    """A text has more tokens than a model reads, and the request says not to cut it.

    Attributes:
        field: The text's path in the request.
        num_tokens: Its tokens, without special ones.
        max_tokens: Most that the model reads.
        model: The model's id.
    """

    def __init__(
        self, field: str, num_tokens: int, max_tokens: int, model: str, *, to_cut: str = ""
    ) -> None:
        super().__init__(
            f"{field}: {num_tokens:,} tokens of {model} given, at most {max_tokens:,} are read; "
            f"shorten it{to_cut and f', or {to_cut}'}",
            limit=max_tokens,
            value=num_tokens,
            model=model,
        )
        self.field = field
        self.num_tokens = num_tokens
        self.max_tokens = max_tokens
        self.model = model


class UnknownModelError(RequestError):
    """No model of that id serves requests of this kind."""


class WrongModelKindError(RequestError):
    """The model does not do what is asked of it: encoders rank nothing, rerankers embed nothing."""


class WorkerChangedError(RequestError):
    """Another process answers than the one that the caller was told of."""


class EncoderChangedError(RequestError):
    """The collection's embeddings were made by another encoder than has its name now."""


# How long the queue will be later than this can't be foreseen.
_MAX_RETRY_SECONDS = 30.0


class OverloadedError(RequestError):
    """The queue has no room for the whole request.

    Attributes:
        retry_after: Seconds until the queue will likely have room, at most 30; None where the
            request is larger than the queue.
    """

    def __init__(self, message: str, *, retry_after: float | None, **facts: Fact) -> None:
        super().__init__(message, **facts)
        self.retry_after = None if retry_after is None else min(retry_after, _MAX_RETRY_SECONDS)


class QuotaError(OverloadedError):
    """The quota of the caller's key is used up; `retry_after` is exact, with no upper limit."""

    def __init__(self, message: str, *, retry_after: float, **facts: Fact) -> None:
        super().__init__(message, retry_after=retry_after, **facts)
        self.retry_after = retry_after


class WouldBeLateError(OverloadedError):
    """By the measured speed of the engine, the answer would come after the deadline."""


class LateError(RequestError):
    """The deadline or the time budget ran out."""


class NeverInTimeError(LateError):
    """By its measured speed an idle engine takes longer than the deadline leaves.

    Trying again does not help. The message says how much time was needed and how much was left.
    """


class ResponseTooLargeError(RequestError):
    """The answer is larger than one message may be."""


class UnauthenticatedError(RequestError):
    """The call carries no API key, or none that the server knows."""


class PermissionDeniedError(RequestError):
    """The call's key may not do what it asks for."""


class FeedbackNotKeptError(RequestError):
    """The server keeps no feedback; says why, and the way out."""


class NotServedError(RequestError):
    """What is asked for is served over another wire alone; the message says over which."""
