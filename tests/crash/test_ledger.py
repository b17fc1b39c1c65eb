"""The crash tester's own memory: what it must call lost, and what it must not."""

import pytest

from .ledger import Ledger


def written(ledger, ids, position):
    operation = ledger.begin_upsert(ids)
    ledger.acknowledge(operation, position)
    return operation.number


def kinds(findings):
    return {kind for kind, problems in findings.by_kind().items() if problems}


def test_what_was_acknowledged_must_be_there():
    ledger = Ledger()
    version = written(ledger, ["a"], 1)
    assert kinds(ledger.compare({"a": version})) == set()
    assert kinds(ledger.compare({})) == {"missing"}


def test_an_older_version_is_stale():
    ledger = Ledger()
    first, second = written(ledger, ["a"], 1), written(ledger, ["a"], 2)
    assert kinds(ledger.compare({"a": first})) == {"stale"}
    assert kinds(ledger.compare({"a": second})) == set()


def test_what_was_deleted_or_never_written_is_a_phantom():
    ledger = Ledger()
    version = written(ledger, ["a"], 1)
    ledger.acknowledge(ledger.begin_delete(["a"]), 2)
    assert kinds(ledger.compare({"a": version})) == {"phantom"}
    assert kinds(ledger.compare({"b": version})) == {"phantom"}
    assert kinds(ledger.compare({"a": 99})) == {"phantom"}


def test_a_write_never_heard_of_is_there_whole_or_not_at_all():
    ledger = Ledger()
    before = written(ledger, ["a", "b"], 1)
    version = ledger.begin_upsert(["a", "b"]).number
    assert kinds(ledger.compare({"a": version, "b": version})) == set()
    assert kinds(ledger.compare({"a": before, "b": before})) == set()
    assert kinds(ledger.compare({"a": version, "b": before})) == {"torn"}


@pytest.mark.parametrize("acknowledged_first", [0, 1])
def test_of_two_writers_of_one_document_the_later_in_the_servers_order_counts(acknowledged_first):
    ledger = Ledger()
    operations = [ledger.begin_upsert(["a"]), ledger.begin_upsert(["a"])]
    positions = [7, 6]
    for which in (acknowledged_first, 1 - acknowledged_first):
        ledger.acknowledge(operations[which], positions[which])
    assert kinds(ledger.compare({"a": operations[0].number})) == set()
    assert kinds(ledger.compare({"a": operations[1].number})) == {"stale"}


def test_what_was_found_after_a_crash_must_stay():
    ledger = Ledger()
    version = ledger.begin_upsert(["a"]).number
    ledger.settle({"a": version}, 1)
    assert kinds(ledger.compare({})) == {"missing"}
    ledger.settle({}, 1)
    assert kinds(ledger.compare({"a": version})) == {"phantom"}


def test_a_document_was_begun_by_the_write_whose_number_is_its_version():
    ledger = Ledger()
    version = written(ledger, ["a"], 1)
    deletion = ledger.begin_delete(["a"]).number
    assert ledger.was_begun("a", version)
    assert not ledger.was_begun("b", version)
    assert not ledger.was_begun("a", deletion)
    assert not ledger.was_begun("a", 3)


def test_what_was_replaced_or_deleted_is_gone_the_latest_first():
    ledger = Ledger()
    first = written(ledger, ["a", "b"], 1)
    second = written(ledger, ["a"], 2)
    ledger.acknowledge(ledger.begin_delete(["b"]), 3)
    unheard_of = ledger.begin_upsert(["c"]).number
    assert ledger.gone({"a": second}, most=9) == [("c", unheard_of), ("a", first), ("b", first)]
    assert ledger.gone({"a": second, "c": unheard_of}, most=1) == [("a", first)]
    assert [ledger.acknowledged(name) for name in "abc"] == [second, None, None]


def test_a_copy_of_an_earlier_moment_holds_what_was_there_then():
    ledger = Ledger()
    first = written(ledger, ["a"], 1)
    second = written(ledger, ["a", "b"], 3)
    ledger.acknowledge(ledger.begin_delete(["a"]), 5)
    for position in (1, 2):
        assert kinds(ledger.compare({"a": first}, position)) == set()
        assert kinds(ledger.compare({"a": second, "b": second}, position)) == {"stale", "phantom"}
    assert kinds(ledger.compare({"a": second, "b": second}, 4)) == set()
    assert kinds(ledger.compare({"b": second}, 5)) == set()
    assert kinds(ledger.compare({"b": second}, 4)) == {"missing"}
