from dataclasses import replace

import pytest

from twopass.server.errors import UnknownModelError

from .conftest import ENCODER, MAX_TEXTS, RERANKER, operations_on


def test_the_reranker_is_what_a_server_of_tei_would_serve_and_the_encoder_without_one(
    tei, loaded, tokenizing
):
    assert tei.served.info().model_id == RERANKER
    assert operations_on(loaded[:1], tokenizing).served.info().model_id == ENCODER
    assert tei.served.info(ENCODER).model_id == ENCODER
    with pytest.raises(UnknownModelError):
        tei.served.info("other")


def test_a_reranker_is_described_with_its_labels(tei, loaded):
    info = tei.served.info()
    assert (info.pooling, info.model_dtype, info.max_input_length) == (None, "float32", 512)
    assert (info.id2label, info.label2id) == ({"0": "LABEL_0"}, {"LABEL_0": 0})
    assert info.model_sha == loaded[1].spec.revision
    assert info.max_client_batch_size == MAX_TEXTS


def test_an_encoder_is_described_with_its_pooling_in_the_words_of_tei(loaded, tokenizing):
    for poolings, told in ((("mean",), "mean"), (("last",), "last_token"), (("cls",), "cls")):
        encoder = replace(loaded[0], spec=replace(loaded[0].spec, poolings=poolings))
        info = operations_on([encoder], tokenizing).served.info()
        assert (info.pooling, info.labels, info.max_input_length) == (told, (), 256)
