"""What a model is known by: the same for one meaning, another for another."""

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st
from onnx import TensorProto, helper

from twopass.engines.model.folder import open_model
from twopass.engines.model.identity import FolderContents, describe, digest_of, identified

from ..small_models import random_tensors, small_config, write_json, write_model
from ..small_tokenizers import byte_level, metaspace


def write_encoder(folder: Path, *, settings: dict[str, Any] | None = None, **config: Any) -> Path:
    config = small_config(architectures=["BertModel"], **config)
    write_model(folder, config, random_tensors(config), settings=settings)
    metaspace(folder / "tokenizer.json")
    return folder


@pytest.fixture
def encoder(tmp_path: Path) -> Path:
    """An encoder's folder whose pooling stands where sentence-transformers writes it."""
    folder = write_encoder(tmp_path / "encoder")
    write_json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    return folder


def revision(folder: Path | str) -> str:
    return open_model(str(folder)).spec.revision


def change(file: Path, **changes: Any) -> None:
    content = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
    write_json(file, content | changes)


def test_the_revisions_of_shipped_models_are_those_that_collections_keep():
    """Another value here refuses every collection: it needs a migration beside it."""
    assert {name: revision(name) for name in ("all-MiniLM-L6-v2",)} == {
        "all-MiniLM-L6-v2": "91d702a232da3d4acae936b5c3e3cf4b412126fe0486b52a9ca5d43a26a0b034",
    }


def test_a_description_is_the_same_on_every_machine():
    """Pins the canonical form: order, absent fields, spellings of one number."""
    value = {"b": [1.0, 1e-12, 0.1], "a": None, "c": {"z": "", "ä": "ö"}, "d": False, "e": 0}
    assert digest_of(value) == ("2a55f77c748dab8853bb1c1ab988a82836035dda914a74516e85117a809e84c0")
    reordered = {"e": 0, "d": False, "c": {"ä": "ö"}, "b": [1, 1.0e-12, 0.1]}
    assert digest_of(reordered) == digest_of(value)


VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=12,
)


@given(st.dictionaries(st.text(max_size=5), VALUES, max_size=6), st.randoms())
def test_order_and_what_says_nothing_make_no_other_digest(described, random):
    """A setting that later versions describe too, and a model does not have, changes nothing."""
    keys = list(described)
    random.shuffle(keys)
    extended = {key: described[key] for key in keys} | {"a setting to come": None}
    assert digest_of(extended) == digest_of(described)
    extended["a setting to come"] = "given"
    assert digest_of(extended) != digest_of(described)


def test_a_revision_does_not_depend_on_where_a_folder_stands_or_how_it_is_spelled(
    tmp_path, encoder, monkeypatch
):
    known = revision(encoder)
    copied = Path(shutil.copytree(encoder, tmp_path / "copied"))
    (tmp_path / "link").symlink_to(encoder)
    monkeypatch.chdir(tmp_path)
    for spelling in (copied, tmp_path / "link", "encoder", "./encoder", "link/../encoder/"):
        assert revision(spelling) == known


def rewrite_indented(folder: Path) -> None:
    for name in ("config.json", "tokenizer.json"):
        content = json.loads((folder / name).read_text(encoding="utf-8"))
        reordered = dict(reversed(list(content.items())))
        (folder / name).write_text(json.dumps(reordered, indent=4), encoding="utf-8")


def spell_pooling_as_setting(folder: Path) -> None:
    shutil.rmtree(folder / "1_Pooling")
    write_json(folder / "twopass.json", {"pooling": "mean"})


MEANINGLESS = {
    "a README": lambda folder: (folder / "README.md").write_text("# A model"),
    "an indentation": rewrite_indented,
    "the version that saved it": lambda f: change(f / "config.json", transformers_version="9.9"),
    "the type it was trained in": lambda f: change(f / "config.json", torch_dtype="bfloat16"),
    "dropout": lambda folder: change(folder / "config.json", hidden_dropout_prob=0.3),
    "a null": lambda folder: change(folder / "config.json", finetuning_task=None),
    "one number's spelling": lambda f: change(f / "config.json", layer_norm_eps=0.000001),
    "truncation": lambda folder: change(folder / "tokenizer.json", truncation=None),
    "padding": lambda folder: change(folder / "tokenizer.json", padding=None),
    "calibration": lambda f: change(f / "twopass.json", calibration={"a": 2.0, "b": 1.0}),
    "blend": lambda folder: change(folder / "twopass.json", blend=0.5),
    "a pooling's spelling": spell_pooling_as_setting,
}


