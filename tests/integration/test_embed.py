"""Embeddings of fewer components: the first of each, scaled to length 1 or left as they are."""

import numpy as np
import pytest

from twopass.client import AsyncClient, Client
from twopass.v1.embed_pb2 import EmbedRequest

TEXTS = ["Bees make honey.", "What is the capital of Australia?", "The moon pulls at the sea."]
WIDTH = 384


@pytest.fixture
def client(server):
    with Client(server.target) as made:
        yield made


@pytest.fixture
def whole(client):
    return np.array(client.embed(TEXTS).vectors, np.float32)


@pytest.mark.parametrize("dimensions", [1, 2, 128, WIDTH - 1])
def test_the_first_components_are_scaled_to_length_one(client, whole, dimensions):
    cut = np.array(client.embed(TEXTS, dimensions=dimensions).vectors, np.float32)
    assert cut.shape == (len(TEXTS), dimensions)
    np.testing.assert_allclose(np.linalg.norm(cut, axis=1), 1, rtol=1e-6)
    first = whole[:, :dimensions].astype(np.float64)
    expected = first / np.linalg.norm(first, axis=1, keepdims=True)
    np.testing.assert_allclose(cut, expected, rtol=1e-6)  # one rounding of float32 and a half


@pytest.mark.parametrize("dimensions", [1, 128, WIDTH - 1])
def test_components_that_are_not_scaled_are_those_of_the_whole(client, whole, dimensions):
    cut = client.embed(TEXTS, dimensions=dimensions, normalize=False).vectors
    np.testing.assert_array_equal(np.array(cut, np.float32), whole[:, :dimensions])


@pytest.mark.parametrize("normalize", [True, False])
@pytest.mark.parametrize("dimensions", [None, WIDTH])
def test_whole_embeddings_have_length_one_either_way(client, whole, dimensions, normalize):
    same = client.embed(TEXTS, dimensions=dimensions, normalize=normalize).vectors
    np.testing.assert_array_equal(np.array(same, np.float32), whole)
    np.testing.assert_allclose(np.linalg.norm(whole, axis=1), 1, rtol=1e-5)


def test_what_a_text_is_cut_to_does_not_depend_on_the_texts_beside_it(server):
    alone = [
        server.embed(EmbedRequest(texts=[text], dimensions=100)).embeddings[0] for text in TEXTS
    ]
    together = server.embed(EmbedRequest(texts=TEXTS, dimensions=100)).embeddings
    assert list(together) == alone


def test_queries_are_cut_too_whether_or_not_they_are_remembered(server):
    request = EmbedRequest(texts=["who cuts a query"], role="EMBED_ROLE_QUERY", dimensions=16)
    first = server.embed(request).embeddings[0]
    assert len(first.vector.values) == 16
    assert server.embed(request).embeddings[0] == first
    request.dimensions = 0
    assert len(server.embed(request).embeddings[0].vector.values) == WIDTH


async def test_the_asynchronous_client_cuts_embeddings(server):
    async with AsyncClient(server.target) as asynchronous:
        result = await asynchronous.embed(TEXTS, dimensions=8, normalize=False)
    assert [len(vector) for vector in result.vectors] == [8, 8, 8]
