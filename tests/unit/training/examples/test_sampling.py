"""Which pairs a step trains on, beside a plain reading of the same choices, pair by pair."""

import dataclasses

import numpy as np
import pytest

from twopass.engines.base.sequences import PairTemplate, Ragged
from twopass.training.examples.sampling import GroupArrays, StepSampler
from twopass.training.options import TrainingOptions

from ..conftest import PASSAGES

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)


def plainly(step, passages, queries, groups, template, options):
    """The examples of a step as lists: for each group its pairs, query lengths and teaching."""
    rng = np.random.default_rng([options.seed, step])
    steps_per_epoch = max(len(groups) // options.questions, 1)
    epoch, place = divmod(step, steps_per_epoch)
    order = np.random.default_rng([options.seed, 1, epoch]).permutation(len(groups))
    ranges = {
        group.source: (min(numbers), max(numbers))
        for group in groups
        for numbers in [[p for g in groups if g.source == group.source for p in g.passages]]
    }
    found = []
    for number in order[place * options.questions : (place + 1) * options.questions]:
        group = groups[number]
        num_mined = min(options.negatives - options.random_negatives, len(group.passages) - 1)
        places = [0, *(1 + rng.permutation(len(group.passages) - 1)[:num_mined])]
        first, last = ranges[group.source]
        others = rng.integers(first, last + 1, options.negatives - num_mined).tolist()
        others = [other for other in others if other not in group.passages]
        numbers = [group.passages[p] for p in places] + others
        cosines = [group.similarity[p] for p in places]
        cosines += [min(group.similarity)] * len(others)
        rows = Ragged.from_rows([passages[n] for n in numbers])
        batch, _ = template.assemble(queries[number], rows, options.max_tokens)
        pairs = [pair.tolist() for pair in np.split(batch.token_ids, batch.offsets[1:-1])]
        teaching = np.array(cosines) / options.teacher_temperature
        found.append((pairs, batch.query_lengths.tolist(), teaching.astype(np.float32).tolist()))
    return found


def as_lists(examples):
    ends = np.cumsum(examples.group_sizes).tolist()
    return [
        (
            [examples.pairs[row].tolist() for row in range(end - size, end)],
            examples.query_lengths[end - size : end].tolist(),
            examples.teaching[end - size : end].tolist(),
        )
        for size, end in zip(examples.group_sizes.tolist(), ends, strict=True)
    ]


TEMPLATES = {
    "BERT's": {},
    "no types": {"passage_type": 0},
    "two separators, one of each type": {"separator": (102, 102), "num_query_separators": 1},
    "nothing around": {"prefix": (), "suffix": ()},
}


@pytest.mark.parametrize("template", TEMPLATES)
@pytest.mark.parametrize(("max_tokens", "seed"), [(8, 0), (11, 7), (32, 7)])
def test_all_pairs_of_a_step_at_once_are_those_made_one_by_one(
    groups, tokenizer, template, max_tokens, seed
):
    options = dataclasses.replace(OPTIONS, max_tokens=max_tokens, seed=seed)
    changed = dataclasses.replace(tokenizer.template, **TEMPLATES[template])
    uneven = [
        dataclasses.replace(
            group,
            passages=group.passages[: 1 + number % 8],
            similarity=group.similarity[: 1 + number % 8],
        )
        for number, group in enumerate(groups)
    ]
    passages = tokenizer.encode(PASSAGES, max_tokens)
    queries = tokenizer.encode([group.query for group in uneven], max_tokens // 2)
    sampler = StepSampler(passages, queries, GroupArrays.of(uneven), changed, options)
    for step in (0, 1, 7, 8, 100, 3):
        expected = plainly(step, passages, queries, uneven, changed, options)
        assert as_lists(sampler.of_step(step)) == expected


def test_every_group_comes_once_an_epoch_and_in_another_order_the_next_time(make_examples, groups):
    sampler = make_examples(groups, OPTIONS).sampler()
    epochs = [
        [tuple(pairs[0]) for step in steps for pairs, _, _ in as_lists(sampler.of_step(step))]
        for steps in (range(8), range(8, 16))
    ]
    assert len(set(epochs[0])) == len(groups) == 64
    assert set(epochs[0]) == set(epochs[1])
    assert epochs[0] != epochs[1]


def test_the_answer_comes_first_and_random_passages_fill_up(make_examples, groups):
    for pairs, query_lengths, teaching in as_lists(
        make_examples(groups, OPTIONS).sampler().of_step(0)
    ):
        assert 4 <= len(pairs) <= 6  # a random passage that is known already is dropped
        assert len(teaching) == len(pairs) == len(query_lengths)
        assert teaching[0] == np.float32(0.2 / OPTIONS.teacher_temperature)
        assert len({tuple(pair) for pair in pairs}) == len(pairs)


def test_an_empty_passage_is_a_pair_of_the_question_alone():
    passages = Ragged.from_rows([np.array([7, 8], np.int32), np.array([], np.int32)])
    queries = Ragged.from_rows([np.array([5], np.int32)])
    groups = GroupArrays(
        ends=np.array([0, 2]),
        members=np.array([0, 1]),
        similarity=np.array([0.5, 0.4]),
        sources=np.array([[0, 1]]),
    )
    template = PairTemplate((101,), (102,), (102,))
    options = TrainingOptions(questions=1, negatives=1, random_negatives=0, max_tokens=16)
    ((pairs, _, _),) = as_lists(
        StepSampler(passages, queries, groups, template, options).of_step(0)
    )
    assert pairs == [[101, 5, 102, 7, 8, 102], [101, 5, 102, 102]]
