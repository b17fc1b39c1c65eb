"""What is tried of an engine before it serves, and what becomes of one that fails."""

import logging
from concurrent.futures import Future
from dataclasses import replace

import numpy as np
import pytest

from twopass.engines import loading, trial
from twopass.engines.base.engine import EngineChoice, EngineInfo, PackedLayout
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError, UnsupportedModelError
from twopass.engines.loading import load_model
from twopass.engines.model.folder import open_model
from twopass.engines.model.tokenizer import HuggingFaceTokenizer, load_tokenizer
from twopass.engines.trial import tried

from .small_models import core_config, core_tensors, write_model
from .small_tokenizers import metaspace

INFO = EngineInfo("scripted", "f32", "none", 64, PackedLayout(), max_batch_tokens=512)
SPEC = ModelSpec("small", ModelKind.ENCODER, "0", max_seq_len=64, max_query_tokens=60)
WIDTH = 8


class Scripted:
    """An engine whose outputs a function makes of a batch."""

    def __init__(self, output, info=INFO, width=WIDTH):
        self.info, self.output_width = info, width
        self.batches = []
        self.closed = False
        self._output = output

    def submit(self, batch):
        self.batches.append(batch)
        answer = Future()
        try:
            answer.set_result(self._output(batch))
        except Exception as error:
            answer.set_exception(error)
        return answer

    def close(self):
        self.closed = True


def unit(batch):
    """Embeddings of norm 1."""
    return np.full((len(batch), WIDTH), WIDTH**-0.5, np.float32)


@pytest.fixture
def tokenizer(tmp_path):
    return HuggingFaceTokenizer(metaspace(tmp_path / "tokenizer.json"))


def open_tokenizer(name):
    return load_tokenizer(open_model(name))


def failure(engine, tokenizer, spec=SPEC):
    with pytest.raises(UnsupportedModelError) as raised:
        tried(engine, spec, tokenizer)
    assert engine.closed
    return str(raised.value)


def test_the_longest_sequence_and_the_largest_batch_are_computed(tokenizer, caplog):
    caplog.set_level(logging.INFO, "twopass.engines")
    engine = Scripted(unit)
    assert tried(engine, SPEC, tokenizer) is engine
    assert not engine.closed
    shapes = [(len(batch), int(batch.lengths.max())) for batch in engine.batches]
    assert shapes[-2:] == [(1, 64), (8, 64)]
    (told,) = [record for record in caplog.records if record.getMessage() == "lengths tried"]
    assert (told.longest, told.batch_tokens) == (64, 512)
    for batch in engine.batches:
        rows = np.split(batch.token_ids, batch.offsets[1:-1])
        assert (np.concatenate([row[:1] for row in rows]) == tokenizer.template.prefix[0]).all()
        assert tokenizer.pad_id not in batch.token_ids
        assert len({row.tobytes() for row in rows}) == len(rows)  # no row is as another


def test_lengths_are_those_that_the_server_will_send(tokenizer):
    engine = Scripted(unit)
    tried(engine, replace(SPEC, max_seq_len=20), tokenizer)
    assert max(int(batch.lengths.max()) for batch in engine.batches) == 20
    engine = Scripted(unit, replace(INFO, max_seq_len=30))
    tried(engine, SPEC, tokenizer)
    assert max(int(batch.lengths.max()) for batch in engine.batches) == 30


def test_a_reranker_is_tried_with_pairs_of_the_token_types_that_its_tokenizer_has(tokenizer):
    spec = replace(SPEC, kind=ModelKind.RERANKER)
    for has_types, pairs in ((False, tokenizer), (True, open_tokenizer("twopass-minilm-l3"))):
        engine = Scripted(lambda batch: np.zeros(len(batch), np.float32), width=1)
        tried(engine, spec, pairs)
        for batch in engine.batches:
            assert (batch.query_lengths < batch.lengths).all() == has_types
            assert (batch.query_lengths <= batch.lengths).all()


def fails_from(length, error):
    def output(batch):
        if batch.lengths.max() >= length:
            raise error
        return unit(batch)

    return output


