"""`make fuzz-rpc`: messages that nobody would send, to every rpc, and what they were answered."""

import argparse
import itertools
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import grpc

from twopass.client import Chunking, Client, Document, Schema
from twopass.server.local import LocalServer

from .driver import num_files, resident_bytes
from .filling import DIMENSION, TEXT_COLLECTION, VECTOR_COLLECTION
from .messages import Attempt, attempts

CONCURRENCY = 16
TIMEOUT_SECONDS = 30.0
# A server at fault, and a call that was never answered.
FORBIDDEN = {"INTERNAL", "UNKNOWN", "DEADLINE_EXCEEDED", "UNAVAILABLE", "DATA_LOSS"}


def prepare(target: str) -> None:
    """Makes the collections that most messages speak of."""
    with Client(target) as client:
        client.create_collection(TEXT_COLLECTION, Schema(chunking=Chunking(20, 5)))
        client.create_collection(
            VECTOR_COLLECTION, Schema(dimension=DIMENSION, client_vectors=True)
        )
        for number in range(10):
            metadata = {"year": 1990 + number, "kind": "ab"[number % 2], "tags": [{"name": "a"}]}
            client.upsert(
                TEXT_COLLECTION,
                [Document(str(number), f"capital {number} " * 30, metadata=metadata)],
            )
            client.upsert(
                VECTOR_COLLECTION,
                [Document(str(number), "東京", vector=[1.0, number, 0, 0], metadata=metadata)],
            )


def send(channel: grpc.Channel, attempt: Attempt) -> str:
    """Makes a call with bytes, and returns its status."""
    try:
        if attempt.is_stream:
            stream = channel.stream_stream(attempt.path)
            list(stream(iter(attempt.contents), timeout=TIMEOUT_SECONDS))
        else:
            unary = channel.unary_unary(attempt.path)
            unary(attempt.contents[0], timeout=TIMEOUT_SECONDS)
    except grpc.RpcError as error:
        status: str = error.code().name
        if status == "UNAVAILABLE" and "it was deleted" in (error.details() or ""):
            return "deleted meanwhile"  # by another of these calls; whoever retries gets NOT_FOUND
        if status in FORBIDDEN:
            print(f"{status}: {error.details()} {attempt!r:.300}")
        return status
    return "OK"


def run(target: str, todo: Iterator[Attempt], seconds: float) -> Counter[tuple[str, str]]:
    """Sends until there are no more or the time is over; returns how many ended how, by rpc."""
    ended: Counter[tuple[str, str]] = Counter()
    end = time.perf_counter() + seconds
    lock = threading.Lock()

    def one_after_another(channel: grpc.Channel) -> None:
        while time.perf_counter() < end:
            with lock:
                attempt = next(todo, None)
            if attempt is None:
                return
            status = send(channel, attempt)
            with lock:
                ended[attempt.path.rpartition("/")[2], status] += 1

    # Not grpc.aio: it reports INTERNAL of its own where a server ends a stream that it writes to.
    with grpc.insecure_channel(target) as channel, ThreadPoolExecutor(CONCURRENCY) as threads:
        list(threads.map(one_after_another, [channel] * CONCURRENCY))
    return ended


def main() -> None:
    """Reads the options, runs, and fails where a status is forbidden."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--count", type=int, default=20_000)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    todo = attempts(options.seed, options.count)
    with tempfile.TemporaryDirectory() as data, LocalServer(Path(data)) as server:
        prepare(server.target)
        first = itertools.islice(todo, options.count // 4)
        early = run(server.target, first, options.seconds / 4)
        before = resident_bytes(server.pid), num_files(server.pid)
        ended = early + run(server.target, todo, options.seconds)
        after = resident_bytes(server.pid), num_files(server.pid)
    for rpc in sorted({rpc for rpc, _ in ended}):
        counts = {status: n for (name, status), n in sorted(ended.items()) if name == rpc}
        print(f"  {rpc:24} {counts}")
    print(f"messages: {ended.total():,}, seed {options.seed}")
    print(f"memory: {before[0] >> 20} and {after[0] >> 20} MiB; files: {before[1]} and {after[1]}")
    bad = {status for _, status in ended} & FORBIDDEN
    assert not bad, bad


if __name__ == "__main__":
    main()
