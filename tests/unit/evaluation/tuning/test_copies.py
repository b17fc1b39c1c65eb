"""A copy of a collection lasts as long as its block."""

from contextlib import contextmanager

import pytest

from twopass.client import NotFoundError, UnavailableError
from twopass.evaluation.runs import EvaluationError
from twopass.evaluation.tuning.copies import copied

from ...client_results import collection


class Recording:
    """A client of a server that deletes nothing where it is told an error."""

    def __init__(self, error=None):
        self.error, self.deleted = error, []

    def create_collection(self, name, schema):
        self.created = name

    def upsert(self, name, documents):
        pass

    def delete_collection(self, name, timeout):
        self.deleted.append(name)
        if self.error is not None:
            raise self.error


@contextmanager
def bar(description, total):
    yield lambda _: None


@pytest.mark.parametrize("error", [None, NotFoundError("it is gone")])
def test_a_copy_is_gone_after_its_block(error):
    client = Recording(error)
    with copied(client, collection("docs"), [], 0, bar) as name:
        assert name.startswith("docs-tune-")
        assert client.created == name
        assert not client.deleted
    assert client.deleted == [name]


def test_an_interruption_deletes_it_too():
    client = Recording()
    with pytest.raises(KeyboardInterrupt), copied(client, collection("docs"), [], 0, bar) as name:
        raise KeyboardInterrupt
    assert client.deleted == [name]


def test_a_copy_that_stays_is_named_with_what_deletes_it():
    client = Recording(UnavailableError("the server is gone"))
    with (
        pytest.raises(EvaluationError, match=r"the server is gone.*collections delete docs-tune-"),
        copied(client, collection("docs"), [], 0, bar),
    ):
        pass