def test_a_length_that_the_model_has_no_positions_for_is_told_with_the_way_out(tokenizer):
    error = IndexError("indices element out of data bounds, idx=512\nmore lines")
    told = failure(Scripted(fails_from(64, error)), tokenizer)
    assert told.startswith("small: the engine scripted fails at 4 sequences of 64 tokens (indices")
    assert "more lines" not in told
    assert "set max_seq_len in the folder's twopass.json" in told


@pytest.mark.parametrize("error", [DeviceError("gone"), OutOfDeviceMemoryError("no room")])
def test_a_batch_that_the_device_does_not_bear_is_told(tokenizer, error):
    def output(batch):
        if batch.num_tokens > 256:
            raise error
        return unit(batch)

    told = failure(Scripted(output), tokenizer)
    assert f"fails at 8 sequences of 64 tokens ({error})" in told
    assert "more memory" in told


@pytest.mark.parametrize(
    ("output", "problem"),
    [
        (lambda batch: 7.4 * unit(batch), "embeddings of norm 7.4"),
        (lambda batch: unit(batch)[:, :4], "shape [4, 4] for 4 sequences of 64 tokens, [4, 8]"),
        (lambda batch: unit(batch) * np.float32(np.nan), "values that are no numbers"),
        (lambda batch: unit(batch)[0], "shape [8]"),
    ],
)
def test_what_is_no_embedding_is_refused(tokenizer, output, problem):
    assert problem in failure(Scripted(output), tokenizer)


def test_two_labels_are_no_logit(tokenizer):
    engine = Scripted(lambda batch: np.zeros((len(batch), 2), np.float32), width=1)
    told = failure(engine, tokenizer, replace(SPEC, kind=ModelKind.RERANKER))
    assert "shape [4, 2]" in told
    assert "[4] is needed of rerankers" in told


def test_an_engine_that_never_answers_is_abandoned(tokenizer, monkeypatch):
    monkeypatch.setattr(trial, "_ANSWER_SECONDS", 0.05)
    engine = Scripted(unit)
    engine.submit = lambda _: Future()
    with pytest.raises(UnsupportedModelError, match=r"did not answer 4 sequences of 64 tokens"):
        tried(engine, SPEC, tokenizer)
    assert not engine.closed  # it would hang there too


def test_a_trial_ends_in_time_on_a_slow_machine_and_says_what_it_left_out(
    tokenizer, caplog, monkeypatch
):
    """By the clock of a machine on which a token of a short text takes a millisecond."""
    now = [0.0]

    def output(batch):
        now[0] += batch.num_tokens * 1e-3
        return unit(batch)

    monkeypatch.setattr(trial.time, "perf_counter", lambda: now[0])
    engine = Scripted(output, replace(INFO, max_seq_len=8_192, max_batch_tokens=65_536))
    tried(engine, replace(SPEC, max_seq_len=8_192), tokenizer)
    assert now[0] < 15
    assert int(engine.batches[-1].lengths.max()) == 2_048
    assert "tried to 2048 of 8192 tokens" in caplog.text


def test_auto_goes_on_where_an_engine_fails_its_trial(tmp_path, monkeypatch, caplog):
    caplog.set_level(logging.INFO, "twopass.engines")
    config = core_config(architectures=["BertModel"])
    write_model(tmp_path, config, core_tensors(config), settings={"kind": "encoder"})
    metaspace(tmp_path / "tokenizer.json")

    def broken(*_, **__):
        return Scripted(lambda batch: 7.4 * unit(batch), replace(INFO, max_seq_len=24))

    monkeypatch.setattr(loading, "CpuEngine", broken)
    monkeypatch.setattr(loading, "has_fast_kernels", lambda: True)
    model = load_model(str(tmp_path), num_threads=1)
    model.engine.close()
    assert model.engine.info.engine == "onnxruntime"
    assert "not cpu" in caplog.text
    assert "embeddings of norm 7.4" in caplog.text
    with pytest.raises(UnsupportedModelError, match=r"norm 7\.4"):
        load_model(str(tmp_path), num_threads=1, engine=EngineChoice.CPU)
