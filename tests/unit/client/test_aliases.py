import pytest
from grpc import StatusCode

from twopass.client import InvalidArgumentError, UnavailableError
from twopass.v1 import collection_pb2
from twopass.v1.collection_pb2 import Alias, AliasChange
from twopass.v1.collection_pb2_grpc import CollectionServiceServicer


class Aliases(CollectionServiceServicer):
    """Answers with two aliases, after as many failures as it is told."""

    def __init__(self, num_failures: int = 0) -> None:
        self.requests = []
        self.num_failures = num_failures

    def UpdateAliases(self, request, context):
        self.requests.append(request)
        if len(self.requests) <= self.num_failures:
            context.abort(StatusCode.UNAVAILABLE, "starting")
        aliases = [Alias(alias="a", collection="docs-2"), Alias(alias="docs", collection="docs-1")]
        return collection_pb2.UpdateAliasesResponse(aliases=aliases)

    def GetCollection(self, request, context):
        collection = collection_pb2.Collection(name="docs-1", aliases=["a", "docs"])
        return collection_pb2.GetCollectionResponse(collection=collection)


def test_aliases_are_switched_and_removed_in_one_request(serve, connect):
    servicer = Aliases()
    client = connect(serve(servicer))
    assert client.update_aliases({"docs": "docs-1", "old": None}) == {
        "a": "docs-2",
        "docs": "docs-1",
    }
    changes = [AliasChange(alias="docs", collection="docs-1"), AliasChange(alias="old")]
    assert servicer.requests == [collection_pb2.UpdateAliasesRequest(changes=changes)]


def test_a_collection_names_its_aliases(serve, connect):
    found = connect(serve(Aliases())).get_collection("a")
    assert (found.name, found.aliases) == ("docs-1", ("a", "docs"))


def test_a_switch_is_sent_once_since_another_client_may_have_made_the_next(serve, connect):
    servicer = Aliases(num_failures=1)
    with pytest.raises(UnavailableError):
        connect(serve(servicer)).update_aliases({"docs": "docs-1"})
    assert len(servicer.requests) == 1


def test_a_name_that_was_never_set_removes_no_alias(serve, connect):
    servicer = Aliases()
    client = connect(serve(servicer))
    with pytest.raises(InvalidArgumentError, match=r"changes\['docs'\]: empty; None removes"):
        client.update_aliases({"docs": ""})
    with pytest.raises(TypeError, match=r"changes\['docs'\]: a str is needed, int given"):
        client.update_aliases({"docs": 3})
    assert servicer.requests == []
