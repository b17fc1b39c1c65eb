"""One client's trial: its environment, its script between relays, and the verdicts."""

import asyncio
import json
import os
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .catalogue import Client
from .environments import Environments, InstallError, script, version
from .judging import Result, judge
from .questions import LONG_QUERY, LONG_TEXT, PASSAGES, QUERY, TEXTS, TOP_N
from .relay import Exchange, Relay
from .servers import DEFAULT_RERANKER, ENCODER, RERANKER, Servers

_SECONDS = 300
_QUIET = {
    "DO_NOT_TRACK": "1",
    "HAYSTACK_TELEMETRY_ENABLED": "False",
    "HF_ENDPOINT": "http://127.0.0.1:9",  # where nothing answers
    "LITELLM_LOCAL_MODEL_COST_MAP": "True",
    "NO_PROXY": "127.0.0.1",
    "no_proxy": "127.0.0.1",
    "PYTHONWARNINGS": "ignore",
}
"""Keeps clients from asking others than the server."""


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a client.

    Attributes:
        client: The client.
        version: Of its first package; "" where it could not be installed.
        results: Of its checks; one named "install" where that failed.
    """

    client: Client
    version: str
    results: tuple[Result, ...]

    @property
    def ok(self) -> bool:
        """Whether nothing failed."""
        return all(result.ok is not False for result in self.results)


async def try_client(client: Client, environments: Environments, servers: Servers) -> Trial:
    """Makes the client's environment where it is missing, and runs its script."""
    try:
        command = await environments.command(client)
    except InstallError as error:
        return Trial(client, "", (Result("install", False, str(error)),))
    async with AsyncExitStack() as stack:
        relays = {
            name: await stack.enter_async_context(Relay(address.http))
            for name, address in servers.addresses.items()
        }
        lines, failure = await _run(client, command, _questions(client, servers, relays))
        exchanges = [each for relay in relays.values() for each in relay.exchanges]
    results = [judge(line, _meanwhile(line, exchanges), servers.reference) for line in lines]
    if failure:
        results.append(Result("run", False, failure))
    return Trial(client, version(client), tuple(results))


def _questions(client: Client, servers: Servers, relays: dict[str, Relay]) -> dict[str, Any]:
    return {
        "servers": {
            name: {
                "url": f"http://{relays[name].target}",
                "rerank_target": address.rerank_target,
                "embed_target": address.embed_target,
            }
            for name, address in servers.addresses.items()
        },
        "key": servers.key,
        "slow_key": servers.slow_keys[client.name],
        "wrong_key": "tp_wrong",
        "reranker": RERANKER,
        "default_reranker": DEFAULT_RERANKER,
        "encoder": ENCODER,
        "query": QUERY,
        "passages": PASSAGES,
        "top_n": TOP_N,
        "texts": TEXTS,
        "long_query": LONG_QUERY,
        "long_text": LONG_TEXT,
    }


async def _run(
    client: Client, command: list[str], questions: dict[str, Any]
) -> tuple[list[dict[str, Any]], str]:
    """The lines that a script printed, and why it failed; "" where it did not."""
    file = script(client)
    process = await asyncio.create_subprocess_exec(
        *(*command, str(file), *([client.variant] if client.variant else [])),
        env=_environment() | {"TWOPASS_COMPAT": json.dumps(questions)},
        cwd=file.parent,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    try:
        said, complained = await asyncio.wait_for(process.communicate(), _SECONDS)
    except TimeoutError:
        process.kill()
        await process.wait()
        return [], f"not done after {_SECONDS} s"
    if "TWOPASS_COMPAT_TRACE" in os.environ:
        print(complained.decode(errors="replace"))
    lines = [json.loads(line) for line in said.splitlines() if line.startswith(b'{"check"')]
    if process.returncode:
        return lines, complained.decode(errors="replace").strip()[-500:]
    return lines, "" if lines else "no checks"


def _environment() -> dict[str, str]:
    """The environment without keys and paths of this one."""
    mine = {
        name: value
        for name, value in os.environ.items()
        if not name.endswith("_API_KEY") and name not in ("PYTHONPATH", "VIRTUAL_ENV")
    }
    return mine | _QUIET | {"PYTHONPATH": str(Path(__file__).parent / "clients")}


def _meanwhile(line: dict[str, Any], exchanges: list[Exchange]) -> list[Exchange]:
    if "began" not in line:
        return []
    return [e for e in exchanges if line["began"] <= e.began <= line["ended"]]
