"""Where a Milvus is: what a URL says, and what is said of it."""

import pytest

from twopass.index.milvus.place import Consistency, InvalidPlaceError, MilvusPlace


def test_a_url_says_where_and_how():
    place = MilvusPlace.parse("milvus://me:se%40cret@host:1234/db?consistency=bounded")
    assert (place.host, place.port, place.database) == ("host", 1234, "db")
    assert place.credentials == "me:se@cret"
    assert place.consistency is Consistency.BOUNDED
    assert place.uri == "http://host:1234"


def test_what_is_not_said_is_the_default():
    place = MilvusPlace.parse("milvus://host")
    assert place == MilvusPlace("host", 19_530)
    assert place.consistency is Consistency.STRONG
    assert MilvusPlace.parse("milvus://[::1]?tls=true").uri == "https://[::1]:19530"


def test_a_token_beside_the_url_logs_in():
    assert MilvusPlace.parse("milvus://host", token="me:secret").credentials == "me:secret"
    assert MilvusPlace.parse("milvus://host", token="abc").credentials == "abc"
    assert MilvusPlace.parse("milvus://a:b@host", token="me:x").credentials == "a:b"


def test_no_text_of_a_place_has_its_password():
    place = MilvusPlace.parse("milvus://me:secret@host/db")
    assert str(place) == "milvus://me@host:19530/db"
    assert "secret" not in f"{place} {place!r}"


@pytest.mark.parametrize(
    "url",
    [
        "milvus://",
        "http://me:secret@host",
        "milvus://me:secret@host:x",
        "milvus://me:secret@host?consistency=eventual",
        "milvus://me:secret@host?other=1",
        "milvus://me:secret@host?tls=yes",
    ],
)
def test_what_is_no_place_is_refused_without_its_password(url):
    with pytest.raises(InvalidPlaceError) as caught:
        MilvusPlace.parse(url)
    assert "secret" not in str(caught.value)
