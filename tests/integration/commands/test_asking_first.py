"""What can't be undone is asked for first, and done as the person was told or not at all."""

import os
import pty
import subprocess
from collections.abc import Callable

import pytest

from twopass.client import Document, field

from ..command_line import invoke
from .saying import COMMAND, said


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
