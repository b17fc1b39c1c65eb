"""Which pairs make up a step."""

import numpy as np

from twopass.training.options import TrainingOptions

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


def test_a_pair_is_what_the_server_would_read(make_examples, groups, tokenizer):
    from twopass._core import assemble_pairs

    example = make_examples(groups, OPTIONS).whole(3)
    passages = tokenizer.encode([f"the house is {c}" for c in ("red", "blue")], 32)
    template = tokenizer.template
    token_ids, offsets, query_lengths, _ = assemble_pairs(
        tokenizer.encode(["white house"], 32)[0],
        passages.token_ids,
        passages.offsets,
        *(np.array(ids, np.int32) for ids in (template.prefix, template.separator)),
        np.array(template.suffix, np.int32),
        32,
    )
    for number in (0, 1):
        assert token_ids[offsets[number] : offsets[number + 1]].tolist() == (
            example.pairs[number].tolist()
        )
        assert query_lengths[number] == example.query_lengths[number]


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
