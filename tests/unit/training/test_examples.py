"""Which pairs make up a step."""

import dataclasses
from types import SimpleNamespace

import pytest

from twopass.engines.base import Ragged
from twopass.training.examples import Examples
from twopass.training.options import TrainingOptions
from twopass.training.padding import PartSize, parts

from .conftest import PASSAGES

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)


def test_the_same_seed_and_step_give_the_same_examples(make_examples, groups):
    one, other = make_examples(groups, OPTIONS), make_examples(groups, OPTIONS)
    for step in (0, 1, 7, 100):
        for a, b in zip(one.of_step(step), other.of_step(step), strict=True):
            assert a.teaching == b.teaching
            assert [p.tolist() for p in a.pairs] == [p.tolist() for p in b.pairs]


def test_every_group_comes_once_an_epoch_and_in_another_order_the_next_time(make_examples, groups):
    examples = make_examples(groups, OPTIONS)
    epochs = [
        [tuple(e.pairs[0]) for step in steps for e in examples.of_step(step)]
        for steps in (range(8), range(8, 16))
    ]
    assert len(set(epochs[0])) == len(groups) == 64
    assert set(epochs[0]) == set(epochs[1])
    assert epochs[0] != epochs[1]


TEMPLATES = {
    "types of its own": {},
    "no types": {"passage_type": 0},
    "two separators, one of each type": {"separator": (102, 102), "num_query_separators": 1},
}


@pytest.mark.parametrize("template", TEMPLATES)
def test_a_pair_is_what_the_server_would_read(groups, tokenizer, template):
    changed = dataclasses.replace(tokenizer.template, **TEMPLATES[template])
    passages = tokenizer.encode(PASSAGES, OPTIONS.max_tokens)
    base = SimpleNamespace(template=changed, pad_id=0, encode=tokenizer.encode)
    example = Examples(passages, groups, base, OPTIONS).whole(3)
    query = tokenizer.encode([groups[3].query], 32)[0]
    read = Ragged.from_rows([passages[number] for number in groups[3].passages])
    served, _ = changed.assemble(query, read, OPTIONS.max_tokens)
    sequences = Ragged(served.token_ids, served.offsets)
    for number, pair in enumerate(example.pairs):
        assert pair.tolist() == sequences[number].tolist()
    assert example.query_lengths == served.query_lengths.tolist()
    for part in parts([example], PartSize(4_096, 0), base.pad_id):
        for rectangle in part.rectangles:
            assert rectangle.token_types.any() == (template != "no types")


def test_the_answer_comes_first_and_random_passages_fill_up(make_examples, groups):
    examples = make_examples(groups, OPTIONS)
    for example in examples.of_step(0):
        assert 4 <= len(example.pairs) <= 6  # a random passage that is known already is dropped
        assert len(example.teaching) == len(example.pairs) == len(example.query_lengths)
        assert example.teaching[0] == 0.2 / OPTIONS.teacher_temperature
        assert len({tuple(pair) for pair in example.pairs}) == len(example.pairs)


def test_a_long_passage_is_cut_and_keeps_its_end_token(make_examples, groups):
    options = TrainingOptions(questions=1, max_tokens=8)
    example = make_examples(groups, options).whole(0)
    assert {len(pair) for pair in example.pairs} == {8}
    assert {int(pair[-1]) for pair in example.pairs} == {102}  # [SEP]
