"""`twopass serve`: runs a server. Its flags are the fields of `ServerConfig`."""

import logging
import os
import sys
from contextlib import nullcontext, suppress
from functools import partial
from pathlib import Path
from typing import Any, NoReturn

import typer

from twopass.commands.interrupts import unwatch
from twopass.commands.serve_flags import with_flags
from twopass.commands.serve_greeting import greet
from twopass.commands.terminal.consoles import is_terminal
from twopass.commands.terminal.failures import exit_with
from twopass.commands.terminal.own_command import own_command
from twopass.server import ending
from twopass.server.config import ConfigError, ServerConfig
from twopass.server.config_errors import misspelt_variables
from twopass.server.config_loading import load_config, to_toml
from twopass.server.serving import Serving
from twopass.server.telemetry.logs import LogFormat, configure_logging

_logger = logging.getLogger("twopass.server")


def _run(
    config: Path | None,
    show_config: bool,
    stop_at_eof: bool,
    temporary: bool,
    **flags: Any,
) -> None:
    """Run a server until SIGTERM or Ctrl-C.

    It reports SERVING through grpc.health.v1 once its models are warm, and lets running calls end
    before it stops.

    Every flag is also a variable of the environment, as --http-address is TWOPASS_HTTP_ADDRESS, and
    a setting in the file that --config names, as http_address.
    """
    given = {name: value for name, value in flags.items() if value not in (None, [])}
    try:
        settings = load_config(given, config)
    except ConfigError as error:
        exit_with(_with_help(error))
    if show_config:
        typer.echo(to_toml(settings), nl=False)
        return
    try:
        unwatch()  # a server handles its signals itself
        ending.stop_while_starting()
        if stop_at_eof:
            ending.stop_at_eof(settings.drain_notice_seconds + settings.drain_seconds)
        # First, so that messages of libraries at import are lines of the log too.
        configure_logging(settings.log_format, settings.log_level)
        for told in misspelt_variables(os.environ):
            _logger.warning(told)
        with ending.temporary(settings.data) if temporary else nullcontext():
            _serve(settings)
    except ending.StoppedError:
        _logger.info("stopped before it served")
    except ConfigError as error:
        _stop(settings, error)


def _serve(settings: ServerConfig) -> None:
    # Heavy imports wait until a server is started: --help and --show-config stay quick.
    from twopass.engines.errors import EngineError
    from twopass.index.errors import CollectionError
    from twopass.index.vectors.gpu_device import GpuUnavailableError
    from twopass.server.edge.keys import KeysError
    from twopass.server.running import run as run_server

    try:
        run_server(settings, partial(_greet, settings))
    except (
        *(ConfigError, KeysError, EngineError, CollectionError, GpuUnavailableError),
        OSError,
    ) as error:
        _stop(settings, error)


def _greet(settings: ServerConfig, serving: Serving) -> None:
    """Tells a person what comes next; logs for machines and files have what was logged."""
    if settings.log_format is LogFormat.TEXT and is_terminal(sys.stderr):
        with suppress(OSError):  # the terminal is gone, which SIGHUP tells where it is to end us
            greet(serving, settings)


def _stop(settings: ServerConfig, error: Exception) -> NoReturn:
    if settings.log_format is LogFormat.JSON:
        _logger.critical("stopped: %s", error)
        raise typer.Exit(1) from error
    exit_with(_with_help(error) if isinstance(error, ConfigError) else error)


def _with_help(error: ConfigError) -> str:
    return f"{error}\n{own_command()} serve --help explains every setting."


serve = with_flags(_run)
