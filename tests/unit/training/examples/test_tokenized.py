"""Groups as token ids."""

import dataclasses
from types import SimpleNamespace

import pytest

from twopass.engines.base.sequences import Ragged
from twopass.training.examples.tokenized import Examples
from twopass.training.options import TrainingOptions

from ..conftest import PASSAGES

OPTIONS = TrainingOptions(questions=8, negatives=5, random_negatives=2, max_tokens=32)


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


def test_a_long_passage_is_cut_and_keeps_its_end_token(make_examples, groups):
    options = TrainingOptions(questions=1, max_tokens=8)
    example = make_examples(groups, options).whole(0)
    assert {len(pair) for pair in example.pairs} == {8}
    assert {int(pair[-1]) for pair in example.pairs} == {102}  # [SEP]
