"""Documents are written in order, whatever the server refuses and however often it is busy."""

from itertools import islice

import pytest
from hypothesis import given
from hypothesis import strategies as st

from twopass.client import (
    AlreadyExistsError,
    Document,
    InvalidArgumentError,
    OverloadedError,
    PermissionDeniedError,
    UnavailableError,
    UpsertSummary,
)
from twopass.commands.transfer import uploading
from twopass.commands.transfer.checkpoint import Done
from twopass.commands.transfer.uploading import Reports, Sourced, Upload


class Clock:
    """A time that passes only where a server is waited for."""

    now = 0.0


@pytest.fixture(autouse=True, scope="module")
def clock():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(uploading.time, "monotonic", lambda: Clock.now)
        yield


class Server:
    """A client of a server that refuses some documents, and fails at some of its chunks.

    Attributes:
        written: Ids of the documents that are on its disk, in the order of their writing.
        num_sent: Documents that it was sent.
    """

    def __init__(self, refused=(), faults=None, part_size=0) -> None:
        self.refused = set(refused)
        self.faults = dict(faults or {})
        self.written: list[str] = []
        self.num_sent = 0
        self._num_chunks = 0
        self._part_size = part_size

    def upsert(self, collection, documents, *, chunk_size, on_conflict, on_progress):
        summary = UpsertSummary()
        taken = iter(documents)
        # As the client does, it takes some chunks before the first is acknowledged.
        ahead: list[list[Document]] = []
        while True:
            while len(ahead) < 3 and (chunk := list(islice(taken, chunk_size))):
                ahead.append(chunk)
                self.num_sent += len(chunk)
            if not ahead:
                return summary
            self._num_chunks += 1
            if (fault := self.faults.pop(self._num_chunks, None)) is not None:
                raise fault
            chunk = ahead.pop(0)
            for place, document in enumerate(chunk):
                if document.id in self.refused:
                    position = summary.num_documents + place
                    raise InvalidArgumentError(
                        f"chunk {summary.num_chunks + 1}: documents[{place}].id: it is bad",
                        metadata={"position": str(position)},
                    )
            # As the client does with large documents, it may send less at a time.
            size = self._part_size or len(chunk)
            for part in (chunk[at : at + size] for at in range(0, len(chunk), size)):
                self.written += [document.id for document in part]
                total = summary.num_documents + len(part)
                summary = UpsertSummary("s", summary.num_chunks + 1, total, total)
                on_progress(summary)


class Told:
    """What an upload reports."""

    def __init__(self, *, goes_on=True) -> None:
        self.refused: list[str] = []
        self.settled: list[int] = []
        self.num_inserted = 0
        self.waits: list[float] = []
        self._goes_on = goes_on

    def settle(self, done, summary, before):
        self.settled.append(done.num_done)
        # What a checkpoint records at any moment is what is done at that moment.
        assert [item.where for item in done.refused] == [
            where for where in self.refused if int(where[2:]) < done.num_done
        ]
        assert done.num_read == 2 * done.num_done
        self.num_inserted += summary.num_inserted - before.num_inserted

    def refuse(self, item):
        self.refused.append(item.where)
        return self._goes_on

    def wait(self, reason, seconds):
        self.waits.append(seconds)
        Clock.now += seconds
        return True

    @property
    def reports(self):
        return Reports(settled=self.settle, refused=self.refuse, wait=self.wait)


def upload(server, told, num_documents, chunk_size=3, on_conflict="replace"):
    items = (Sourced(f"x:{n}", Document(str(n), "t"), 2 * (n + 1)) for n in range(num_documents))
    run = Upload(
        server, "docs", told.reports, chunk_size=chunk_size, on_conflict=on_conflict, done=Done()
    )
    run.write(items)


numbers = st.integers(0, 40)
faults = st.dictionaries(
    st.integers(1, 30),
    st.sampled_from([UnavailableError("gone"), OverloadedError("full", retry_after=0.1)]),
    max_size=4,
)


@given(numbers, st.sets(numbers, max_size=8), st.integers(1, 7), faults, st.integers(0, 2))
def test_all_but_the_refused_are_written_and_what_is_settled_is_done(
    num_documents, refused, chunk_size, faults, part_size
):
    server, told = Server(map(str, refused), faults, part_size), Told()
    upload(server, told, num_documents, chunk_size)
    expected = [n for n in range(num_documents) if n not in refused]
    assert server.written == [str(n) for n in expected]
    assert told.num_inserted == len(expected)
    assert told.refused == [f"x:{n}" for n in range(num_documents) if n in refused]
    assert told.settled == sorted(told.settled)
    assert all(done <= num_documents for done in told.settled)


@given(st.sets(numbers, min_size=1, max_size=8), st.integers(1, 7))
def test_what_stops_at_a_refused_document_has_written_all_before_it_and_nothing_after(
    refused, chunk_size
):
    server, told = Server(map(str, refused)), Told(goes_on=False)
    upload(server, told, 50, chunk_size)
    assert server.written == [str(n) for n in range(min(refused))]
    assert told.refused == [f"x:{min(refused)}"]
    assert [0, *told.settled][-1] == min(refused)


def test_a_refusal_costs_no_more_than_sending_again_what_was_under_way():
    server, told = Server([str(n) for n in range(0, 10_000, 100)]), Told()
    upload(server, told, 10_000, chunk_size=50)
    assert server.num_sent < 4 * 10_000


@pytest.mark.parametrize(
    "fault",
    [
        PermissionDeniedError("no"),
        AlreadyExistsError("known"),
        OverloadedError("too large", retry_after=None),
        InvalidArgumentError("documents: 300 given, at most 200"),
        InvalidArgumentError("documents[0].id: bad", metadata={"position": "99"}),
        ConnectionError("not ours"),
    ],
    ids=repr,
)
def test_any_other_failure_is_no_documents_fault(fault):
    server, told = Server(faults={3: fault}), Told()
    with pytest.raises(type(fault)):
        upload(server, told, 50)
    assert told.refused == []
    assert told.settled == [3, 6]


def test_a_busy_server_is_asked_again_and_given_up_in_the_end():
    server = Server(faults={n: UnavailableError("gone") for n in range(4, 1_000)})
    told = Told()
    with pytest.raises(UnavailableError):
        upload(server, told, 50)
    assert server.written == [str(n) for n in range(9)]
    assert 30 <= sum(told.waits) <= 45
    assert told.waits == sorted(told.waits)

    later = Server(faults={2: OverloadedError("full", retry_after=12.0)})
    upload(later, told, 50)
    assert told.waits[-1] == 12.0
    assert later.written == [str(n) for n in range(50)]


def test_a_lost_answer_ends_the_run_where_known_ids_are_an_error():
    with pytest.raises(UnavailableError):
        upload(Server(faults={2: UnavailableError("gone")}), Told(), 9, on_conflict="fail")
