"""Commands for collections and single documents, over a real server."""

import json
import os
import pty
import subprocess
import sys
import uuid
from collections.abc import Callable

import pytest

from twopass.client import Client, Document, field
from twopass.server.edge.keys import make_key

from .command_line import answer, invoke
from .corpus import FACTS
from .serving import Server

COMMAND = [sys.executable, "-m", "twopass.commands.main"]


@pytest.fixture
def target(server, monkeypatch):
    monkeypatch.setenv("TWOPASS_TARGET", server.target)
    return server.target


@pytest.fixture
def client(target):
    with Client(target) as client:
        yield client


@pytest.fixture
def docs(client):
    """A collection of five documents, of 1990 to 1994, that the test may spoil."""
    name = f"docs-{uuid.uuid4().hex[:8]}"
    client.create_collection(name)
    texts = list(FACTS.items())[:5]
    client.upsert(
        name,
        [
            Document(key, text, metadata={"year": 1990 + number, "even": number % 2 == 0})
            for number, (key, text) in enumerate(texts)
        ],
    )
    yield name
    left = {each.name: each for each in client.list_collections()}
    for each in [each for each in left if each.startswith(name)]:
        client.update_aliases(dict.fromkeys(left[each].aliases))
        client.delete_collection(each)


def said(ended) -> str:
    return " ".join(ended.stderr.split())


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


def at_a_terminal(
    *arguments: str, typed: str, meanwhile: Callable[[], object] | None = None
) -> tuple[int, str]:
    """Runs a command whose stdin and stderr are a terminal at which a person types.

    Args:
        arguments: The command and its options.
        typed: What the person answers.
        meanwhile: What others do between the question and the answer.
    """
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*COMMAND, *arguments], stdin=theirs, stdout=theirs, stderr=theirs, close_fds=True
    )
    os.close(theirs)
    shown = b""
    while b"[y/N]" not in shown:
        shown += os.read(ours, 4096)
    if meanwhile is not None:
        meanwhile()
    os.write(ours, typed.encode())
    while True:
        try:
            if not (part := os.read(ours, 4096)):
                break
        except OSError:  # the other end is closed
            break
        shown += part
    os.close(ours)
    return process.wait(), " ".join(shown.decode().split())


def test_at_a_terminal_a_person_is_asked(client, docs):
    status, shown = at_a_terminal("delete", docs, "--filter", "even=true", typed="n\n")
    assert f"Delete 3 documents of the 5 in {docs} for good? [y/N]" in shown
    assert "nothing was changed" in shown
    assert (status, client.count(docs)) == (1, 5)
    status, _ = at_a_terminal("delete", docs, "--filter", "even=true", typed="y\n")
    assert (status, client.count(docs)) == (0, 2)
    status, shown = at_a_terminal("collections", "delete", docs, typed="\x04")
    assert f"Delete collection {docs} with 2 documents for good?" in shown
    assert (status, client.count(docs)) == (1, 2)


CHANGED = "others have changed meanwhile what you were asked about; nothing was done"


def test_a_collection_that_got_the_name_while_a_person_was_asked_is_not_deleted(client, docs):
    def exchange():
        client.create_collection(f"{docs}-new")
        client.rename_collection(docs, f"{docs}-old")
        client.rename_collection(f"{docs}-new", docs)

    status, shown = at_a_terminal("collections", "delete", docs, typed="y\n", meanwhile=exchange)
    assert CHANGED in shown
    assert (status, client.count(docs), client.count(f"{docs}-old")) == (1, 0, 5)
    status, _ = at_a_terminal("collections", "delete", docs, typed="y\n")
    assert status == 0
    assert docs not in {each.name for each in client.list_collections()}


def test_a_collection_that_was_written_to_while_a_person_was_asked_is_not_deleted(client, docs):
    status, shown = at_a_terminal(
        *("collections", "delete", docs),
        typed="y\n",
        meanwhile=lambda: client.upsert(docs, [Document("new", "text")]),
    )
    assert CHANGED in shown
    assert (status, client.count(docs)) == (1, 6)


