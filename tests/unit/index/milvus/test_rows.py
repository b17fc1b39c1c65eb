"""Rows of documents: what goes in comes back, and what is too large is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.index.document_checks import CheckedDocument
from twopass.index.errors import InvalidDocumentError
from twopass.index.milvus.names import name_from_milvus, name_in_milvus
from twopass.index.milvus.rows import decode_tokens, encode_documents, encode_tokens
from twopass.index.words.analysis import Analyser

ANALYSER = Analyser()


def document(**fields):
    given = {
        "id": "d",
        "title": "",
        "text": "a text",
        "metadata": "{}",
        "token_ids": np.arange(3, dtype=np.int32),
        "windows": None,
        "vectors": np.ones((1, 2), np.float32),
    }
    return CheckedDocument(**given | fields)


def encode(one, *, has_windows=False):
    return encode_documents([one], ANALYSER, [7], has_windows=has_windows)


@given(st.lists(st.integers(0, 2**31 - 1)) | st.lists(st.integers(0, 2**16)))
def test_token_ids_come_back(ids):
    tokens = np.array(ids, np.int32)
    np.testing.assert_array_equal(decode_tokens(encode_tokens(tokens)), tokens)


@pytest.mark.parametrize(
    ("fields", "limit"),
    [
        ({"text": "é" * 32_768}, 65_535),
        ({"text": "漢字" * 10_000}, 65_535),
        ({"text": "x", "token_ids": np.full(30_000, 70_000, np.int32)}, 65_535),
    ],
    ids=["text", "words", "tokens"],
)
def test_a_text_that_milvus_can_not_hold_is_refused_with_the_way_out(fields, limit):
    with pytest.raises(InvalidDocumentError, match="in the store milvus; split") as caught:
        encode(document(**fields))
    assert caught.value.field == "documents[7].text"
    assert caught.value.facts["limit"] == limit
    assert caught.value.facts["value"] > limit


def test_metadata_with_more_values_than_milvus_can_be_asked_for_is_refused():
    many = str(list(range(5_000)))
    with pytest.raises(InvalidDocumentError, match="facts") as caught:
        encode(document(metadata=f'{{"a": {many}}}'))
    assert caught.value.field == "documents[7].metadata"
    assert caught.value.facts["limit"] == 4_096


def test_a_split_document_is_a_row_for_each_window_and_the_first_has_its_content():
    split = document(
        windows=np.array([[0, 2], [1, 3]], np.int32), vectors=np.eye(2, dtype=np.float32)
    )
    encoded = encode(split, has_windows=True)
    first, second = encoded.rows[0]
    assert encoded.num_split == 1
    assert (first["id"], second["id"]) == ("d", "d\x1f1")
    assert (first["text"], second["text"], second["words"]) == ("a text", "", "")
    assert [(r["document"], r["part"], r["num_windows"]) for r in encoded.rows[0]] == [
        ("d", 0, 2),
        ("d", 1, 2),
    ]
    assert (second["first_token"], second["end_token"]) == (1, 3)
    np.testing.assert_array_equal(second["vector"], [0, 1])


def test_a_vector_of_one_component_gets_another_that_is_0():
    encoded = encode(document(vectors=np.ones((1, 1), np.float32)))
    assert encoded.rows[0][0]["vector"].tolist() == [1, 0]


@given(st.from_regex(r"[a-z0-9][a-z0-9_-]{0,63}", fullmatch=True))
def test_a_name_is_one_that_milvus_takes_and_comes_back(name):
    in_milvus = name_in_milvus(name)
    assert in_milvus.replace("_", "").isalnum()
    assert in_milvus[0].isalpha()
    assert name_from_milvus(in_milvus) == name
    assert name_from_milvus(name) is None or name.startswith("twopass_")
