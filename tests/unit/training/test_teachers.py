"""Whose order is learnt: the first pass's, or that of a reranker as it would be served."""

import numpy as np
import pytest

from twopass.engines.base.sequences import TokenBatch
from twopass.training.examples.layout import PartSize, lay_out
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.reading import opened
from twopass.training.teachers import teacher

OPTIONS = TrainingOptions(questions=4, negatives=5, max_tokens=32)


def test_without_a_reranker_the_first_pass_teaches_as_mining_found(tokenizer):
    with teacher(None, tokenizer) as teach:
        assert teach is None


def test_a_reranker_teaches_by_its_logits(make_examples, groups, tokenizer):
    step = make_examples(groups, OPTIONS).sampler().of_step(0)
    (part,) = lay_out(step, PartSize(10_000, 128, 0), pad_id=0)
    with teacher("twopass-minilm-l6", tokenizer) as teach:
        teach(part)
    with opened("twopass-minilm-l6") as reader:
        batch = TokenBatch(step.pairs.token_ids, step.pairs.offsets, step.query_lengths)
        logits = reader.model.engine.submit(batch).result()
    expected = {tuple(step.pairs[n].tolist()): logit for n, logit in enumerate(logits)}
    arrays = part.arrays
    sequences = [tuple(s.tolist()) for s in np.split(arrays.token_ids, arrays.offsets[1:-1])]
    for rows, teaching in zip(arrays.rows, arrays.teaching, strict=True):
        for row, taught in zip(rows, teaching, strict=True):
            assert taught == (expected[sequences[row]] if row >= 0 else 0)


def test_an_encoder_is_no_teacher(tokenizer):
    with (
        pytest.raises(TrainingError, match="an encoder, where a reranker is needed"),
        teacher("all-MiniLM-L6-v2", tokenizer),
    ):
        pass
