"""`modules.json` and what it names: each module is understood or refused by name."""

import itertools
from pathlib import Path

import pytest

from twopass.engines.errors import ModelError
from twopass.engines.model.architecture import Activation
from twopass.engines.model.folder import open_model
from twopass.engines.model.pooling import DenseLayer, Pooling

from ...small_models import random_tensors, small_config, write_json, write_model
from .sentence_folders import (
    DENSE,
    MEAN,
    NORMALIZE,
    POOLING,
    TRANSFORMER,
    write_dense,
    write_encoder,
    write_modules,
    write_sentence_encoder,
)

_FLAGS = {
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_max_tokens": Pooling.MAX,
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_mean_sqrt_len_tokens": Pooling.MEAN_SQRT_LEN,
    "pooling_mode_weightedmean_tokens": Pooling.WEIGHTED_MEAN,
    "pooling_mode_lasttoken": Pooling.LAST,
}
_NAMES = {
    "cls": Pooling.CLS,
    "max": Pooling.MAX,
    "mean": Pooling.MEAN,
    "mean_sqrt_len_tokens": Pooling.MEAN_SQRT_LEN,
    "weightedmean": Pooling.WEIGHTED_MEAN,
    "lasttoken": Pooling.LAST,
}


@pytest.mark.parametrize("name", _NAMES)
def test_the_new_form_of_a_pooling_is_a_name(tmp_path: Path, name: str) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"pooling_mode": name})
    assert open_model(str(tmp_path)).head.poolings == (_NAMES[name],)


@pytest.mark.parametrize("names", [("cls", "mean"), ("mean", "cls"), ("lasttoken", "max", "cls")])
def test_or_names_whose_vectors_stand_side_by_side_in_their_order(
    tmp_path: Path, names: tuple[str, ...]
) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"pooling_mode": list(names)})
    model = open_model(str(tmp_path))
    assert model.head.poolings == tuple(_NAMES[name] for name in names)
    assert model.head.output_width(8) == 8 * len(names)


@pytest.mark.parametrize("flags", [(), *itertools.combinations(_FLAGS, 1), *[tuple(_FLAGS)]])
def test_the_old_form_is_a_flag_for_each_and_mean_without_any(
    tmp_path: Path, flags: tuple[str, ...]
) -> None:
    pooling = {flag: flag in flags for flag in reversed(_FLAGS)}
    write_sentence_encoder(tmp_path, {"word_embedding_dimension": 8} | pooling)
    expected = tuple(_FLAGS[flag] for flag in flags) or (Pooling.MEAN,)
    assert open_model(str(tmp_path)).head.poolings == expected


def test_the_pooling_is_in_the_folder_that_modules_json_names(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path, MEAN)
    write_json(tmp_path / "2_Pool/config.json", MEAN | {"pooling_mode": "cls"})
    write_modules(tmp_path, [TRANSFORMER, (POOLING[0], "2_Pool")])
    assert open_model(str(tmp_path)).head.poolings == (Pooling.CLS,)


def test_older_types_of_the_same_modules_are_known(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"pooling_mode": "cls"})
    old = "sentence_transformers.models."
    write_modules(
        tmp_path,
        [(old + "Transformer", ""), (old + "Pooling", "1_Pooling"), (old + "Normalize", "2_N")],
    )
    assert open_model(str(tmp_path)).head.poolings == (Pooling.CLS,)


def test_the_transformer_is_in_the_folder_that_modules_json_names(tmp_path: Path) -> None:
    write_encoder(tmp_path / "0_Transformer")
    write_json(tmp_path / "0_Transformer/sentence_bert_config.json", {"max_seq_length": 9})
    write_json(tmp_path / "1_Pooling/config.json", MEAN)
    write_modules(tmp_path, [(TRANSFORMER[0], "0_Transformer"), POOLING])
    model = open_model(str(tmp_path))
    assert model.path == tmp_path / "0_Transformer"
    assert model.tokenizer.exists()
    assert model.spec.max_seq_len == 9
    assert "embeddings.words.weight" in model.open_weights()
    sources = {reading.setting: reading.source for reading in model.readings}
    assert sources["weights"] == "0_Transformer/model.safetensors"


def test_dense_modules_follow_the_pooling(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"pooling_mode": ["cls", "mean"]})
    write_dense(tmp_path, 16, 4)
    write_dense(
        tmp_path,
        4,
        3,
        "3_Dense",
        activation_function="torch.nn.modules.linear.Identity",
        module_input_name="sentence_embedding",
    )
    write_modules(tmp_path, [TRANSFORMER, POOLING, DENSE, (DENSE[0], "3_Dense"), NORMALIZE])
    model = open_model(str(tmp_path))
    assert model.head.dense == (DenseLayer(16, 4, Activation.TANH), DenseLayer(4, 3, None))
    assert model.head.output_width(8) == 3
    weights = model.open_weights()
    assert weights["embedding.dense.0.weight"].shape == (4, 16)
    assert weights["embedding.dense.1.bias"].shape == (3,)


