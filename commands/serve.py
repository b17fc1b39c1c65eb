"""`twopass serve`: runs a server. Its flags are the fields of `ServerConfig`."""

import asyncio
import inspect
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, get_args, get_origin

import typer

from twopass.commands.terminal.failures import exit_with
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_loading import load_config, to_toml
from twopass.server.telemetry.logs import LogFormat, configure_logging

_logger = logging.getLogger("twopass.server")

_CONFIG = typer.Option(
    "--config", help="TOML file of settings; flags and TWOPASS_… variables win over it."
)
_SHOW_CONFIG = typer.Option(
    "--show-config", help="Print the settings that would be used, as TOML, and exit."
)


def _run(config: Path | None, show_config: bool, **flags: Any) -> None:
    """Run a server until SIGTERM or Ctrl-C.

    It reports SERVING through grpc.health.v1 once its models are warm, and lets running calls end
    before it stops.
    """
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    try:
        settings = load_config(given, config)
    except ConfigError as error:
        exit_with(error)
    if show_config:
        typer.echo(to_toml(settings), nl=False)
        return
    # First, so that messages of libraries at import are lines of the log too.
    configure_logging(settings.log_format, settings.log_level)
    # Heavy imports wait until a server is started: --help and --show-config stay quick.
    from twopass.engines.errors import EngineError
    from twopass.index.errors import CollectionError
    from twopass.index.vectors.gpu_replica import GpuUnavailableError
    from twopass.server.app import serve as run_server
    from twopass.server.edge.keys import KeysError

    try:
        asyncio.run(run_server(settings))
    except (
        *(ConfigError, KeysError, EngineError, CollectionError, GpuUnavailableError),
        OSError,
    ) as error:
        if settings.log_format is LogFormat.JSON:
            _logger.critical("stopped: %s", error)
            raise typer.Exit(1) from error
        exit_with(error)


def _with_flags(run: Callable[..., None]) -> Callable[..., None]:
    """Gives the command one flag for each setting, its help the setting's description."""
    parameters = [
        inspect.Parameter(
            "config",
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[Path | None, _CONFIG],
        ),
        inspect.Parameter(
            "show_config",
            inspect.Parameter.KEYWORD_ONLY,
            default=False,
            annotation=Annotated[bool, _SHOW_CONFIG],
        ),
    ]
    for name, field in ServerConfig.model_fields.items():
        many = get_origin(field.annotation) is tuple
        kind: Any = list[get_args(field.annotation)[0]] if many else field.annotation  # type: ignore[misc]
        default = ", ".join(field.default) if many else str(field.default)
        flag = name.replace("_", "-")
        option = typer.Option(
            f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}",
            help=f"{field.description} [dim]\\[default: {default or 'none'}][/]",
            show_default=False,
        )
        parameters.append(_keyword(name, Annotated[kind | None, option], None))
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _keyword(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )


serve = _with_flags(_run)
