"""The numbers that text-embeddings-inference (TEI) tests itself by, over each of its wires.

Its test `router/tests/test_http_embed.rs` embeds "test" by all-MiniLM-L6-v2 in float32, alone and
five times in a batch, with 128 dimensions, and compares with the snapshots
`router/tests/snapshots/test_http_embed__mrl_embeddings_{single,batch}.snap`, whose rows are all the
same, to the tolerance of `Score` in `router/tests/common.rs`.
"""

from collections.abc import Iterator

import httpx
import numpy as np
import pytest

from twopass.tei.v1 import tei_pb2

from ..corpus import ENCODER
from ..serving import Server
from ..tei_stubs import TeiStubs

BEGINS = [0.020964134, 0.04565805, -0.066505864, 0.10739273, -0.013054413, -0.07467599]
ENDS = [-0.02394062, 0.056565035, -0.07313082, 0.12836726, -8.787423e-33]
TOLERANCE = 4e-3
# What "test" is in tokens, which TEI's test sends too.
TOKENS = [101, 3231, 102]


@pytest.fixture(scope="module")
def served(tmp_path_factory) -> Iterator[Server]:
    settings = {"http_address": "127.0.0.1:0", "tei_address": [f"127.0.0.1:0={ENCODER}"]}
    data = tmp_path_factory.mktemp("snapshot")
    with Server(data, gated=False, precision="f32", **settings) as running:
        yield running


def is_the_snapshot(vectors, count: int) -> None:
    assert [len(vector) for vector in vectors] == [128] * count
    for vector in vectors:
        np.testing.assert_allclose(vector[:6], BEGINS, atol=TOLERANCE)
        np.testing.assert_allclose(vector[-5:], ENDS, atol=TOLERANCE)


def test_over_grpc_the_encoder_gives_the_numbers_of_teis_snapshot(served):
    embed = TeiStubs(served.tei_targets[0]).embed
    request = tei_pb2.EmbedRequest(inputs="test", dimensions=128)
    is_the_snapshot([embed.Embed(request).embeddings], 1)
    is_the_snapshot([answer.embeddings for answer in embed.EmbedStream(iter([request] * 5))], 5)


@pytest.mark.parametrize("text", ["test", TOKENS], ids=["text", "tokens"])
def test_over_http_the_encoder_gives_the_numbers_of_teis_snapshot(served, text):
    url = f"{served.http_url}/embed"
    for inputs, count in (([text] if text == TOKENS else text, 1), ([text] * 5, 5)):
        answer = httpx.post(url, json={"inputs": inputs, "dimensions": 128})
        is_the_snapshot(answer.raise_for_status().json(), count)
