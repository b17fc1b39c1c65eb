"""The in-process side does all of the work, and no more."""

import dataclasses

import numpy as np
import pytest

from twopass.benchmarks import in_process
from twopass.benchmarks.workload import Texts
from twopass.engines.base.engine import PackedLayout
from twopass.engines.model.decoder import PASSAGE, QUERY, PromptLayout
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer

from ..engines.small_decoders import save_tokenizer


class Recording:
    """An engine that keeps what it was given and lets another compute it."""

    def __init__(self, engine, **info):
        self._engine = engine
        self.info = dataclasses.replace(engine.info, **info)
        self.batches = []

    def submit(self, batch):
        self.batches.append(batch)
        return self._engine.submit(batch)


@pytest.mark.parametrize("layout", [{}, {"layout": PackedLayout()}], ids=["padded", "packed"])
def test_every_pair_is_scored_once_in_batches_of_the_engines_size(reranker, layout):
    engine = Recording(reranker.engine, max_batch_tokens=256, **layout)
    sets = [Texts(1).candidates(number, 9, 40) for number in range(3)]
    count = in_process.score(dataclasses.replace(reranker, engine=engine), sets)
    assert count == 27
    tokens = [p for s in sets for p in reranker.tokenizer.encode([s.query, *s.passages], 512)]
    lengths = [len(row) for row in tokens]
    special = reranker.tokenizer.template.num_pair_tokens
    expected = sum(
        lengths[10 * s] + lengths[10 * s + p] + special for s in range(3) for p in range(1, 10)
    )
    assert sum(batch.num_tokens for batch in engine.batches) == expected
    assert all(batch.num_tokens <= 256 for batch in engine.batches)
    assert len(engine.batches) > 3


def test_the_pairs_of_a_batch_are_alike_in_length(reranker):
    engine = Recording(reranker.engine, max_batch_tokens=256)
    in_process.score(dataclasses.replace(reranker, engine=engine), [Texts(1).candidates(0, 30, 40)])
    assert all(np.ptp(batch.lengths) < 16 for batch in engine.batches)


def test_a_decoders_pairs_stand_in_its_prompt(reranker, tmp_path):
    save_tokenizer(tmp_path)
    layout = PromptLayout((f"<|im_start|>Q: {QUERY}\nD: {PASSAGE}<|im_end|>",))
    prompt = DecoderTokenizer(tmp_path / "tokenizer.json", layout)
    engine = Recording(reranker.engine, layout=PackedLayout())
    decoder = dataclasses.replace(reranker, engine=engine, tokenizer=prompt, prompt=prompt)
    texts = Texts(1).candidates(0, 1, 12)
    in_process.score(decoder, [texts])
    (batch,) = engine.batches
    (passage,) = texts.passages
    ids, template = prompt.encode_queries([texts.query], 500)[0], prompt.pair_template("")
    begin = [*template.prefix, *ids, *template.separator]
    assert batch.query_lengths.tolist() == [len(begin)]
    own = prompt.encode([passage], 500)[0]
    assert batch.token_ids.tolist() == [*begin, *own, *template.suffix]
