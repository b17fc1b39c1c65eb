"""Asks a server the same few requests over one connection, for `front_doors` to look on.

Runs in a process of its own, so that what the client costs is not counted as the server's. Reads
commands on standard input, a line each, and answers each by a line once it is done.
"""

import base64
import http.client
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, dataclass

import grpc


@dataclass(frozen=True, slots=True)
class Door:
    """A way into a server, and requests for it.

    Attributes:
        target: Where the server listens for it, host:port.
        path: The path of HTTP, or of gRPC's method.
        bodies: Requests as they are sent, in base64.
        over_grpc: Whether gRPC is spoken there, or HTTP.
    """

    target: str
    path: str
    bodies: tuple[str, ...]
    over_grpc: bool = False

    def to_line(self) -> str:
        """The command that opens it."""
        return json.dumps(asdict(self))


def opened(door: Door) -> Callable[[int], None]:
    """Connects; what is returned asks the request of a number and waits for its answer.

    Raises:
        RuntimeError: On asking: the answer is an error.
    """
    bodies = [base64.b64decode(body) for body in door.bodies]
    if door.over_grpc:
        channel = grpc.insecure_channel(door.target)
        call: grpc.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(door.path)

        def ask_grpc(number: int) -> None:
            call(bodies[number % len(bodies)])

        return ask_grpc
    connection = http.client.HTTPConnection(door.target)
    headers = {"content-type": "application/json"}

    def ask_http(number: int) -> None:
        connection.request("POST", door.path, bodies[number % len(bodies)], headers)
        answer = connection.getresponse()
        content = answer.read()
        if answer.status != 200:
            raise RuntimeError(f"{door.path}: {answer.status} {content[:200]!r}")

    return ask_http


def main() -> None:
    """Opens the door of the first line, then asks as often as each further line says."""
    ask = opened(Door(**json.loads(sys.stdin.readline())))
    print("opened", flush=True)
    for line in sys.stdin:
        for number in range(int(line)):
            ask(number)
        print("asked", flush=True)


if __name__ == "__main__":
    main()