@pytest.mark.parametrize("meaningless", MEANINGLESS)
def test_what_changes_no_output_changes_no_revision(encoder, meaningless):
    known = revision(encoder)
    MEANINGLESS[meaningless](encoder)
    assert revision(encoder) == known


def change_weights(folder: Path) -> None:
    weights = folder / "model.safetensors"
    content = bytearray(weights.read_bytes())
    content[-1] ^= 1
    weights.write_bytes(bytes(content))


MEANINGFUL = {
    "weights": change_weights,
    "epsilon": lambda folder: change(folder / "config.json", layer_norm_eps=1e-5),
    "activation": lambda folder: change(folder / "config.json", hidden_act="gelu_new"),
    "pooling": lambda folder: change(folder / "twopass.json", pooling="cls"),
    "kind": lambda folder: change(folder / "twopass.json", kind="reranker"),
    "prefix of queries": lambda folder: change(folder / "twopass.json", query_prefix="query: "),
    "prefix of passages": lambda folder: change(folder / "twopass.json", passage_prefix="p: "),
    "length": lambda folder: change(folder / "twopass.json", max_seq_len=20),
    "length of sentence-transformers": lambda folder: change(
        folder / "sentence_bert_config.json", max_seq_length=20
    ),
    "lower case": lambda f: change(f / "sentence_bert_config.json", do_lower_case=True),
    "tokenizer": lambda folder: byte_level(folder / "tokenizer.json"),
    "token types": lambda f: change(f / "tokenizer_config.json", model_input_names=["input_ids"]),
    "another setting": lambda folder: change(folder / "twopass.json", prompt={"layout": "x"}),
}


@pytest.mark.parametrize("meaningful", MEANINGFUL)
def test_what_changes_the_output_changes_the_revision(encoder, meaningful):
    known = revision(encoder)
    MEANINGFUL[meaningful](encoder)
    assert revision(encoder) != known


def test_modules_and_shards_are_part_of_a_model(encoder):
    """Their order too: that of modules, since each computes on what the one before it gives."""
    spec = open_model(str(encoder)).spec
    contents = FolderContents(
        path=encoder,
        config=json.loads((encoder / "config.json").read_text()),
        settings={},
        poolings=["mean"],
        weights=[],
        sha256={},
    )
    dense = replace(contents, modules=[{"in": 8, "out": 4, "activation": "tanh"}])

    def known_as(contents: FolderContents, shards: list[str], modules: list[str]) -> str:
        return digest_of(describe(spec, contents, weights=shards, module_weights=modules))

    one = known_as(dense, ["a", "b"], ["c", "d"])
    assert known_as(dense, ["b", "a"], ["c", "d"]) == one
    assert known_as(dense, ["a", "b"], ["d", "c"]) != one
    assert known_as(dense, ["a"], ["c", "d"]) != one
    assert known_as(contents, ["a", "b"], ["c", "d"]) != one
    poolings = replace(dense, poolings=["mean", "cls"])
    assert known_as(poolings, ["a", "b"], ["c", "d"]) != one


def test_every_shard_is_hashed(encoder):
    spec = open_model(str(encoder)).spec
    shards = [encoder / "model-1.safetensors", encoder / "model-2.safetensors"]
    for shard in shards:
        shard.write_bytes(shard.name.encode())
    contents = FolderContents(
        path=encoder,
        config={},
        settings={},
        poolings=["mean"],
        weights=shards,
        sha256={},
    )
    before = identified(spec, contents)
    assert len(before.weights_sha256) == 64
    assert before.legacy_revision is None
    assert "weights" in before.read_anew
    shards[1].write_bytes(b"changed")
    after = identified(spec, contents)
    assert after.weights_sha256 != before.weights_sha256
    assert after.revision != before.revision


# What servers before revisions read to the same meaning, and what they did not.
@pytest.mark.parametrize(
    ("files", "difference"),
    [
        ({}, None),
        ({"1_Pooling/config.json": {"pooling_mode_cls_token": True}}, None),
        ({"twopass.json": {"pooling": "cls", "max_seq_len": 20}}, None),
        ({"twopass.json": {"query_prefix": "query: "}}, None),
        ({"twopass.json": {"passage_prefix": "passage: "}}, "passage_prefix"),
        ({"sentence_bert_config.json": {"max_seq_length": 20}}, None),
        ({"sentence_bert_config.json": {"do_lower_case": True}}, "normalizer"),
    ],
)
def test_older_servers_knew_a_model_by_its_weights_where_they_read_it_so(
    encoder, files, difference
):
    for name, content in files.items():
        write_json(encoder / name, content)
    spec = open_model(str(encoder)).spec
    if difference is None:
        assert (spec.legacy_revision, spec.read_anew) == (spec.weights_sha256, "")
    else:
        assert spec.legacy_revision is None
        assert spec.read_anew.startswith(difference)


