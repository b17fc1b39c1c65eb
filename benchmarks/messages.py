"""What large messages cost the server's event loop: milliseconds of its thread, per call.

While the loop reads or builds a message, no other call moves. A call's documents carry metadata and
an embedding of their own, so that no model is asked. Run it as `python -m
twopass.benchmarks.messages`.
"""

import asyncio
import json
import random
import statistics
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any

import grpc
import typer
import uvloop

from twopass.benchmarks.machine import this_machine
from twopass.server.app import App
from twopass.server.config_loading import load_config
from twopass.server.local import orderly_end
from twopass.v1 import collection_pb2, collection_pb2_grpc, document_pb2

_COLLECTION = "messages"
_DIMENSION = 384
_WORDS = ("lorem", "ipsum", "dolor", "sit", "amet", "elitr", "sed", "diam", "nonumy", "eirmod")
_MAX_MESSAGE_BYTES = 64 * 2**20


class Loop:
    """A server's event loop in a thread of its own, whose processor time can be read."""

    def __init__(self) -> None:
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="loop")
        self._thread.start()

    def run(self, coroutine: Any) -> Any:
        """Runs a coroutine to its end."""
        return asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def seconds(self) -> float:
        """Processor time of the loop's thread so far."""

        async def read() -> float:
            return time.thread_time()

        return float(self.run(read()))

    def close(self) -> None:
        """Ends the thread."""
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


@contextmanager
def _served() -> Iterator[tuple[Loop, collection_pb2_grpc.CollectionServiceStub]]:
    """A server whose event loop can be timed, and a stub for it."""
    loop = Loop()
    with orderly_end(), tempfile.TemporaryDirectory() as folder:
        app = App(load_config({"data": Path(folder), "address": "127.0.0.1:0"}))
        loop.run(app.start())
        try:
            options = [("grpc.max_receive_message_length", _MAX_MESSAGE_BYTES)]
            with grpc.insecure_channel(f"127.0.0.1:{app.port}", options) as channel:
                yield loop, collection_pb2_grpc.CollectionServiceStub(channel)
        finally:
            loop.run(app.stop())
            loop.close()


def _documents(count: int) -> list[document_pb2.Document]:
    """Documents of about a hundred words, each with a dozen values of metadata and a vector."""
    chance = random.Random(0)  # noqa: S311  # the same documents every time
    documents = []
    for number in range(count):
        document = document_pb2.Document(id=f"document-{number}", text=_text(chance, 100))
        document.metadata.update(
            {
                "title": _text(chance, 6),
                "url": f"https://example.com/{number}/{chance.random()}",
                "year": chance.randrange(1990, 2030),
                "score": chance.random(),
                "draft": chance.random() < 0.5,
                "tags": [chance.choice(_WORDS) for _ in range(4)],
                "author": {"name": _text(chance, 2), "id": number},
            }
        )
        document.vector.values.extend(chance.gauss(0, 1) for _ in range(_DIMENSION))
        documents.append(document)
    return documents


def _text(chance: random.Random, num_words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=num_words))


def _median_ms(loop: Loop, call: Callable[[], object], num_calls: int) -> float:
    call()
    spent = []
    for _ in range(num_calls):
        before = loop.seconds()
        call()
        spent.append(loop.seconds() - before)
    return statistics.median(spent) * 1e3


def main(
    documents: Annotated[int, typer.Option(help="Documents of a call.", min=1, max=1_000)] = 1_000,
    calls: Annotated[int, typer.Option(help="Calls of each kind.", min=1)] = 9,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Measure what calls with many documents cost the event loop of a server."""
    sent = _documents(documents)
    ids = [document.id for document in sent]
    fields = document_pb2.DocumentFields(text=True, metadata=True, vector=True)
    with _served() as (loop, stub):
        schema = collection_pb2.CollectionSchema(dimension=_DIMENSION, client_vectors=True)
        stub.CreateCollection(
            collection_pb2.CreateCollectionRequest(name=_COLLECTION, schema=schema)
        )
        upsert = collection_pb2.UpsertDocumentsRequest(collection=_COLLECTION, documents=sent)
        listed = collection_pb2.ListDocumentsRequest(
            collection=_COLLECTION, page_size=documents, fields=fields
        )
        got = collection_pb2.GetDocumentsRequest(collection=_COLLECTION, ids=ids, fields=fields)
        figures = {
            "UpsertDocuments": _median_ms(loop, lambda: stub.UpsertDocuments(upsert), calls),
            "ListDocuments": _median_ms(loop, lambda: stub.ListDocuments(listed), calls),
            "GetDocuments": _median_ms(loop, lambda: stub.GetDocuments(got), calls),
        }
    if as_json:
        machine = this_machine()
        print(json.dumps({"machine": vars(machine), "documents": documents, "loop_ms": figures}))
        return
    print(f"{documents:,} documents, {upsert.ByteSize():,} bytes; median of {calls} calls")
    for name, milliseconds in figures.items():
        print(f"{name:<16} {milliseconds:7.1f} ms of the event loop")


if __name__ == "__main__":
    typer.run(main)