@pytest.mark.parametrize("change", [["delete"], ["update", "--set", "old=true"]], ids=" ".join)
def test_documents_that_came_to_pass_a_filter_while_a_person_was_asked_stay_as_they_are(
    client, docs, change
):
    command = (change[0], docs, "--filter", "even=true", *change[1:])
    more = [Document("new", "text", metadata={"even": True})]
    status, shown = at_a_terminal(
        *command, typed="y\n", meanwhile=lambda: client.upsert(docs, more)
    )
    assert "3 documents of the 5" in shown
    assert CHANGED in shown
    assert (status, client.count(docs), client.count(docs, filter=field("old").exists())) == (
        1,
        6,
        0,
    )
    status, shown = at_a_terminal(
        *command, typed="y\n", meanwhile=lambda: client.upsert(docs, [Document("odd", "text")])
    )
    assert (status, CHANGED in shown) == (0, False)


def test_documents_of_another_collection_of_the_name_stay_as_they_are(client, docs):
    def exchange():
        client.create_collection(f"{docs}-new")
        documents = [Document(f"n{n}", "text", metadata={"even": True}) for n in range(3)]
        client.upsert(f"{docs}-new", documents)
        client.rename_collection(docs, f"{docs}-old")
        client.rename_collection(f"{docs}-new", docs)

    status, shown = at_a_terminal(
        *("delete", docs, "--filter", "even=true"), typed="y\n", meanwhile=exchange
    )
    assert CHANGED in shown
    assert (status, client.count(docs), client.count(f"{docs}-old")) == (1, 3, 5)


def test_a_snapshot_is_deleted_only_with_yes_or_by_a_person_who_was_told_what_is_lost(client, docs):
    name = f"{docs}-copied"
    client.create_collection(name)
    client.upsert(name, [Document("a", "text")])
    client.create_snapshot(name, "monday")
    status, shown = at_a_terminal("snapshot", "delete", name, "monday", typed="n\n")
    assert f"Delete snapshot monday of {name} (1 document) for good? [y/N]" in shown
    assert (status, len(client.list_snapshots(name))) == (1, 1)
    client.delete_collection(name)
    ended = invoke("snapshot", "delete", name, "monday")
    assert ended.exit_code == 2
    assert "(1 document; the collection itself is deleted) for good? give --yes" in said(ended)

    def exchange():
        client.create_collection(name)
        client.delete_snapshot(name, "monday")
        client.create_snapshot(name, "monday")

    status, shown = at_a_terminal(
        "snapshot", "delete", name, "monday", typed="y\n", meanwhile=exchange
    )
    assert CHANGED in shown
    assert (status, len(client.list_snapshots(name))) == (1, 1)
    unknown = invoke("snapshot", "delete", name, "tuesday")
    assert unknown.exit_code == 4
    assert f"collection '{name}' has no snapshot 'tuesday'" in said(unknown)
    status, _ = at_a_terminal("snapshot", "delete", name, "monday", typed="y\n")
    assert (status, client.list_snapshots(name)) == (0, ())


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


def test_versions_are_told_for_a_report_of_a_fault():
    told = invoke("--version").stdout
    assert told.startswith("twopass 0.")
    for name in ("twopass-client 0.", "core ", "Python 3."):
        assert f"\n{name}" in told


def test_a_misspelled_command_names_the_one_that_is_meant():
    assert "'search'" in said(invoke("serch", "docs", "q"))
    assert "'show'" in said(invoke("collections", "shw", "docs"))


def test_a_command_that_is_below_another_or_an_option_is_named_there():
    assert "collections list`" in said(invoke("list"))
    assert "collections show`" in said(invoke("show", "docs"))
    assert "--version`" in said(invoke("version"))
    assert "--help`" in said(invoke("help"))