def test_a_pooling_that_older_servers_read_as_mean_is_another_model(encoder):
    spec = open_model(str(encoder)).spec
    contents = FolderContents(
        path=encoder,
        config={},
        settings={},
        poolings=["lasttoken"],
        weights=[encoder / "model.safetensors"],
        sha256={},
    )
    found = identified(replace(spec, max_seq_len=24), contents)
    assert found.legacy_revision is None
    assert found.read_anew.startswith("pooling: lasttoken, was read as mean")


def write_graph(file: Path, *outputs: tuple[str, list[Any]], divided_by: str = "") -> None:
    """A graph with these outputs; the last is divided by what `divided_by` computes of its row."""
    nodes = [helper.make_node("Identity", ["input"], [name]) for name, _ in outputs[:-1]]
    last = outputs[-1][0]
    if divided_by:
        nodes += [
            helper.make_node(divided_by, ["input"], ["size"], keepdims=1),
            helper.make_node("Clip", ["size", "least"], ["divisor"]),
            helper.make_node("Div", ["input", "divisor"], [last]),
        ]
    else:
        nodes.append(helper.make_node("Identity", ["input"], [last]))
    values = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs
    ]
    given = helper.make_tensor_value_info("input", TensorProto.FLOAT, None)
    least = helper.make_tensor("least", TensorProto.FLOAT, [], [1e-12])
    onnx.save(
        helper.make_model(helper.make_graph(nodes, "exported", [given], values, [least])), file
    )


VECTORS = ("last_hidden_state", ["batch", "tokens", 8])
POOLER, EMBEDDING = ("pooler_output", ["batch", 8]), ("sentence_embedding", ["batch", 8])
# Older servers took a graph's first output: token vectors they pooled and normalised, a pooled one
# they stored as it came.
GRAPHS: dict[str, tuple[list[tuple[str, list[Any]]], str, str]] = {
    "token vectors": ([VECTORS], "", ""),
    "token vectors of a name of its own": ([("encoded", ["batch", "tokens", 8])], "", ""),
    "token vectors, then pooled": ([VECTORS, POOLER], "", ""),
    "a pooler's output first": (
        [POOLER, VECTORS],
        "",
        "output: last_hidden_state, was read as pooler_output",
    ),
    "an embedding first": (
        [EMBEDDING, ("token_embeddings", ["batch", "tokens", 8])],
        "",
        "output: token_embeddings, was read as sentence_embedding",
    ),
    "a pooler's output alone": ([POOLER], "", "output: none of model.onnx counts"),
    "an embedding of any norm": (
        [EMBEDDING],
        "",
        "output: sentence_embedding normalised, was stored as it came",
    ),
    "an embedding divided by its norm": ([EMBEDDING], "ReduceL2", ""),
    "an embedding divided by its sum": (
        [EMBEDDING],
        "ReduceL1",
        "output: sentence_embedding normalised, was stored as it came",
    ),
}


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("others", ["alone", "beside safetensors that were not read"])
def test_an_encoder_of_whose_graph_another_output_was_read_is_another_model(encoder, graph, others):
    outputs, divided_by, difference = GRAPHS[graph]
    write_graph(encoder / "model.onnx", *outputs, divided_by=divided_by)
    if others == "alone":
        (encoder / "model.safetensors").unlink()
    else:
        change(encoder / "config.json", model_type="longformer")
    spec = open_model(str(encoder)).spec
    assert spec.read_anew == difference
    assert spec.legacy_revision == (None if difference else spec.weights_sha256)


def test_a_graph_beside_safetensors_of_a_known_family_was_not_read(encoder):
    write_graph(encoder / "model.onnx", POOLER)
    assert open_model(str(encoder)).spec.read_anew == ""


def test_of_a_graph_older_servers_knew_its_own_file_alone(encoder):
    (encoder / "model.safetensors").unlink()
    write_graph(encoder / "model.onnx", VECTORS)
    alone = open_model(str(encoder)).spec
    assert alone.legacy_revision == alone.weights_sha256
    tensors = encoder / "model.onnx_data"
    tensors.write_bytes(b"tensors")
    contents = FolderContents(
        path=encoder,
        config=json.loads((encoder / "config.json").read_text()),
        settings={},
        poolings=["mean"],
        weights=[encoder / "model.onnx", tensors],
        sha256={},
    )
    beside = identified(alone, contents)
    assert beside.legacy_revision == alone.legacy_revision
    assert beside.weights_sha256 != alone.weights_sha256
    assert beside.revision != alone.revision
