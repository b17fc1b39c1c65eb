"""Whose order is learnt: the first pass's, or that of a reranker as it would be served."""

import pytest

from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.reading import opened
from twopass.training.teachers import teacher

OPTIONS = TrainingOptions(questions=4, negatives=5, max_tokens=32)


@pytest.fixture
def examples(make_examples, groups):
    return make_examples(groups, OPTIONS).of_step(0)


def test_without_a_reranker_the_first_pass_teaches(examples, tokenizer):
    with teacher(None, tokenizer) as teach:
        assert teach(examples) is examples


def test_a_reranker_teaches_by_its_logits(examples, tokenizer):
    with teacher("twopass-minilm-l6", tokenizer) as teach:
        taught = teach(examples)
    with opened("twopass-minilm-l6") as reader:
        logits = reader.read(examples)
    for before, after, read in zip(examples, taught, logits, strict=True):
        assert after.pairs is before.pairs
        assert after.teaching == pytest.approx(read.tolist())
        assert after.teaching != before.teaching


def test_an_encoder_is_no_teacher(tokenizer):
    with (
        pytest.raises(TrainingError, match="an encoder, where a reranker is needed"),
        teacher("all-MiniLM-L6-v2", tokenizer),
    ):
        pass
