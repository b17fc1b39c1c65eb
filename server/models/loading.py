"""Loads the models that a configuration names, side by side, each with an engine that restarts."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial

from twopass.engines.base import LoadedModel
from twopass.engines.loading import load_model
from twopass.server.config import ServerConfig
from twopass.server.models.restarting import RestartingEngine


def load_models(config: ServerConfig) -> list[LoadedModel]:
    """Loads all models in threads, the defaults first; reading and packing weights frees the GIL.

    Raises:
        ModelError: A folder is missing or damaged, or the engine does not run it.
        EngineUnavailableError: The engine asked for needs a package or a device that is missing.
    """
    load = partial(
        load_model,
        num_threads=config.threads,
        engine=config.engine,
        precision=config.precision,
        max_passage_tokens=config.max_passage_tokens or None,
    )
    names = list(dict.fromkeys((config.encoder, config.reranker, *config.more_models)))
    with ThreadPoolExecutor(thread_name_prefix="loading") as threads:
        return list(threads.map(partial(_restartable, load), names))


def _restartable(load: Callable[[str], LoadedModel], name: str) -> LoadedModel:
    """Loads a model whose engine can be rebuilt."""
    model = load(name)
    return replace(model, engine=RestartingEngine(model, lambda: load(name)))
