"""Documents of any number: as many as wanted, each its own, always the same."""

import numpy as np
import pytest

from twopass.benchmarks.size.corpus import Corpus, nearest
from twopass.benchmarks.size.texts import Question, Texts


@pytest.fixture
def make(tmp_path):
    def corpus(size, dimension, seed=0, texts=None):
        folder = tmp_path / f"corpus-{len(list(tmp_path.iterdir()))}"
        return Corpus.make(folder, size, dimension, texts or Texts.made_up(seed), seed)

    return corpus


def test_a_corpus_has_as_many_documents_as_it_says_and_each_its_own(make):
    documents = list(make(12_345, 16).documents())
    assert len(documents) == len({document.id for document in documents}) == 12_345
    assert len({document.text for document in documents}) == 12_345
    assert len({tuple(document.vector) for document in documents[:1_000]}) == 1_000


def test_the_same_seed_makes_the_same_documents(make):
    one, same, other = (list(make(50, 8, seed).documents()) for seed in (1, 1, 2))
    assert [document.text for document in one] == [document.text for document in same]
    np.testing.assert_array_equal([d.vector for d in one], [d.vector for d in same])
    assert one[0].text != other[0].text


def test_passages_come_last_and_questions_know_their_answers(make):
    passages = [f"passage {number}" for number in range(5)]
    question = Question("what?", {3: 1, 4: 2})
    corpus = make(20_010, 2, texts=Texts(["word"] * 50, passages, [question]))
    texts = [document.text for document in corpus.documents()]
    assert texts[-5:] == passages
    assert corpus.questions[0].answers == {20_008: 1, 20_009: 2}
    assert texts[20_008] == "passage 3"


@pytest.mark.parametrize("dimension", [2, 63, 64, 384])
def test_vectors_have_length_one(make, dimension):
    corpus = make(100, dimension)
    ((start, vectors),) = corpus.vector_blocks()
    assert (start, vectors.shape, vectors.dtype) == (0, (100, dimension), np.float32)
    for unit in (vectors, corpus.queries(7)):
        np.testing.assert_allclose(np.linalg.norm(unit, axis=1), 1, rtol=1e-5)


def test_the_nearest_are_those_of_all_blocks(make):
    corpus = make(20_500, 24)
    queries = corpus.queries(5)
    vectors = np.concatenate([block for _, block in corpus.vector_blocks()])
    order = np.argsort(-(queries @ vectors.T), axis=1)[:, :10]
    assert nearest(corpus, queries, 10) == [{f"d{n}" for n in row} for row in order.tolist()]


def test_documents_are_near_to_some_and_far_from_most(make):
    """Or no approximate index could be of use."""
    ((_, vectors),) = make(10_000, 384).vector_blocks()
    scores = np.sort(vectors[:20] @ vectors.T, axis=1)[:, ::-1]
    assert scores[:, 1:11].mean() > 0.5
    assert abs(np.median(scores)) < 0.1
