"""The flags of `twopass serve`: one for each field of `ServerConfig`, grouped by subject."""

import inspect
from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

import typer
from pydantic.fields import FieldInfo

from twopass.server.config import ServerConfig
from twopass.server.config_bounds import bounds_of

SUBJECTS = {
    "Addresses": ("role", "address", "http_address", "tei_address", "metrics_address"),
    "Who may come in": (
        "keys",
        "open_health",
        "open_reflection",
        "tls_certificate",
        "tls_key",
        "tls_client_ca",
        "insecure",
        "http_cors_origins",
    ),
    "Collections": (
        "data",
        "store",
        "language",
        "merge_changes",
        "max_open_collections",
        "vector_device",
    ),
    "Models": (
        "encoder",
        "reranker",
        "more_models",
        "http_unknown_model",
        "engine",
        "precision",
        "threads",
    ),
    "Several engines": (
        "devices",
        "engines",
        "engines_mixed",
        "engines_ca",
        "engines_certificate",
        "engines_certificate_key",
        "engines_key_file",
    ),
    "Defaults of searches": ("retrieve_mode", "fusion", "fusion_alpha"),
    "Feedback and shadow comparisons": (
        "feedback_max_rows",
        "feedback_max_days",
        "feedback_texts",
        "feedback_shown_bytes",
        "feedback_settle_seconds",
        "shadow",
    ),
    "Limits of one request": (
        "max_candidates",
        "max_documents",
        "max_passage_bytes",
        "max_passage_tokens",
        "max_query_bytes",
        "max_message_bytes",
        "max_http_body_bytes",
        "max_answer_bytes",
    ),
    "Limits of all requests together": (
        "max_calls",
        "max_bytes",
        "max_queued_pairs",
        "max_queued_tokens",
    ),
    "Connections": (
        "max_connection_calls",
        "max_connection_seconds",
        "min_ping_seconds",
        "keepalive_seconds",
        "keepalive_timeout_seconds",
    ),
    "Caches": ("score_cache_bytes", "passage_cache_bytes", "query_cache_bytes"),
    "Health and the end": (
        "probe_seconds",
        "probe_timeout_seconds",
        "exit_unwell_seconds",
        "drain_notice_seconds",
        "drain_seconds",
    ),
    "Logs and traces": ("log_format", "log_level", "traces_endpoint"),
}
"""The fields of `ServerConfig` by what they are about, in the order in which help shows them."""

_CONFIG = typer.Option(
    "--config", help="TOML file of settings; flags and TWOPASS_… variables win over it."
)
_SHOW_CONFIG = typer.Option(
    "--show-config", help="Print the settings that would be used, as TOML, and exit."
)
# For programs that start a server for themselves, see `twopass.server.local`.
_STOP_AT_EOF = typer.Option("--stop-at-eof", hidden=True, help="Stop when standard input ends.")
_TEMPORARY = typer.Option(
    "--temporary", hidden=True, help="Delete the data folder, which must be empty, at the end."
)


def with_flags(run: Callable[..., None]) -> Callable[..., None]:
    """Gives the command one flag for each setting, its help the setting's description."""
    parameters = [
        _keyword("config", Annotated[Path | None, _CONFIG], None),
        _keyword("show_config", Annotated[bool, _SHOW_CONFIG], False),
        _keyword("stop_at_eof", Annotated[bool, _STOP_AT_EOF], False),
        _keyword("temporary", Annotated[bool, _TEMPORARY], False),
        *(_flag(name, subject) for subject, names in SUBJECTS.items() for name in names),
    ]
    run.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run


def _flag(name: str, subject: str) -> inspect.Parameter:
    field = ServerConfig.model_fields[name]
    is_list = get_origin(field.annotation) is tuple
    kind: Any = list[get_args(field.annotation)[0]] if is_list else field.annotation  # type: ignore[misc]
    flag = name.replace("_", "-")
    option = typer.Option(
        f"--{flag}/--no-{flag}" if field.annotation is bool else f"--{flag}",
        help=field.description,
        show_default=default_text(field.default, flag),
        metavar=range_text(field),
        rich_help_panel=subject,
    )
    return _keyword(name, Annotated[Union[kind, None], option], None)  # noqa: UP007  # kind is a value


def default_text(default: object, flag: str) -> str:
    """A default as people write it: numbers with separators, none for what is unset."""
    if isinstance(default, bool):
        return f"--{flag}" if default else f"--no-{flag}"
    if isinstance(default, tuple):
        return ", ".join(map(str, default)) or "none"
    if isinstance(default, Enum):
        return str(default.value)
    if isinstance(default, int | float):
        return f"{default:,.15g}"
    return str(default or "none")


def range_text(field: FieldInfo) -> str | None:
    """The type and the bounds of a number, which `ServerConfig` checks; None for other types."""
    if field.annotation not in (int, float):
        return None
    kind = "int" if field.annotation is int else "number"
    bounds = bounds_of(field)
    if bounds.least is not None and bounds.most is not None:
        return f"{kind}, {bounds.least:,} to {bounds.most:,}"
    if bounds.least is not None:
        return f"{kind}, {bounds.least:,} or more"
    return f"{kind}, above {bounds.above:,}" if bounds.above is not None else kind


def _keyword(name: str, annotation: object, default: object) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=default, annotation=annotation
    )