def ran(*arguments: str, **variables: str) -> tuple[int, str]:
    ended = subprocess.run(
        [*COMMAND, *arguments],
        capture_output=True,
        text=True,
        env=os.environ | variables,
        check=False,
    )
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""
    return ended.returncode, " ".join(ended.stderr.split())


def test_where_nothing_listens_a_command_says_how_a_server_is_started():
    status, told = ran("collections", "list", "--target", "localhost:1")
    assert status == 3
    assert told == (
        "error: connection refused: is a server running at localhost:1? start one with: "
        "twopass serve --address localhost:1"
    )


@pytest.mark.parametrize("given", ["http://localhost:50051", "localhost:http", "a b"])
def test_what_is_no_target_is_a_mistake_of_the_flag_or_the_variable_that_has_it(given):
    for flag, variable, named in (
        (("--target", given), {}, "--target"),
        ((), {"TWOPASS_TARGET": given}, "TWOPASS_TARGET"),
        (("--target", given), {"TWOPASS_TARGET": "localhost:1"}, "--target"),
    ):
        status, told = ran("info", *flag, **variable)
        assert status == 2
        assert told.startswith(f"error: {named}: '{given}' given")


def test_the_http_port_given_by_mistake_is_told_as_one(tmp_path):
    with Server(tmp_path / "data", gated=False, http_address="127.0.0.1:0") as both:
        status, told = ran("models", "--target", both.http_target)
    assert status == 3
    assert "speaks HTTP but not gRPC" in told
    assert told.startswith("error:")


def test_a_key_that_may_not_write_is_told_by_its_variable(tmp_path):
    key = make_key()
    file = tmp_path / "keys.toml"
    file.write_text(f'[[keys]]\nname = "web"\nsha256 = "{key.sha256}"\nrole = "reader"\n')
    with Server(tmp_path / "data", gated=False, keys=str(file)) as closed:
        status, told = ran(
            *("collections", "create", "docs", "--target", closed.target),
            TWOPASS_API_KEY=f"{key.secret}\n",
        )
    assert status == 1
    assert "(the key is that of TWOPASS_API_KEY)" in told


def test_a_server_that_does_not_answer_in_time_is_given_up(tmp_path):
    with Server(tmp_path / "data") as server, Client(server.target) as client:
        client.create_collection("docs")
        client.upsert("docs", [Document("a", "text")])
        server.encoder.gate.clear()
        status, told = ran(
            *("search", "docs", "q", "--mode", "dense", "--target", server.target),
            TWOPASS_TIMEOUT="1",
        )
        server.encoder.gate.set()
    assert status == 3
    assert "within 1 s" in told or "deadline" in told.lower()


def completed(line: str, **variables: str) -> list[str]:
    """What the shell is offered where a person presses Tab after `line`."""
    program = "import sys; from twopass.commands.main import app; app(prog_name='twopass')"
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        env=os.environ
        | {
            "_TWOPASS_COMPLETE": "complete_bash",
            "COMP_WORDS": line,
            "COMP_CWORD": str(line.count(" ")),
        }
        | variables,
    )
    assert ended.stderr == ""
    return ended.stdout.split()


def test_the_tab_key_completes_commands_options_and_names_of_collections(client, docs):
    client.update_aliases({f"{docs}-live": docs})
    assert completed("twopass sea") == ["search"]
    assert completed("twopass search --mo") == ["--mode"]
    assert completed(f"twopass search {docs}") == [docs, f"{docs}-live"]
    assert completed(f"twopass collections show {docs}-l") == [f"{docs}-live"]


@pytest.mark.parametrize(
    "wrong", [{"TWOPASS_TARGET": "localhost:1"}, {"TWOPASS_CA": "/nowhere"}], ids=str
)
def test_where_no_server_can_be_asked_the_tab_key_offers_no_name_and_says_nothing(wrong):
    assert completed("twopass search d", **wrong) == []
