"""What the engine of the C++ core refuses, and how; and the instruction set that one may choose."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from twopass import _core
from twopass.engines.cpu.engine import CpuEngine
from twopass.engines.errors import InputTooLongError, ModelError, UnsupportedModelError
from twopass.engines.model.folder import open_model

from ..random_encoders import DEBERTA_CONFIGS, write_encoder
from ..small_models import (
    MAX_SEQ_LEN,
    VOCAB_SIZE,
    batch_of,
    core_config,
    core_tensors,
    random_rows,
    small_config,
    write_model,
)


@pytest.fixture
def engine(tmp_path):
    """A small reranker on two threads."""
    config = core_config()
    folder = open_model(str(write_model(tmp_path, config, core_tensors(config))))
    engine = CpuEngine(folder, num_threads=2)
    yield engine
    engine.close()


# --- batches --------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [MAX_SEQ_LEN + 1, 10 * MAX_SEQ_LEN], ids="length={}".format)
def test_a_sequence_that_is_too_long_is_refused_with_both_numbers(engine, length):
    future = engine.submit(batch_of(random_rows([3, length]), [1, 1]))
    with pytest.raises(InputTooLongError, match=f"{length} tokens, at most {MAX_SEQ_LEN}"):
        future.result()
    assert engine.submit(batch_of(random_rows([MAX_SEQ_LEN]), [1])).result().shape == (1,)


@pytest.mark.parametrize("token_id", [-1, VOCAB_SIZE, 2**31 - 1])
def test_a_token_id_outside_the_vocabulary_is_refused_with_its_sequence(engine, token_id):
    future = engine.submit(batch_of([[2, 3], [2, token_id]], [1, 1]))
    with pytest.raises(ValueError, match=rf"sequence 1: token id {token_id} .* below {VOCAB_SIZE}"):
        future.result()
    assert engine.submit(batch_of([[2, VOCAB_SIZE - 1]], [1])).result().shape == (1,)


def test_an_empty_sequence_is_refused(engine):
    with pytest.raises(ValueError, match="sequence 1: 0 tokens given"):
        engine.submit(batch_of([[2], []], [1, 0])).result()


def test_what_was_submitted_is_finished_before_the_engine_closes(engine):
    futures = [engine.submit(batch_of(random_rows([9]), [3])) for _ in range(20)]
    engine.close()
    engine.close()
    assert all(future.result().shape == (1,) for future in futures)


# --- models ---------------------------------------------------------------------------------------

UNSUPPORTED = {
    "hidden_size: 96 given": {"hidden_size": 96, "num_attention_heads": 3},
    "intermediate_size: 40000 given": {"intermediate_size": 40_000},
    "num_heads: 4 given": {"num_attention_heads": 4},
    "model_type is 'xlnet'": {"model_type": "xlnet"},
    "position_embedding_type is 'relative_key'": {"position_embedding_type": "relative_key"},
    "hidden_act is 'elu'": {"hidden_act": "elu"},
}


@pytest.mark.parametrize(("reason", "changes"), UNSUPPORTED.items(), ids=UNSUPPORTED)
def test_a_shape_it_does_not_compute_is_refused_with_the_reason(tmp_path, reason, changes):
    config = core_config(**changes)
    tensors = core_tensors(config | {"model_type": "bert"})
    folder = open_model(str(write_model(tmp_path, config, tensors, settings={"max_seq_len": 24})))
    with pytest.raises(UnsupportedModelError, match=reason):
        CpuEngine(folder)


def test_a_hidden_size_it_does_not_compute_is_refused_with_the_way_out(tmp_path):
    config = small_config()
    folder = open_model(str(write_model(tmp_path, config, core_tensors(config))))
    with pytest.raises(UnsupportedModelError, match=r"hidden_size: 8 .*the engine onnxruntime"):
        CpuEngine(folder)


def test_a_folder_without_safetensors_is_refused_with_the_way_out(tmp_path):
    write_model(tmp_path, core_config())
    (tmp_path / "model.onnx").write_bytes(b"a graph")
    with pytest.raises(UnsupportedModelError, match=r"no model\.safetensors.*onnxruntime"):
        CpuEngine(open_model(str(tmp_path)))


def test_weights_without_word_embeddings_are_refused_with_their_file(tmp_path):
    config = core_config()
    tensors = core_tensors(config)
    del tensors["embeddings.word_embeddings.weight"]
    write_model(tmp_path, config, tensors)
    with pytest.raises(ModelError, match=r"model\.safetensors: .*word_embeddings\.weight"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("stored", "name"),
    {
        "embeddings.LayerNorm.bias": r"embeddings\.norm\.bias",
        "encoder.layer.1.attention.self.key.bias": r"layers\.1\.attention\.key\.bias",
        "encoder.layer.0.output.dense.weight": r"layers\.0\.mlp\.down\.weight",
        "pooler.dense.weight": r"head\.dense\.weight",
        "classifier.bias": r"head\.projection\.bias",
    }.items(),
)
def test_a_missing_tensor_is_named_with_its_file(tmp_path, stored, name):
    config = core_config()
    tensors = core_tensors(config)
    del tensors[stored]
    folder = open_model(str(write_model(tmp_path, config, tensors)))
    with pytest.raises(ModelError, match=rf"model\.safetensors: .*{name}") as caught:
        CpuEngine(folder)
    assert not isinstance(caught.value, UnsupportedModelError)


def test_an_encoder_needs_no_head(tmp_path):
    config = core_config()
    tensors = {k: v for k, v in core_tensors(config).items() if "classifier" not in k}
    folder = open_model(str(write_model(tmp_path, config, tensors, settings={"kind": "encoder"})))
    CpuEngine(folder).close()


def test_a_tensor_that_contradicts_the_configuration_is_named(tmp_path):
    config = core_config()
    folder = open_model(
        str(write_model(tmp_path, config | {"vocab_size": VOCAB_SIZE + 1}, core_tensors(config)))
    )
    with pytest.raises(ModelError, match=r"embeddings\.words\.weight has the shape \[40, 64\]"):
        CpuEngine(folder)


def truncate(content: bytes) -> bytes:
    return content[: len(content) // 2]


def drop_header(content: bytes) -> bytes:
    return content[8:]


def spoil_json(content: bytes) -> bytes:
    return content.replace(b"F32", b"F\xff2", 1)


def spoil_number(content: bytes) -> bytes:
    return content[:-4] + np.float32(np.nan).tobytes()


@pytest.mark.parametrize("damage", [truncate, drop_header, spoil_json, spoil_number])
def test_a_damaged_file_is_named(tmp_path, damage):
    config = core_config()
    folder = open_model(str(write_model(tmp_path, config, core_tensors(config))))
    weights = tmp_path / "model.safetensors"
    weights.write_bytes(damage(weights.read_bytes()))
    with pytest.raises(ModelError, match=f"{weights}: "):
        CpuEngine(folder)


# --- instruction sets -----------------------------------------------------------------------------

# The set is chosen once in a process, so each of these runs in one of its own. Reads folders,
# precisions and pairs, writes logits. Warming up takes portable code long.
COMPUTE = """
import json, sys
import numpy as np
from twopass.engines.cpu import engine as cpu_engine
from twopass.engines.base.engine import Precision
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.model.folder import open_model
cpu_engine._WARM_UP_SEQUENCES = cpu_engine._WARM_UP_TOKENS = 1
asked = json.load(sys.stdin)
rows = Ragged.from_rows(asked["rows"])
batch = TokenBatch(rows.token_ids, rows.offsets, np.array(asked["query_lengths"], np.int32))
logits = {}
for precision in Precision:
    engine = cpu_engine.CpuEngine(open_model(asked["model"]), num_threads=2, precision=precision)
    logits[precision.value] = engine.submit(batch).result().tolist()
    engine.close()
