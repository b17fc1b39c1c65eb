"""Asks a server the same few requests over one connection, for `front_doors` to look on.

Runs in a process of its own, so that what the client costs is not counted as the server's. Reads
commands on standard input, a line each, and answers each by a line once it is done.
"""

import base64
import json
import re
import socket
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from http import HTTPStatus

import grpc

_HEAD = re.compile(
    rb"HTTP/1\.1 (?P<status>\d+) .*?\r\ncontent-length: (?P<size>\d+)\r\n(?:.*?\r\n)??\r\n",
    re.DOTALL,
)


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
    return _asking_http(door, bodies)


def _asking_http(door: Door, bodies: Sequence[bytes]) -> Callable[[int], None]:
    """Sends head and body in one piece, as gRPC's client does with the frames of a call."""
    host, _, port = door.target.rpartition(":")
    head = f"POST {door.path} HTTP/1.1\r\nhost: {door.target}\r\ncontent-type: application/json\r\n"
    requests = [f"{head}content-length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
    connection: list[socket.socket] = []

    def ask(number: int) -> None:
        if not connection:
            connection.append(socket.create_connection((host, int(port))))
        connection[0].sendall(requests[number % len(requests)])
        status, content = _answer(connection[0])
        if status != HTTPStatus.OK:
            raise RuntimeError(f"{door.path}: {status} {content[:200]!r}")

    return ask


def _answer(connection: socket.socket) -> tuple[int, bytes]:
    """Status and body of the next answer, which has a length."""
    received = connection.recv(65_536)
    while not (found := _HEAD.search(received)):
        received += connection.recv(65_536)
    size = int(found["size"])
    body = received[found.end() :]
    while len(body) < size:
        body += connection.recv(65_536)
    return int(found["status"]), body


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
