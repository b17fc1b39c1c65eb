"""A server calls nobody whom no setting names, as strace sees it."""

import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from twopass.v1 import embed_pb2, search_pb2
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.spans_pb2 import SpanOptions

from ..crash.system_calls import why_not
from .corpus import FACTS, fill
from .serving import Stubs

# Whatever sends to an address, and with it the look-ups of names.
STRACE = ("strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto,sendmsg,sendmmsg")
ADDRESS = re.compile(r'sin6?_port=htons\((\d+)\).*?(?:inet_addr\(|inet_pton\(AF_INET6, )"([^"]+)"')
# Where one of these is set, ONNX Runtime reports to nobody anyway.
SILENCERS = ("CI", "GITHUB_ACTIONS", "TF_BUILD", "ORT_RUNNING_UNIT_TESTS", "ORT_DISABLE_TELEMETRY")


@pytest.fixture(autouse=True)
def traceable() -> None:
    if missing := why_not():
        pytest.skip(missing)


@contextmanager
def traced(program: list[str], folder: Path) -> Iterator[subprocess.Popen[str]]:
    """A program under strace, which is told to end when the block does."""
    variables = {name: value for name, value in os.environ.items() if name not in SILENCERS}
    variables["HOME"] = str(folder)
    command = [*STRACE, "-o", str(folder / "calls"), sys.executable, *program]
    with subprocess.Popen(command, env=variables, stderr=subprocess.PIPE, text=True) as strace:
        assert strace.stderr is not None
        yield strace
        if strace.poll() is None:
            children = Path(f"/proc/{strace.pid}/task/{strace.pid}/children").read_text()
            for child in children.split():
                os.kill(int(child), signal.SIGTERM)
        strace.stderr.read()


def called(folder: Path) -> set[tuple[str, str]]:
    """Addresses and ports that something was sent to, or that were connected to.

    Port 0 is what the C library connects to, without a packet, to learn how it would be routed.
    """
    found = {ADDRESS.search(line) for line in (folder / "calls").read_text().splitlines()}
    return {(each[2], each[1]) for each in found if each is not None and each[1] != "0"}


def test_what_is_called_is_seen(tmp_path):
    program = "import socket; socket.socket(type=socket.SOCK_DGRAM).sendto(b'', ('127.0.0.9', 9))"
    with traced(["-c", program], tmp_path) as strace:
        strace.wait()
    assert called(tmp_path) == {("127.0.0.9", "9")}


@pytest.mark.parametrize("engine", ["cpu", "onnxruntime"])
def test_a_server_that_is_used_and_ended_has_called_nobody(tmp_path, engine):
    serve = ["-m", "twopass.commands.main", "serve", "--data", str(tmp_path / "data")]
    serve += ["--address", "127.0.0.1:0", "--http-address", "127.0.0.1:0", "--engine", engine]
    with traced([*serve, "--log-format", "json"], tmp_path) as strace:
        records = (json.loads(line) for line in strace.stderr if line.startswith("{"))
        serving = next(record for record in records if record["message"] == "serving")
        stubs = Stubs(serving["address"])
        fill(stubs, "facts")
        search = search_pb2.SearchRequest(collection="facts", query="sky", spans=SpanOptions())
        assert stubs.search(search).hits[0].id == "sky"
        passages = [Candidate(text=text) for text in FACTS.values()]
        stubs.rerank(RerankRequest(query="sky", candidates=passages))
        stubs.embed(embed_pb2.EmbedRequest(texts=["sky"]))
        stubs.channel.close()
    assert called(tmp_path) == set()
