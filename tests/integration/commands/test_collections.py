"""Commands for collections, over a real server."""

import pytest

from ..command_line import answer, invoke
from ..serving import Server
from .saying import said


def test_collections_are_listed_with_what_they_hold(client, docs):
    client.update_aliases({f"{docs}-live": docs})
    (told,) = [each for each in answer("collections", "list") if each["name"] == docs]
    assert (told["num_documents"], told["aliases"]) == (5, [f"{docs}-live"])
    (line,) = [
        line
        for line in invoke("collections", "list").stdout.splitlines()
        if line.startswith(f"{docs} ")
    ]
    assert line.split()[:3] == [docs, f"{docs}-live", "5"]


def test_a_server_without_collections_says_how_one_is_made(tmp_path):
    with Server(tmp_path / "data", gated=False) as empty:
        ended = invoke("collections", "list", "--target", empty.target)
    assert (ended.exit_code, ended.stdout) == (0, "")
    assert "no collection yet; one is made by: twopass index" in said(ended)


def test_a_collection_is_shown_with_how_it_is_searched(client, docs):
    shown = invoke("collections", "show", docs)
    assert shown.exit_code == 0, shown.stderr
    lines = dict(line.split("  ", 1) for line in shown.stdout.splitlines())
    told = {subject: value.strip() for subject, value in lines.items()}
    assert told["documents"] == "5"
    assert told["metadata"] == "even (bool), year (number)"
    assert told["indexed fields"] == "none"
    assert told["words"] == "endings of language en removed"
    assert told["takes writes"] == "yes"
    assert answer("collections", "show", docs)["schema"]["metric"] == "cosine"


def test_a_collection_is_made_as_it_is_told(client, docs):
    name = f"{docs}-made"
    made = answer(
        *("collections", "create", name, "--field", "year=number", "--field", "day=time"),
        *("--window-tokens", "64", "--language", "de", "--index-kind", "HNSW16"),
    )
    assert made["schema"]["indexed_fields"] == {"year": "number", "day": "time"}
    assert made["schema"]["chunking"] == {"window_tokens": 64, "overlap_tokens": 16}
    assert client.get_collection(name).schema.language == "de"
    again = invoke("collections", "create", name)
    assert again.exit_code == 1
    assert "exists already" in said(again)


def test_a_collection_whose_documents_bring_vectors_is_made_by_their_dimension(client, docs):
    name = f"{docs}-vectors"
    made = answer("collections", "create", name, "--dimension", "3", "--metric", "inner_product")
    assert made["schema"]["client_vectors"]
    shown = invoke("collections", "show", name).stdout
    assert "none: documents and queries bring their vectors" in shown
    assert "3 components, inner_product" in shown


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["--field", "year"], "--field year: FIELD=TYPE is needed"),
        (["--field", "year=int"], "one of text, number, bool, time"),
        (["--dimension", "3", "--encoder", "x"], "--dimension: is for a collection without"),
        (["--overlap-tokens", "3"], "--overlap-tokens: needs --window-tokens"),
    ],
)
def test_a_wrong_option_of_a_collection_is_named(target, arguments, reason):
    ended = invoke("collections", "create", "never", *arguments)
    assert ended.exit_code == 2
    assert reason in said(ended)


def test_a_collection_is_deleted_whole_only_with_yes(client, docs):
    ended = invoke("collections", "delete", docs)
    assert ended.exit_code == 2
    assert f"delete collection {docs} with 5 documents for good? give --yes" in said(ended)
    assert answer("collections", "delete", docs, "--yes")["num_documents"] == 5
    assert docs not in {each.name for each in client.list_collections()}
    gone = invoke("collections", "show", docs)
    assert gone.exit_code == 4
    assert "`twopass collections list` shows those that do" in said(gone)


def test_a_collection_with_aliases_is_not_deleted_and_says_what_to_do_first(client, docs):
    alias = f"{docs}-live"
    client.update_aliases({alias: docs})
    ended = invoke("collections", "delete", docs, "--yes")
    assert ended.exit_code == 1
    assert f"`twopass alias --remove {alias}`" in said(ended)
    ended = invoke("collections", "delete", alias, "--yes")
    assert f"{alias} is an alias of {docs}" in said(ended)
    assert client.count(docs) == 5


def test_the_name_of_a_collection_as_an_alias_is_refused_with_the_way_out(client, docs):
    client.create_collection(f"{docs}-1")
    for meant, then in ((docs, ""), (f"{docs}-1", f"twopass alias {docs} {docs}-1")):
        ended = invoke("alias", docs, meant)
        assert ended.exit_code == 1
        way_out = [line.strip() for line in ended.stderr.splitlines()[1:]]
        assert way_out[:1] == [f"twopass collections rename {docs} {docs}-2 --keep-alias"]
        assert way_out[1:] == ([then] if then else [])
    for line in way_out:
        assert invoke(*line.split()[1:]).exit_code == 0, line
    assert client.get_collection(docs).name == f"{docs}-1"


def test_a_collection_is_renamed_and_keeps_what_is_its_own(client, docs):
    renamed = f"{docs}-2026"
    assert answer("collections", "rename", docs, renamed)["name"] == renamed
    assert client.count(renamed) == 5
    ended = invoke("collections", "rename", docs, renamed)
    assert ended.exit_code == 4
    ended = invoke("collections", "rename", renamed, f"{docs}-2027", "--keep-alias")
    assert ended.stdout == f"{renamed}: is {docs}-2027 from now on; {renamed} is an alias of it\n"
    assert client.get_collection(renamed).aliases == (renamed,)


def test_snapshots_of_a_misspelled_collection_are_not_none_but_unknown(docs):
    none = invoke("snapshot", "list", docs)
    assert (none.exit_code, none.stdout) == (0, "")
    assert f"twopass snapshot create {docs}" in said(none)
    assert invoke("snapshot", "list", f"{docs}x").exit_code == 4
