"""A server on a real socket: in this process, with its engines in reach, or in one of its own."""

import asyncio
import dataclasses
import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from functools import cache
from pathlib import Path
from typing import Any, Self
from unittest.mock import patch

import grpc
import numpy as np
import uvloop

from twopass.engines.base.engine import Engine, token_width_of
from twopass.engines.base.model import LoadedModel, ModelKind
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.loading import load_model
from twopass.server.app import App
from twopass.server.config import ServerConfig
from twopass.server.config_loading import load_config
from twopass.server.models import loading
from twopass.server.models.supervisor import probe_batch
from twopass.v1 import (
    collection_pb2_grpc,
    embed_pb2_grpc,
    model_pb2_grpc,
    rerank_pb2,
    rerank_pb2_grpc,
    search_pb2_grpc,
)

from .passing_time import PassingTime, SkippingLoop

# Of the server that tests share: small enough that a test can send more.
MAX_MESSAGE_BYTES = 2 * 1024 * 1024


class GatedEngine:
    """A real engine behind a gate: a test can hold its batches, or let them fail.

    Attributes:
        gate: Batches wait while it is closed.
        failure: What batches raise instead of being computed; None to compute.
        passing: Lets one batch past the closed gate for each release.
        num_begun: Batches that came so far.
        holds_probes: Whether the closed gate holds the supervisor's probes too. They come when they
            will, soon after an engine failed, and one of them would take what `passing` released.
        entered: Set when a batch waits at the gate or is past it.
    """

    def __init__(self, engine: Any, probe: TokenBatch) -> None:
        self._engine = engine
        self._probe = probe
        self.holds_probes = True
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="gate")
        self.info = engine.info
        self.output_width: int = engine.output_width
        self.gate = threading.Event()
        self.gate.set()
        self.passing = threading.Semaphore(0)
        self.failure: Exception | None = None
        self.entered = threading.Event()
        self.num_begun = 0

    def submit(self, batch: TokenBatch) -> Future[Float32s]:
        return self._thread.submit(self._run, batch, self._engine.submit)

    @property
    def token_width(self) -> int:
        return token_width_of(self._engine)

    def submit_tokens(self, batch: TokenBatch) -> Future[Float32s]:
        return self._thread.submit(self._run, batch, self._engine.submit_tokens)

    def close(self) -> None:
        self._thread.shutdown()
        self._engine.close()

    def _run(self, batch: TokenBatch, submit: Callable[[TokenBatch], Future[Float32s]]) -> Float32s:
        self.num_begun += 1
        self.entered.set()
        is_held = self.holds_probes or not self._is_probe(batch)
        while is_held and not self.gate.wait(0.001) and not self.passing.acquire(blocking=False):
            pass
        if self.failure is not None:
            raise self.failure
        return submit(batch).result()

    def _is_probe(self, batch: TokenBatch) -> bool:
        """Whether it is a probe or a part of one, whose rows are all the same."""
        return np.array_equal(batch.token_ids, np.resize(self._probe.token_ids, batch.num_tokens))


class WithKey(grpc.UnaryUnaryClientInterceptor, grpc.StreamStreamClientInterceptor):
    """Sends an API key with every call."""

    def __init__(self, key: str) -> None:
        self._metadata = (("authorization", f"Bearer {key}"),)

    def intercept_unary_unary(self, continuation: Any, details: Any, request: Any) -> Any:
        return continuation(self._keyed(details), request)

    def intercept_stream_stream(self, continuation: Any, details: Any, requests: Any) -> Any:
        return continuation(self._keyed(details), requests)

    def _keyed(self, details: Any) -> Any:
        return details._replace(metadata=self._metadata)


class Stubs:
    """A channel, and a stub of every service."""

    def __init__(
        self,
        target: str,
        *,
        credentials: grpc.ChannelCredentials | None = None,
        api_key: str | None = None,
    ) -> None:
        self.channel = (
            grpc.secure_channel(target, credentials)
            if credentials
            else grpc.insecure_channel(target)
        )
        if api_key is not None:
            self.channel = grpc.intercept_channel(self.channel, WithKey(api_key))
        searches = search_pb2_grpc.SearchServiceStub(self.channel)
        self.search, self.batch_search = searches.Search, searches.BatchSearch
        rerank = rerank_pb2_grpc.RerankServiceStub(self.channel)
        self.rerank, self.rerank_stream = rerank.Rerank, rerank.RerankStream
        self.collections = collection_pb2_grpc.CollectionServiceStub(self.channel)
        self.embed = embed_pb2_grpc.EmbedServiceStub(self.channel).Embed
        self.models = model_pb2_grpc.ModelServiceStub(self.channel)


@cache
def _kept(name: str, kinds: frozenset[ModelKind], **options: Any) -> LoadedModel:
    model = load_model(name, kinds=kinds, **options)
    model.engine.close = lambda: None  # type: ignore[method-assign]  # for the next server
    return model


def _load_or_keep(name: str, *, kinds: Collection[ModelKind] = (), **options: Any) -> LoadedModel:
    """Loads as `load_model` does; a shipped model once for all servers of a test process.

    Reading and packing weights is most of a server's start.
    """
    is_shipped = name in (ServerConfig().encoder, ServerConfig().reranker)
    if not is_shipped or options.keys() & {"device", "computed_by"}:
        return load_model(name, kinds=kinds, **options)
    return _kept(name, frozenset(kinds), **options)


def code_of(call: Any, request: Any) -> grpc.StatusCode:
    """The status that a call ends with."""
    try:
        call(request)
    except grpc.RpcError as error:
        code: grpc.StatusCode = error.code()
        return code
    return grpc.StatusCode.OK


