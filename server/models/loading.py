"""Loads the models that a configuration names, side by side, each with an engine that restarts."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

from twopass.engines.base.model import LoadedModel, ModelKind, ModelSpec
from twopass.engines.errors import (
    EngineUnavailableError,
    MisfitError,
    ModelError,
    WrongKindError,
)
from twopass.engines.fleet.fleet import Fleet
from twopass.engines.loading import all_gpus, folder_of, load_model
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_values import ALL_GPUS
from twopass.server.models.restarting import RestartingEngine


def load_models(config: ServerConfig) -> list[LoadedModel]:
    """Loads all models in threads, the defaults first; reading and packing weights frees the GIL.

    A model that is named twice, as a path and through a link perhaps, is loaded once.

    Raises:
        ConfigError: Settings of engines don't go together.
        WrongKindError: The default encoder is no encoder, or the default reranker no reranker.
        ModelError: A folder is missing or damaged, or the engine does not run it.
        EngineUnavailableError: The engine asked for needs a package or a device that is missing.
    """
    if config.engines and config.devices:
        raise ConfigError(
            "--devices: set, but --engines too, which compute the models instead; give --devices "
            "to the servers with --role engine"
        )
    devices = _devices_of(config)
    load = partial(
        load_model,
        num_threads=config.threads,
        engine=config.engine,
        precision=config.precision,
        max_passage_tokens=config.max_passage_tokens or None,
    )
    spellings = defaultdict(list)
    for name in dict.fromkeys((config.encoder, config.reranker, *config.more_models)):
        spellings[_folder_of(name, config)].append(name)
    asked = {config.encoder: ModelKind.ENCODER}, {config.reranker: ModelKind.RERANKER}

    def loaded(names: Sequence[str]) -> LoadedModel:
        kinds = {kind[name] for name in names for kind in asked if name in kind}
        try:
            if devices:
                on_devices = _on_devices(config, devices, partial(load, names[0], kinds=kinds))
                return _named(on_devices, names)
            if config.engines:
                fleet = partial(_fleet_of, config)
                return _named(load(names[0], kinds=kinds, computed_by=fleet), names)
            return _restartable(partial(load, names[0], kinds=kinds), names)
        except WrongKindError as error:
            raise _with_way_out(error) from error

    with ThreadPoolExecutor(thread_name_prefix="loading") as threads:
        return list(threads.map(loaded, spellings.values()))


def _folder_of(name: str, config: ServerConfig) -> Path:
    """A model's folder; where there is none, the error names the flag."""
    try:
        return folder_of(name)
    except ModelError as error:
        flags = [f"--{each}" for each in ("encoder", "reranker") if getattr(config, each) == name]
        raise ModelError(f"{' and '.join(flags) or '--more-models'}: {error}") from error


def _restartable(load: Callable[[], LoadedModel], names: Sequence[str]) -> LoadedModel:
    """Loads a model whose engine can be rebuilt."""
    model = load()
    return replace(_named(model, names), engine=RestartingEngine(model, load))


def _named(model: LoadedModel, names: Sequence[str]) -> LoadedModel:
    """The model with all names under which the server was told to load it."""
    others = tuple(name for name in names if name != model.spec.id)
    return replace(model, spec=replace(model.spec, other_names=others))


def _devices_of(config: ServerConfig) -> tuple[str, ...]:
    """The devices that compute the models; empty for one that an engine takes by itself.

    Raises:
        ConfigError: Every GPU is to compute them, and there is none.
    """
    if config.devices != (ALL_GPUS,):
        return config.devices
    try:
        return all_gpus()
    except EngineUnavailableError as error:
        raise ConfigError(
            f"--devices {ALL_GPUS}: {error}; leave it out to compute on the CPU"
        ) from error


def _on_devices(
    config: ServerConfig, devices: Sequence[str], load: Callable[..., LoadedModel]
) -> LoadedModel:
    """Loads a model once for each device; a fleet of these engines computes it."""
    names = [
        f"{device} {number}" if devices.count(device) > 1 else device
        for number, device in enumerate(devices)
    ]
    loads = [partial(load, device=device) for device in devices]
    models = [each() for each in loads]
    fleet = _fleet_of(config, models[0].spec)
    for name, model, again in zip(names, models, loads, strict=True):
        try:
            fleet.join(name, RestartingEngine(model, again))
        except MisfitError as error:
            for each in models:
                each.engine.close()
            raise ConfigError(f"--devices: {error}; --engines-mixed allows it") from error
    return replace(models[0], engine=fleet)


def _fleet_of(config: ServerConfig, spec: ModelSpec) -> Fleet:
    """What computes a model whose engines are apart; it has no members yet."""
    return Fleet(
        spec.id,
        max_seq_len=spec.max_seq_len,
        is_mixed=config.engines_mixed,
        hang_seconds=config.probe_timeout_seconds,
    )


def _with_way_out(error: WrongKindError) -> WrongKindError:
    """The error with the flag that is wrong, and what to give instead."""
    fields = ServerConfig.model_fields
    wrong, needed = (
        ("reranker", "a cross-encoder")
        if error.found == ModelKind.ENCODER
        else ("encoder", "a bi-encoder")
    )
    return WrongKindError(
        f"--{wrong}: {error}; name {needed} such as {fields[wrong].default}, and this model with "
        f"--{error.found} or --more-models",
        error.found,
    )