print(json.dumps({"device": engine.info.device, "logits": logits}))
"""


def run_with_isa(isa: str, script: str, stdin: str = "") -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"TWOPASS_ISA": isa}
    command = [sys.executable, "-c", script]
    return subprocess.run(command, input=stdin, env=environment, capture_output=True, text=True)


@pytest.mark.parametrize("isa", _core.supported_isas())
def test_every_instruction_set_gives_the_logits_that_torch_computed(golden, isa):
    shortest = sorted(range(len(golden.pairs)), key=lambda i: len(golden.pair_ids[i]))[:6]
    rows = [golden.pair_ids[i] for i in shortest]
    sep = golden.pair_ids[0][-1]
    pairs = {"rows": rows, "query_lengths": [row.index(sep) + 1 for row in rows]}
    ran = run_with_isa(isa, COMPUTE, json.dumps({"model": "twopass-minilm-l6"} | pairs))
    assert ran.returncode == 0, ran.stderr
    result = json.loads(ran.stdout)
    assert result["device"] == isa
    # As in test_cpu_engine.py.
    for precision, tolerance in {"f32": 2e-4, "bf16": 0.15, "int8": 0.5}.items():
        errors = np.abs(np.array(result["logits"][precision]) - golden.logits[shortest])
        assert errors.max() < tolerance, precision


def test_an_unknown_instruction_set_is_refused_with_those_there_are():
    ran = run_with_isa("mmx", "from twopass.engines.cpu.engine import *; has_fast_kernels()")
    last = ran.stderr.splitlines()[-1]
    assert "ModelError: TWOPASS_ISA: mmx given, but this machine has portable" in last
    assert all(isa in last for isa in _core.supported_isas())


def test_an_empty_choice_is_none():
    ran = run_with_isa("", "from twopass import _core; print(_core.selected_isa())")
    assert ran.stdout.strip() == _core.supported_isas()[-1]


@pytest.mark.parametrize("name", DEBERTA_CONFIGS)
def test_deberta_is_refused_with_the_engines_that_run_it(tmp_path, name):
    write_encoder(tmp_path, name)
    with pytest.raises(UnsupportedModelError, match=r"deberta-v2 attends.*onnxruntime, torch and"):
        CpuEngine(open_model(str(tmp_path)))
