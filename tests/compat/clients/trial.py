"""Asks a client what every client is asked, and prints what came of each as a line of JSON.

A script gives functions that ask its client; what is right is judged by who started it. Needs
nothing but the standard library, so that it runs in any client's environment.
"""

import dataclasses
import json
import os
import sys
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Ranked = Sequence[tuple[int, float]]
Vectors = Sequence[Sequence[float]]


@dataclass(frozen=True)
class Ask:
    """What a client is to ask, and whom.

    Attributes:
        url: The server over HTTP, without a slash at its end.
        rerank_target: Where its reranker speaks tei.v1, host:port.
        embed_target: Where its encoder does.
        key: The API key.
        reranker: The reranker to name.
        encoder: The encoder to name.
        query: The question.
        passages: What may answer it.
        top_n: How many passages to return.
        texts: Texts to embed.
    """

    url: str
    rerank_target: str
    embed_target: str
    key: str
    reranker: str
    encoder: str
    query: str
    passages: list[str]
    top_n: int
    texts: list[str]


_GIVEN = json.loads(os.environ["TWOPASS_COMPAT"])
VARIANT = sys.argv[1] if len(sys.argv) > 1 else ""


def run(
    *,
    rerank: Callable[[Ask], Ranked] | None = None,
    embed: Callable[[Ask], Vectors] | None = None,
    more: Mapping[str, Callable[[Ask], Any]] | None = None,
    uncut: Callable[[Ask], Any] | None = None,
    foreign: str = "",
    without: Mapping[str, str] | None = None,
    default_reranker: bool = False,
    keyless: bool = False,
    scale: str = "score",
) -> None:
    """Runs every check.

    Args:
        rerank: Asks for the best passages; returns indexes and scores, best first.
        embed: Asks for embeddings of the texts.
        more: Further ways to ask, as "rerank: by this" and "embed: by that".
        uncut: Asks as `rerank`, or `embed` without it, but that nothing be cut.
        foreign: A model of the service that the client was made for.
        without: Checks that do not apply to the client, and why.
        default_reranker: Whether the client can't say which reranker it means.
        keyless: Whether the client can send no key.
        scale: What its scores are, "score" or "logit".
    """
    kind, function = ("rerank", rerank) if rerank else ("embed", embed)
    assert function is not None
    base = _ask("open" if keyless else "keyed")
    if default_reranker:
        base = dataclasses.replace(base, reranker=_GIVEN["default_reranker"])
    long = {"query": _GIVEN["long_query"], "texts": [_GIVEN["long_text"]]}
    reasons = {"key": "sends no key", "retry": "sends no key"} if keyless else {}
    teller = _Teller(reasons | dict(without or {}), scale)
    ways = {"rerank": rerank, "embed": embed, **(more or {})}
    for check, way in ways.items():
        if way:
            teller.tell(check, check, way, base)
    if foreign:
        teller.tell(
            "foreign", kind, function, _ask("open", reranker=foreign, encoder=foreign, key="any")
        )
    teller.tell("long", kind, function, dataclasses.replace(base, **long))
    if uncut:
        teller.tell("uncut", kind, uncut, dataclasses.replace(base, **long))
    teller.tell("key", kind, function, dataclasses.replace(base, key=_GIVEN["wrong_key"]))
    unknown = {"reranker": "no-such-model", "encoder": "no-such-model"}
    teller.tell("model", kind, function, dataclasses.replace(base, **unknown))
    slow = dataclasses.replace(base, key=_GIVEN["slow_key"])
    teller.tell("retry", kind, lambda ask: [function(ask), function(ask)][1], slow)
    teller.tell("load", kind, function, dataclasses.replace(_ask("full"), reranker=base.reranker))


def _ask(server: str, **changed: Any) -> Ask:
    fields = _GIVEN["servers"][server] | {
        name: _GIVEN[name]
        for name in ("key", "reranker", "encoder", "query", "passages", "top_n", "texts")
    }
    return Ask(**(fields | changed))


class _Teller:
    def __init__(self, without: dict[str, str], scale: str) -> None:
        self._without = without
        self._scale = scale

    def tell(self, check: str, kind: str, function: Callable[[Ask], Any], ask: Ask) -> None:
        """Asks, and prints what came of it."""
        line: dict[str, Any] = {"check": check, "kind": kind.partition(":")[0]}
        if reason := self._without.get(check):
            _print(line | {"skipped": reason})
            return
        began = time.time()
        try:
            line["values"] = _plain(function(ask))
        except Exception as error:
            line["error"] = _told(error)
            if "TWOPASS_COMPAT_TRACE" in os.environ:
                traceback.print_exc()
        line |= {"began": began, "ended": time.time(), "model": ask.reranker, "scale": self._scale}
        _print(line)


def _plain(values: Any) -> Any:
    """Numbers of any type as JSON has them."""
    if isinstance(values, str | int):
        return values
    if isinstance(values, Sequence) or hasattr(values, "__iter__"):
        return [_plain(value) for value in values]
    return float(values)


def _told(error: BaseException) -> dict[str, Any]:
    kind = type(error)
    return {
        "class": f"{kind.__module__.partition('.')[0]}.{kind.__qualname__}",
        "status": _status(error),
        "message": str(error)[:2000],
    }


def _status(error: BaseException | None) -> str:
    """The status that an exception, or what caused it, carries; "" for none."""
    while error is not None:
        for holder in (error, getattr(error, "response", None)):
            for name in ("status_code", "http_status", "status", "code"):
                value = getattr(holder, name, None)
                value = value() if callable(value) else value
                value = getattr(value, "name", value)
                if isinstance(value, int) or (isinstance(value, str) and value.isupper()):
                    return str(value)
        error = error.__cause__
    return ""


def _print(line: dict[str, Any]) -> None:
    print(json.dumps(line), flush=True)
