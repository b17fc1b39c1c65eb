"""Commands for single documents, and for those that pass a filter."""

import json

import pytest

from twopass.client import Client, Document

from ..command_line import answer, invoke
from ..corpus import FACTS
from ..serving import Server
from .saying import said


def test_documents_are_counted_and_their_values(docs):
    assert invoke("collections", "count", docs).stdout == "5\n"
    assert invoke("collections", "count", docs, "--filter", "year>=1993").stdout == "2\n"
    told = answer("collections", "facets", docs, "even", "year", "--limit", "2")
    assert told["even"]["values"] == [
        {"value": True, "num_documents": 3},
        {"value": False, "num_documents": 2},
    ]
    shown = invoke("collections", "facets", docs, "year", "--limit", "2").stdout
    assert "year: 5 documents have it, 5 values, from 1990 to 1994" in shown
    assert "and 3 more; --limit shows them" in shown


def test_documents_are_shown_whole_and_unknown_ones_named(client, docs):
    long = "A line.\nAnother, with an escape \x1b[31m and a bell \x07.\n" + "word " * 500
    client.upsert(docs, [Document("long", long, title="The title", metadata={"tags": ["a", "b"]})])
    shown = invoke("get", docs, "sky", "long")
    assert shown.exit_code == 0, shown.stderr
    assert FACTS["sky"] in shown.stdout
    assert "title: The title" in shown.stdout
    assert 'tags: ["a", "b"]' in shown.stdout
    assert shown.stdout.count("word") == 500
    assert r"\x1b[31m" in shown.stdout
    assert not {"\x1b", "\x07"} & set(shown.stdout)
    (told,) = answer("get", docs, "long")
    assert told == {
        "id": "long",
        "title": "The title",
        "text": long,
        "metadata": {"tags": ["a", "b"]},
    }
    some = invoke("get", docs, "never", "sky", "nor this", "--json")
    assert [each["id"] for each in json.loads(some.stdout)] == ["sky"]
    assert some.exit_code == 4
    assert f"{docs} has no documents 'never', 'nor this'" in said(some)


def test_embeddings_are_shown_where_they_are_asked_for(docs):
    (told,) = answer("get", docs, "sky", "--vector")
    assert len(told["vector"]) == 384
    assert "vector: " in invoke("get", docs, "sky", "--vector").stdout


def test_documents_larger_than_one_answer_are_fetched_in_parts(tmp_path):
    texts = {f"d{number}": f"{number} " + "x" * 40_000 for number in range(12)}
    with (
        Server(tmp_path / "data", gated=False, max_answer_bytes=128 * 1024) as small,
        Client(small.target) as client,
    ):
        client.create_collection("docs")
        client.upsert("docs", [Document(key, text) for key, text in texts.items()])
        told = answer("get", "docs", *texts, "--target", small.target)
    assert {each["id"]: each["text"] for each in told} == texts


def test_documents_are_deleted_by_id_and_again(client, docs):
    told = answer("delete", docs, "sky", "never", "sky")
    assert (told["num_deleted"], told["num_unknown"]) == (1, 1)
    assert client.count(docs) == 4
    again = invoke("delete", docs, "sky")
    assert (again.exit_code, again.stdout) == (0, f"{docs}: 0 documents deleted, 1 unknown\n")


def test_without_a_terminal_a_filter_deletes_only_with_yes(client, docs):
    ended = invoke("delete", docs, "--filter", "year>=1992")
    assert ended.exit_code == 2
    assert f"delete 3 documents of the 5 in {docs} for good? give --yes" in said(ended)
    assert client.count(docs) == 5
    told = answer("delete", docs, "--filter", "year>=1992", "--yes")
    assert told["num_deleted"] == 3
    assert client.count(docs) == 2
    nothing = invoke("delete", docs, "--filter", "year>=1992")
    assert (nothing.exit_code, nothing.stdout) == (0, f"{docs}: 0 documents deleted\n")


def test_metadata_is_changed_by_id_and_the_rest_stays(client, docs):
    told = answer(
        *("update", docs, "sky", "never", "--set", "note=blue = best", "--set", 'tags=["a"]'),
        *("--set", "year=1871", "--unset", "even"),
    )
    assert (told["num_updated"], told["num_unknown"]) == (1, 1)
    (sky,) = client.get(docs, ["sky"])
    assert dict(sky.metadata) == {"year": 1871, "note": "blue = best", "tags": ["a"]}
    answer("update", docs, "sky", "--set", 'place={"x": 1}')
    answer("update", docs, "sky", "--set", 'place={"y": 2}')
    assert dict(client.get(docs, ["sky"])[0].metadata["place"]) == {"x": 1, "y": 2}


def test_metadata_is_changed_by_filter_only_with_yes_without_a_terminal(client, docs):
    change = ("update", docs, "--set", "old=true", "--filter", "year<1992")
    ended = invoke(*change)
    assert ended.exit_code == 2
    assert f"change the metadata of 2 documents of the 5 in {docs}? give --yes" in said(ended)
    assert invoke(*change, "--yes").stdout == f"{docs}: 2 documents updated\n"
    assert invoke("collections", "count", docs, "--filter", "old=true").stdout == "2\n"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["sky"], "nothing to change; give --set FIELD=VALUE"),
        (["sky", "--set", "year"], "--set year: FIELD=VALUE is needed"),
        (["sky", "--set", "year=null"], "--unset year removes it"),
        (["sky", "--set", "year=1", "--unset", "year"], "year: given by --set and by --unset"),
        (["--set", "year=1"], "neither ids nor --filter given"),
        (["sky", "-f", "year=1", "--set", "year=1"], "both ids and --filter given"),
    ],
)
def test_a_change_that_is_none_is_named(docs, arguments, reason):
    ended = invoke("update", docs, *arguments)
    assert ended.exit_code == 2
    assert reason in said(ended)


def test_more_ids_than_one_request_takes_are_sent_in_parts(client, docs):
    ids = [f"many-{number}" for number in range(2_500)]
    client.upsert(docs, [Document(each, "text") for each in ids])
    assert len(answer("get", docs, *ids)) == 2_500
    assert answer("update", docs, *ids, "--set", "n=1")["num_updated"] == 2_500
    assert answer("delete", docs, *ids)["num_deleted"] == 2_500


@pytest.mark.parametrize("arguments", [[], ["sky", "--filter", "year=1990"]])
def test_ids_or_a_filter_are_needed_not_both(client, docs, arguments):
    ended = invoke("delete", docs, *arguments, "--yes")
    assert ended.exit_code == 2
    told = "both ids and --filter given" if arguments else "neither ids nor --filter given"
    assert told in said(ended)
    assert client.count(docs) == 5
