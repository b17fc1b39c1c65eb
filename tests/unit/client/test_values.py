import math
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import _enums, _values
from twopass.client._enums import number_of, word_of
from twopass.v1 import collection_pb2, embed_pb2, model_pb2, rerank_pb2, search_pb2
from twopass.v1.document_pb2 import Vector


@given(st.floats(-1e9, 1e9))
def test_a_duration_is_exact_to_the_nanosecond(seconds):
    message = _values.duration(seconds, "time_budget")
    assert message.ToNanoseconds() == round(seconds * 1e9)
    assert math.isclose(_values.seconds(message), seconds, abs_tol=1e-9)


@given(st.text())
def test_a_text_passes_exactly_when_utf8_can_carry_it(text):
    try:
        text.encode()
    except UnicodeEncodeError:
        with pytest.raises(_values.InvalidArgumentError, match="field: holds a lone surrogate"):
            _values.text(text, "field")
    else:
        assert _values.text(text, "field") == text


@pytest.mark.parametrize("values", [(1, 0.5), [1, 0.5], np.array([1, 0.5]), iter([1, 0.5])])
def test_a_vector_is_any_flat_sequence_of_numbers(values):
    assert list(_values.vector(values, "vector").values) == [1, 0.5]


ANSWERED = {
    _enums.Metric: collection_pb2.Metric,
    _enums.FieldType: collection_pb2.FieldType,
    _enums.LexicalTokenizer: collection_pb2.LexicalTokenizer,
    _enums.ModelKind: model_pb2.ModelKind,
    _enums.RetrieveStatus: search_pb2.RetrieveStatus,
    _enums.RerankStatus: search_pb2.RerankStatus,
}


@pytest.mark.parametrize("words", ANSWERED, ids=lambda words: words.__name__)
def test_the_contracts_values_and_the_words_for_them_are_one_to_one(words):
    values = ANSWERED[words]
    numbers = [number for number in values.values() if number]
    assert [word_of(words, values, number) for number in numbers] == list(words)[:-1]
    assert [number_of(values, word, "field") for word in list(words)[:-1]] == numbers
    assert word_of(words, values, 0) is word_of(words, values, 99) is words.UNKNOWN


@pytest.mark.parametrize(
    ("words", "values"),
    [
        (_enums.RetrieveMode, search_pb2.RetrieveMode),
        (_enums.Truncation, rerank_pb2.Truncation),
        (_enums.EmbedRole, embed_pb2.EmbedRole),
    ],
)
def test_requests_may_use_exactly_the_words_of_the_contract(words, values):
    numbers = [number_of(values, word, "field") for word in words.__args__]
    assert numbers == [number for number in values.values() if number]
    assert number_of(values, None, "field") == 0
    with pytest.raises(_values.InvalidArgumentError, match="field: 'unspecified' given"):
        number_of(values, "unspecified", "field")


@pytest.mark.parametrize("count", [1, 31, 32, 384, 4_095, 4_096])
def test_an_array_of_float32_becomes_the_message_that_its_numbers_make(count):
    numbers = array("f", (n / 3 for n in range(count)))
    expected = Vector(values=list(numbers))
    for values in (numbers, memoryview(numbers), array("d", numbers), tuple(numbers)):
        assert _values.vector(values, "vector") == expected
    assert _values.vector(memoryview(numbers)[::2], "vector") == Vector(values=list(numbers)[::2])
