"""Which encoder a collection's embeddings were made by."""

from dataclasses import replace

import pytest

from twopass.engines.base.model import LoadedEncoder, ModelKind, ModelSpec
from twopass.index.schema import CollectionSchema
from twopass.server.errors import EncoderChangedError, UnknownModelError
from twopass.server.models.registry import Models

from ..scripted import NumberTokenizer, ScriptedEngine

SPEC = ModelSpec(
    "hf/bert",
    ModelKind.ENCODER,
    revision="new" + "0" * 61,
    max_seq_len=8,
    max_query_tokens=5,
    weights_sha256="old" + "0" * 61,
    legacy_revision="old" + "0" * 61,
)


def held(*specs: ModelSpec) -> Models:
    return Models([LoadedEncoder(spec, NumberTokenizer(), ScriptedEngine()) for spec in specs])


def schema(revision: str, encoder: str = "hf/bert") -> CollectionSchema:
    return CollectionSchema(dimension=4, encoder=encoder, encoder_revision=revision)


def refusal(models: Models, wanted: CollectionSchema) -> str:
    with pytest.raises((EncoderChangedError, UnknownModelError)) as raised:
        models.encoder_of("docs", wanted)
    assert str(raised.value) == f"collection 'docs': {models.encoder_problem(wanted)}"
    assert models.current_revision("docs", wanted) == wanted.encoder_revision
    return str(raised.value)


def found(models: Models, wanted: CollectionSchema) -> str:
    assert models.encoder_problem(wanted) == ""
    spec = models.encoder_of("docs", wanted).spec
    assert models.current_revision("docs", wanted) == spec.revision
    return spec.id


def test_an_encoder_is_found_by_its_revision_under_any_name():
    models = held(replace(SPEC, id="./elsewhere"))
    assert found(models, schema(SPEC.revision)) == "./elsewhere"
    assert found(models, schema(SPEC.weights_sha256)) == "./elsewhere"


def test_the_revision_counts_where_another_encoder_has_the_name():
    other = replace(SPEC, revision="other", legacy_revision=None)
    models = held(other, replace(SPEC, id="moved"))
    assert found(models, schema(SPEC.revision)) == "moved"


def test_of_several_readings_of_equal_weights_an_old_collections_is_the_one_of_its_name():
    models = held(replace(SPEC, id="mean"), replace(SPEC, id="cls", revision="cls"))
    assert found(models, schema(SPEC.weights_sha256, "cls")) == "cls"
    assert found(models, schema(SPEC.weights_sha256, "mean")) == "mean"
    told = refusal(models, schema(SPEC.weights_sha256, "gone"))
    assert told.startswith(
        "collection 'docs': its embeddings were made by gone of revision old0000"
    )


def test_a_folder_that_is_read_otherwise_today_is_told_with_how():
    anew = replace(SPEC, legacy_revision=None, read_anew="pooling: cls, was read as mean")
    told = refusal(held(anew), schema(SPEC.weights_sha256))
    assert "that name is revision new000000000 here (pooling: cls, was read as mean)" in told
    assert "--more-models FOLDER" in told


def test_requests_may_use_every_name_of_a_model():
    models = held(replace(SPEC, other_names=("./bert",)), replace(SPEC, id="other"))
    assert models.encoder("./bert").spec.id == models.get("./bert").spec.id == "hf/bert"
    assert models.encoder().spec.id == "hf/bert"
    with pytest.raises(UnknownModelError):
        models.encoder("bert")


def test_collections_that_bring_vectors_need_no_encoder():
    assert held(SPEC).encoder_problem(CollectionSchema(dimension=4, client_vectors=True)) == ""