def test_dropout_is_of_training_alone(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    dropout = ("sentence_transformers.sentence_transformer.modules.dropout.Dropout", "2_Dropout")
    write_modules(tmp_path, [TRANSFORMER, POOLING, dropout, NORMALIZE])
    assert open_model(str(tmp_path)).head.poolings == (Pooling.MEAN,)


def test_a_folder_without_modules_json_has_mean_pooling_and_says_so(tmp_path: Path) -> None:
    model = open_model(str(write_encoder(tmp_path)))
    assert model.head.poolings == (Pooling.MEAN,)
    (pooling,) = [reading for reading in model.readings if reading.setting == "pooling"]
    assert pooling.source == "nothing says one; the default of sentence-transformers"


def test_twopass_json_overrides_the_pooling(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    write_json(tmp_path / "twopass.json", {"pooling": ["last", "weighted_mean"]})
    assert open_model(str(tmp_path)).head.poolings == (Pooling.LAST, Pooling.WEIGHTED_MEAN)


def test_a_norm_that_is_missing_is_added_and_told(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    write_modules(tmp_path, [TRANSFORMER, POOLING])
    (found,) = [r for r in open_model(str(tmp_path)).readings if r.setting == "normalised"]
    assert found.source == "always so; the folder has no Normalize"


@pytest.mark.parametrize(
    "kind",
    [
        "StaticEmbedding",
        "BoW",
        "WordEmbeddings",
        "WordWeights",
        "WeightedLayerPooling",
        "CNN",
        "LSTM",
        "LayerNorm",
        "Router",
        "Asym",
        "CLIPModel",
        "SpladePooling",
        "MultiVectorMask",
    ],
)
def test_modules_that_no_engine_computes_are_refused_by_name(tmp_path: Path, kind: str) -> None:
    write_sentence_encoder(tmp_path)
    other = (f"sentence_transformers.sentence_transformer.modules.x.{kind}", "2_Other")
    write_modules(tmp_path, [TRANSFORMER, POOLING, other])
    with pytest.raises(ModelError, match=rf"modules\.json: module {kind} in '2_Other' is not comp"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("modules", "named"),
    [
        ([], "modules are none; a Transformer is first"),
        ([POOLING], "modules are Pooling; a Transformer is first"),
        ([TRANSFORMER, DENSE], "without a Pooling there is one vector for each token"),
        ([TRANSFORMER, POOLING, NORMALIZE, DENSE], "Normalize in '3_Normalize' stands between"),
        ([TRANSFORMER, POOLING, POOLING], "Pooling in '1_Pooling' stands between others"),
        ([TRANSFORMER, ("custom_st.Pooling", "")], "'custom_st.Pooling' is code of the folder's"),
        ([(TRANSFORMER[0], "../other"), POOLING], "path '../other' leads out of the folder"),
        ([TRANSFORMER, ("sentence_transformers.New", "2_New")], r"sentence_transformers\.New in"),
    ],
    ids=str,
)
def test_orders_that_no_engine_computes_are_refused(tmp_path: Path, modules, named) -> None:
    write_sentence_encoder(tmp_path)
    write_dense(tmp_path, 8, 8)
    write_modules(tmp_path, modules)
    with pytest.raises(ModelError, match=rf"modules\.json: .*{named}"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("pooling", "named"),
    [
        (MEAN | {"pooling_mode": "median"}, "pooling_mode is 'median', known are cls, max"),
        (MEAN | {"pooling_mode": []}, r"pooling_mode is \[\], known"),
        (MEAN | {"layers": 4}, "layers is 4, which is not understood and may change the output"),
    ],
    ids=["another name", "no name", "another key"],
)
def test_a_pooling_that_is_not_known_is_refused(tmp_path: Path, pooling, named) -> None:
    write_sentence_encoder(tmp_path, pooling)
    with pytest.raises(ModelError, match=rf"1_Pooling/config\.json: {named}"):
        open_model(str(tmp_path))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"activation_function": "torch.nn.modules.activation.Sigmoid"}, "Sigmoid', known are"),
        ({"activation_function": "mine.Swoosh"}, "activation_function is 'mine.Swoosh', known"),
        ({"use_residual": True}, "use_residual is True, which is not understood"),
        ({"module_input_name": "token_embeddings"}, "module_input_name is 'token_embeddings'"),
        ({"module_output_name": "scores"}, "module_output_name is 'scores'"),
        ({"out_features": 5}, r"linear\.weight is \(4, 8\), \(5, 8\) is needed"),
    ],
    ids=str,
)
def test_a_dense_module_that_no_engine_computes_is_refused(tmp_path: Path, changes, named) -> None:
    write_sentence_encoder(tmp_path)
    write_dense(tmp_path, 8, 4, **changes)
    write_modules(tmp_path, [TRANSFORMER, POOLING, DENSE])
    with pytest.raises(ModelError, match=rf"2_Dense/.*: .*{named}"):
        open_model(str(tmp_path))


def test_a_pickled_dense_module_is_refused_with_the_way_out(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path)
    write_dense(tmp_path, 8, 4)
    (tmp_path / "2_Dense/model.safetensors").rename(tmp_path / "2_Dense/pytorch_model.bin")
    write_modules(tmp_path, [TRANSFORMER, POOLING, DENSE])
    with pytest.raises(ModelError, match=r"pytorch_model\.bin is a pickle.*convert it once: pyth"):
        open_model(str(tmp_path))


def test_a_dense_module_takes_what_the_pooling_gives(tmp_path: Path) -> None:
    write_sentence_encoder(tmp_path, MEAN | {"pooling_mode": ["cls", "mean"]})
    write_dense(tmp_path, 8, 4)
    write_modules(tmp_path, [TRANSFORMER, POOLING, DENSE])
    with pytest.raises(ModelError, match=r"takes 8 components, what stands before it gives 16"):
        open_model(str(tmp_path))


def test_modules_without_their_list_are_missed(tmp_path: Path) -> None:
    write_encoder(tmp_path)
    write_dense(tmp_path, 8, 4)
    with pytest.raises(ModelError, match=r"2_Dense: a module, but modules\.json is missing"):
        open_model(str(tmp_path))


def test_a_cross_encoder_is_one_module(tmp_path: Path) -> None:
    config = small_config()
    write_model(tmp_path, config, random_tensors(config))
    write_modules(tmp_path, [TRANSFORMER])
    assert open_model(str(tmp_path)).spec.kind == "reranker"
