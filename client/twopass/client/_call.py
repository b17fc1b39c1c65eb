"""A call as a value: built and read by pure functions, made by either client.

A function such as `search` returns the call it stands for. Both clients turn it into their method
of that name, with its parameters and its docstring, so the two can't drift apart.
"""

import inspect
from collections.abc import Callable
from typing import Any, Generic, TypeVar, get_args

from twopass.client._rpcs import Request, Response, Rpc

Result = TypeVar("Result")


class Call(Generic[Result]):
    """One request and how to read its answer.

    Attributes:
        rpc: What to call.
        request: What to send.
        result: From the response to what the caller gets.
        timeout: Seconds; None for the client's default, infinity for no deadline.
    """

    __slots__ = ("request", "result", "rpc", "timeout")

    def __init__(
        self,
        rpc: Rpc[Request, Response],
        request: Request,
        result: Callable[[Response], Result],
        timeout: float | None,
    ) -> None:
        self.rpc: Rpc[Any, Any] = rpc
        self.request: Any = request
        self.result: Callable[[Any], Result] = result
        self.timeout = timeout


def method_signature(build: Callable[..., Call[Any]]) -> inspect.Signature:
    """The signature of a method that makes the calls of `build`: with `self`, giving the result."""
    signature = inspect.signature(build)
    this = inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    (result,) = get_args(signature.return_annotation)
    return signature.replace(
        parameters=[this, *signature.parameters.values()], return_annotation=result
    )
