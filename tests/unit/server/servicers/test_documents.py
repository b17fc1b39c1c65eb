import numpy as np
import pytest

from twopass.index.errors import StoppedError
from twopass.index.stopping import Stop
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Limits
from twopass.server.servicers.documents import read_documents, read_vector, write_vector
from twopass.v1.document_pb2 import Document, Vector

LIMITS = Limits(max_candidates=1, max_documents=10, max_passage_bytes=100, max_query_bytes=100)


@pytest.mark.parametrize("count", [1, 31, 32, 33, 384, 4_095, 4_096, 8_192], ids="count={}".format)
def test_a_vector_is_read_and_written_as_its_values_are(count):
    values = np.random.default_rng(count).normal(size=count).astype(np.float32)
    message = Vector()
    write_vector(values, message)
    assert message == Vector(values=values.tolist())
    np.testing.assert_array_equal(read_vector("vector", message), values)


def test_a_vector_is_read_whatever_fields_a_newer_client_adds():
    unknown = b"\x7a\x03new"  # field 15, of bytes
    for content in (Vector(values=[1, 2]).SerializeToString() + unknown,
                    unknown + Vector(values=[1, 2]).SerializeToString()):  # fmt: skip
        np.testing.assert_array_equal(read_vector("vector", Vector.FromString(content)), [1, 2])


def test_an_empty_vector_is_refused():
    with pytest.raises(InvalidRequestError, match=r"vector.values: empty"):
        read_vector("vector", Vector())


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_component_that_is_not_finite_is_refused_with_its_place(value):
    with pytest.raises(InvalidRequestError, match=rf"vector.values\[2\]: {value}"):
        read_vector("vector", Vector(values=[0, 1, value]))


def test_documents_of_a_caller_that_is_gone_are_read_no_further():
    stop, read = Stop(), []

    def coming():
        for number in range(10):
            read.append(number)
            if number == 3:
                stop.set()
            yield Document(id=str(number), text="t")

    with pytest.raises(StoppedError):
        read_documents(coming(), LIMITS, stop)
    assert read == [0, 1, 2, 3]
