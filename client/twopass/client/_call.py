"""A call as a value: built and read by pure functions, made by either client.

A function such as `search` returns the call it stands for. Both clients turn it into their method
of that name, with its parameters and its docstring, so the two can't drift apart.
"""

import inspect
import re
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args

from twopass.client._rpcs import Request, Response, Rpc
from twopass.client._values import text
from twopass.client.errors import InvalidArgumentError

Result = TypeVar("Result")

# The server's own rule: it gives an id of its own to a call whose id is anything else.
_REQUEST_ID = re.compile("[A-Za-z0-9._-]{1,64}")


class Call(Generic[Result]):
    """One request and how to read its answer.

    Attributes:
        rpc: What to call.
        request: What to send.
        result: Turns the response into what the caller gets.
        is_paged: Whether all pages are asked for, one after another.
        timeout: Seconds; None for the client's default, infinity for no deadline.
        metadata: Metadata sent with this call beside the client's.
    """

    # `result` takes the response; for a paged call, the responses of all pages in order.
    __slots__ = ("is_paged", "metadata", "request", "result", "rpc", "timeout")

    def __init__(
        self,
        rpc: Rpc[Request, Response],
        request: Request,
        result: Callable[..., Result],
        timeout: float | None,
        *,
        is_paged: bool = False,
        request_id: str | None = None,
    ) -> None:
        self.rpc: Rpc[Any, Any] = rpc
        self.request: Any = request
        self.result: Callable[..., Result] = result
        self.timeout = timeout
        self.is_paged = is_paged
        self.metadata = () if request_id is None else (("x-request-id", _checked(request_id)),)

    def turn_page(self, response: Any) -> bool:
        """Points the request at the page after `response`; False if that page was the last."""
        if not (self.is_paged and response.next_page_token):
            return False
        self.request.page_token = response.next_page_token
        return True


def _checked(request_id: str) -> str:
    if not _REQUEST_ID.fullmatch(text(request_id, "request_id")):
        raise InvalidArgumentError(
            f"request_id: {request_id!r} given, 1 to 64 of a-z, A-Z, 0-9, '.', '_' and '-' are "
            "needed, such as a UUID",
            metadata={"field": "request_id", "value": request_id},
        )
    return request_id


def method_signature(build: Callable[..., Call[Any]]) -> inspect.Signature:
    """The signature of a method that makes the calls of `build`: with `self`, giving the result."""
    signature = inspect.signature(build)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    (result,) = get_args(signature.return_annotation)
    return signature.replace(
        parameters=[this, *signature.parameters.values()], return_annotation=result
    )