class Server(Stubs):
    """An `App` that runs in a thread's event loop, and stubs for it.

    Attributes:
        data: The folder of its collections.
        target: Where it listens.
        http_target: Where it listens for HTTP.
        http_url: Where it answers over HTTP, without a slash at the end; "" where it does not.
        tei_targets: Where it speaks tei.v1, in the order of the settings.
        encoder: The default encoder's engine.
        reranker: The default reranker's.
    """

    def __init__(
        self,
        data: Path,
        *,
        gated: bool = True,
        passing: PassingTime | None = None,
        **settings: Any,
    ) -> None:
        """Starts the server and waits until it serves.

        Args:
            data: The folder of its collections.
            gated: Whether its engines stand behind gates, and may be those of a server before; else
                it makes its own, and makes them again where they fail.
            passing: Time that `let_pass` lets pass; None where a test waits for none.
            settings: Those of `ServerConfig`.
        """
        # As `running.run` has.
        self._loop = uvloop.new_event_loop() if passing is None else passing.new_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="server")
        self._thread.start()
        config = load_config({"data": data, "address": "127.0.0.1:0", "threads": 1} | settings)
        with ExitStack() as undo:
            undo.callback(self._end_loop)
            with patch.object(loading, "load_model", _load_or_keep if gated else load_model):
                self._app = App(config)
            undo.callback(lambda: self._run(self._app.close()))
            if gated:
                models = [_gated(model) for model in self._app._models]
                self._app._models = [model for model, _ in models]
                self.encoder, self.reranker = models[0][1], models[1][1]
            self._run(self._app.start())
            undo.pop_all()
        self.data = data
        self.target = f"127.0.0.1:{self._app.port}"
        self.http_target = f"127.0.0.1:{self._app.http_port}"
        self.http_url = f"http://{self.http_target}" if self._app.http_port else ""
        self.tei_targets = self._app.tei_targets
        super().__init__(self.target)

    def loop_seconds(self) -> float:
        """Processor time that the thread of the event loop has taken so far."""

        async def now() -> float:
            return time.thread_time()

        return asyncio.run_coroutine_threadsafe(now(), self._loop).result()

    def let_pass(self, seconds: float) -> None:
        """Lets so much time pass at once; what is due then is called."""
        assert isinstance(self._loop, SkippingLoop)
        self._run(self._loop.skip(seconds))

    def wait_for_merge(self, collection: str) -> None:
        """Waits until the collection's vectors are all in the base of its index."""
        self._app._store.folder.get(collection).merge().result()

    def stop(self) -> None:
        """Drains it."""
        for model in self._app._models:
            if isinstance(model.engine, GatedEngine):
                model.engine.gate.set()
        self.channel.close()
        self._run(self._app.stop())
        self._end_loop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _run(self, coroutine: Any) -> None:
        asyncio.run_coroutine_threadsafe(coroutine, self._loop).result()

    def _end_loop(self) -> None:
        self._run(self._loop.shutdown_default_executor())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class SetCall:
    """A RerankStream call whose pieces the test sends one by one."""

    def __init__(self, stubs: Stubs) -> None:
        self._pieces: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.answers = stubs.rerank_stream(iter(self._pieces.get, None))

    def send(self, set_id: str, *texts: str, **header: Any) -> None:
        """Sends a piece: a set's first where it has a header, else one more of it."""
        piece = rerank_pb2.RerankStreamRequest(set_id=set_id)
        piece.candidates.extend(rerank_pb2.Candidate(text=text) for text in texts)
        if header:
            piece.set.CopyFrom(rerank_pb2.RerankSet(**{"query": "which one"} | header))
        self._pieces.put(piece)

    def next(self) -> rerank_pb2.RerankStreamResponse:
        """Waits for an answer."""
        answer: rerank_pb2.RerankStreamResponse = next(self.answers)
        return answer

    def end(self) -> list[rerank_pb2.RerankStreamResponse]:
        """Sends no more; returns the answers that are left."""
        self._pieces.put(None)
        return list(self.answers)


@contextmanager
def places_taken(stubs: Stubs, count: int) -> Iterator[None]:
    """Holds places in the server's queue, for a set whose candidates don't come."""
    call = SetCall(stubs)
    call.send("held", num_candidates=count)
    call.send("sign", num_candidates=-1)
    assert call.next().set_id == "sign"  # sets are opened in order, so the places are held
    yield
    call.end()


def _gated(model: LoadedModel) -> tuple[LoadedModel, GatedEngine]:
    engine = GatedEngine(model.engine, probe_batch(model))
    replaced: LoadedModel = dataclasses.replace(model, engine=engine)
    return replaced, engine


@contextmanager
def server_process(data: Path | None, *flags: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`twopass serve` in a process of its own, and where it listens.

    Args:
        data: The folder of its collections; None to give it none.
        flags: Its further flags.
    """
    command = [sys.executable, "-m", "twopass.commands.main", "serve"]
    command += ["--data", str(data)] if data is not None else []
    command += ["--address", "127.0.0.1:0", "--log-format", "json", *flags]
    # Commands that tests ran in this process may have silenced gRPC for themselves.
    variables = {name: value for name, value in os.environ.items() if name != "GRPC_VERBOSITY"}
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as process:
        try:
            assert process.stderr is not None
            records = (json.loads(line) for line in process.stderr)
            serving = next(record for record in records if record["message"] == "serving")
            yield process, serving["address"]
        finally:
            process.kill()


_implements: type[Engine] = GatedEngine  # mypy checks the gate against the protocol
