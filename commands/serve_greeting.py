"""What `twopass serve` says in a terminal once it serves: where it is, and what comes next."""

import shlex

from rich.text import Text

from twopass.commands.options import DEFAULT_TARGET
from twopass.commands.terminal.consoles import literal, messages
from twopass.commands.terminal.own_command import own_command
from twopass.commands.terminal.sentences import say_beside
from twopass.server.config import ServerConfig
from twopass.server.config_values import ServerRole
from twopass.server.serving import Serving

_EVERY_HOST = ("0.0.0.0", "[::]")  # noqa: S104  # only told
_HEAD_COLUMNS = 13
_PAGE_ADDRESS = "127.0.0.1:8080"


def greet(serving: Serving, config: ServerConfig) -> None:
    """Prints on stderr where the server is found and what to type next.

    Args:
        serving: What the server tells of itself.
        config: Its settings.
    """
    say_beside()
    url = _reachable(serving.http_url)
    computes_alone = config.role is ServerRole.ENGINE
    if computes_alone:
        pass  # nothing answers over HTTP, and there are no collections
    elif url.startswith("http"):
        _line("page", literal(f"{url}/ui", "bold"))
        _line("HTTP", f"{url}, each path at {url}/docs")
    elif not url:
        _line("page", f"none; --http-address {_PAGE_ADDRESS} has it, and answers over HTTP")
    else:
        _line("HTTP", url)
    _line("gRPC", _reachable(serving.address))
    if serving.tei_targets:
        _line("TEI's gRPC", ", ".join(map(_reachable, serving.tei_targets)))
    for number, (model, kind, engine, precision) in enumerate(serving.models):
        _line("" if number else "models", f"{model}, {kind}, on {engine} {precision}")
    if not computes_alone:
        _line("collections", _collections(serving))
    if config.keys:
        _line("keys", f"{config.keys}: callers need one of its keys, commands as TWOPASS_API_KEY")
    say_beside()
    for line in _next(serving, config):
        messages().print(Text("  ").append_text(literal(line)))
    say_beside()
    say_beside(Text("Ctrl-C stops the server.", style="bold"))


def _collections(serving: Serving) -> str:
    count = "" if serving.num_collections is None else f"{serving.num_collections:,} "
    return f"{count}in {serving.place}"


def _line(head: str, told: str | Text) -> None:
    text = told if isinstance(told, Text) else literal(told)
    messages().print(Text(f"  {head:<{_HEAD_COLUMNS}}").append_text(text))


def _next(serving: Serving, config: ServerConfig) -> list[str]:
    """What to type in another terminal: first documents, then questions."""
    target = _reachable(serving.address)
    if config.role is ServerRole.ENGINE:
        trust = " --engines-ca FILE" if config.tls_certificate else ""
        key = " --engines-key-file FILE" if config.keys else ""
        return [f"{own_command()} serve --engines {shlex.quote(target)}{trust}{key}"]
    port = DEFAULT_TARGET.rpartition(":")[2]
    is_default = target.endswith(f":{port}") and _is_here(target)
    flag = "" if is_default else f" --target {shlex.quote(target)}"
    if config.tls_certificate:
        return [f"{own_command()} models{flag}   # with TWOPASS_CA, the authority's PEM file"]
    if serving.num_collections == 0:
        return [
            f"{own_command()} index docs FOLDER{flag}",
            f'{own_command()} search docs "a question"{flag}',
        ]
    return [f"{own_command()} collections list{flag}"]


def _reachable(address: str) -> str:
    """An address as this machine's programs and browsers reach it."""
    for every in _EVERY_HOST:
        address = address.replace(f"{every}:", "localhost:")
    return address


def _is_here(target: str) -> bool:
    return target.rpartition(":")[0] in ("127.0.0.1", "localhost")
