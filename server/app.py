"""The composition root: the one place that knows every concrete class and joins them."""

import asyncio
import logging
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import grpc
import numpy as np
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from twopass.engines.base import LoadedEncoder, LoadedModel, TokenBatch
from twopass.engines.loading import load_model
from twopass.index.store import CollectionStore
from twopass.server.batcher import Batcher
from twopass.server.config import ServerConfig
from twopass.server.embedding import Embedding
from twopass.server.ingest import Ingest
from twopass.server.models import Models
from twopass.server.passages import Limits
from twopass.server.pipeline import SearchPipeline
from twopass.server.reranking import Reranking
from twopass.server.rpc import service_handler
from twopass.server.second_pass import SecondPass
from twopass.server.servicers.collections import CollectionServicer
from twopass.server.servicers.embed import EmbedServicer
from twopass.server.servicers.models import ModelServicer
from twopass.server.servicers.rerank import RerankServicer
from twopass.server.servicers.search import SearchServicer
from twopass.server.tokenizing import Tokenizing
from twopass.v1 import collection_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2

_logger = logging.getLogger("twopass.server")


class App:
    """A server: models, collections and services, from start to drained."""

    def __init__(self, config: ServerConfig) -> None:
        """Opens the collections and loads the models; nothing listens yet.

        Raises:
            ModelError: A model is missing or damaged.
            CollectionError: The data folder is in use or can't be read.
        """
        self.config = config
        self._began = time.perf_counter()
        self._num_cpus = config.threads or len(os.sched_getaffinity(0))
        self._tokenizing = Tokenizing(self._num_cpus)
        self._store = CollectionStore(config.data, num_search_threads=self._num_cpus)
        try:
            self._models = _load_models(config)
        except BaseException:
            self._store.close()
            raise
        self.port = 0

    async def start(self) -> None:
        """Warms the engines up, binds the port, and reports SERVING.

        Raises:
            OSError: The address is taken or not one of this machine.
        """
        config = self.config
        # Blocking reads of SQLite run here; each holds a connection, so a few more than cores.
        asyncio.get_running_loop().set_default_executor(
            ThreadPoolExecutor(4 + self._num_cpus, thread_name_prefix="blocking")
        )
        self._server = grpc.aio.server(
            options=[
                ("grpc.max_receive_message_length", config.max_message_bytes),
                ("grpc.max_send_message_length", config.max_message_bytes),
                ("grpc.so_reuseport", 0),
            ]
        )
        self._health = health.aio.HealthServicer()
        names = self._add_services()
        await self._warm_up()
        self.port = _bind(self._server, config.address)
        await self._server.start()
        for name in (*names, health.OVERALL_HEALTH):
            await self._health.set(name, health_pb2.HealthCheckResponse.SERVING)
        _logger.info(
            "serving",
            extra={
                "address": f"{config.address.rpartition(':')[0]}:{self.port}",
                "collections": len(self._store.list()),
                "seconds": round(time.perf_counter() - self._began, 2),
            },
        )

    async def stop(self) -> None:
        """Refuses new calls, lets running ones end for `drain_seconds`, and closes everything."""
        _logger.info("draining", extra={"seconds_at_most": self.config.drain_seconds})
        await self._health.enter_graceful_shutdown()
        await self._server.stop(self.config.drain_seconds)
        self.close()
        _logger.info("stopped")

    def close(self) -> None:
        """Frees threads, models and collections."""
        self._tokenizing.close()
        for model in self._models:
            model.engine.close()
        self._store.close()

    def _add_services(self) -> list[str]:
        config = self.config
        models = Models(self._models)
        limits = Limits(
            max_candidates=config.max_candidates,
            max_documents=config.max_documents,
            max_passage_bytes=config.max_passage_bytes,
            max_query_bytes=config.max_query_bytes,
        )
        batcher = Batcher(
            max_queued_pairs=config.max_queued_pairs, max_queued_tokens=config.max_queued_tokens
        )
        embedding, second_pass = Embedding(batcher), SecondPass(batcher)
        tokenizing = self._tokenizing
        pipeline = SearchPipeline(self._store, models, batcher, tokenizing, embedding, second_pass)
        reranking = Reranking(models, batcher, tokenizing, second_pass)
        ingest = Ingest(models, batcher, tokenizing, embedding)
        servicers = {
            rerank_pb2: RerankServicer(reranking, limits),
            search_pb2: SearchServicer(pipeline, limits),
            collection_pb2: CollectionServicer(self._store, models, ingest, limits),
            embed_pb2: EmbedServicer(models, batcher, tokenizing, embedding, limits),
            model_pb2: ModelServicer(models),
        }
        names = []
        for module, servicer in servicers.items():
            (descriptor,) = module.DESCRIPTOR.services_by_name.values()
            self._server.add_generic_rpc_handlers((service_handler(descriptor, servicer),))
            names.append(descriptor.full_name)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        reflection.enable_server_reflection(
            (*names, health.SERVICE_NAME, reflection.SERVICE_NAME), self._server
        )
        return names

    async def _warm_up(self) -> None:
        """Runs each engine once, so that the first request pays for nothing but itself."""
        for model in self._models:
            await asyncio.wrap_future(model.engine.submit(_warm_up_batch(model)))


async def serve(config: ServerConfig) -> None:
    """Runs a server until SIGTERM or SIGINT has drained it."""
    app = App(config)
    stopping = asyncio.Event()
    for signal_number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(signal_number, stopping.set)
    try:
        await app.start()
    except BaseException:
        app.close()
        raise
    await stopping.wait()
    await app.stop()


def _load_models(config: ServerConfig) -> list[LoadedModel]:
    """All models side by side: reading, checking and packing weights leaves the GIL alone."""
    load = partial(
        load_model,
        num_threads=config.threads,
        engine=config.engine,
        precision=config.precision,
    )
    with ThreadPoolExecutor(thread_name_prefix="loading") as threads:
        return list(threads.map(load, _names(config)))


def _names(config: ServerConfig) -> list[str]:
    """Models to load, the defaults first."""
    return list(dict.fromkeys((config.encoder, config.reranker, *config.more_models)))


def _bind(server: grpc.aio.Server, address: str) -> int:
    try:
        return server.add_insecure_port(address)
    except RuntimeError as error:
        raise OSError(f"address {address}: can't listen there ({error})") from error


def _warm_up_batch(model: LoadedModel) -> TokenBatch:
    """A few sequences of the length of ordinary passages."""
    template = model.tokenizer.template
    length = min(64, model.engine.info.max_seq_len)
    row = np.full(length, model.tokenizer.pad_id, np.int32)
    row[: len(template.prefix)] = template.prefix
    query_length = length if isinstance(model, LoadedEncoder) else length // 4
    offsets = np.arange(0, 4 * length + 1, length, dtype=np.int32)
    return TokenBatch(np.tile(row, 4), offsets, np.full(4, query_length, np.int32))
