"""The client against the server, end to end."""

import subprocess
import sys

import pytest

from twopass.client import (
    AlreadyExistsError,
    AsyncClient,
    CandidateSet,
    Client,
    DeadlineExceededError,
    Document,
    InvalidArgumentError,
    NotFoundError,
    Passage,
)

from .corpus import ENCODER, FACTS, RERANKER
from .serving import Server

QUESTION = "What is the capital of Australia?"


@pytest.fixture
def client(server: Server):
    with Client(server.target) as made:
        yield made


@pytest.fixture
def name(client: Client):
    """A name for a collection of the test's own."""
    yield "of-a-client"
    client.delete_collection("of-a-client")


def documents() -> list[Document]:
    return [Document(id=key, text=text, metadata={"key": key}) for key, text in FACTS.items()]


def test_a_collection_from_its_creation_to_its_answers(client, name):
    client.create_collection(name)
    with pytest.raises(AlreadyExistsError):
        client.create_collection(name)
    progress = []
    summary = client.upsert(name, documents(), chunk_size=5, on_progress=progress.append)
    assert summary.num_inserted == len(FACTS)
    assert len(progress) == 3
    result = client.search(name, QUESTION, top_n=3, min_sequence=summary.sequence)
    assert result.hits[0].id == "canberra"
    assert result.hits[0].metadata == {"key": "canberra"}
    assert result.rerank_status == "complete"
    assert client.delete(name, ["canberra"]).num_deleted == 1
    assert "canberra" not in [hit.id for hit in client.search(name, QUESTION).hits]
    assert len(list(client.documents(name, page_size=4))) == len(FACTS) - 1
    assert [document.text for document in client.get(name, ["sky"])] == [FACTS["sky"]]
    assert client.get_collection(name).num_documents == len(FACTS) - 1


def test_rerank_and_its_stream_agree(client):
    texts = list(FACTS.values())
    whole = client.rerank(QUESTION, texts, top_n=3)
    assert texts[whole.hits[0].index] == FACTS["canberra"]
    sets = [CandidateSet(set_id=str(i), query=QUESTION, passages=texts, top_n=3) for i in range(4)]
    bad = CandidateSet(set_id="bad", query=" ", passages=texts)
    results = {x.set_id: x for x in client.rerank_stream([*sets, bad], piece_size=5)}
    assert isinstance(results["bad"].error, InvalidArgumentError)
    for i in range(4):
        hits = results[str(i)].result().hits
        assert [hit.index for hit in hits] == [hit.index for hit in whole.hits]


def test_a_running_set_ends_with_the_best_of_all(client):
    texts = list(FACTS.values())
    whole = client.rerank(QUESTION, texts, top_n=3)
    running = CandidateSet("a", QUESTION, texts, top_n=3, running=True)
    *so_far, last = client.rerank_stream([running], piece_size=2)
    assert [hit.index for hit in last.result().hits] == [hit.index for hit in whole.hits]
    assert [result.is_last for result in so_far] == [False] * len(so_far)
    for result in so_far:
        logits = [hit.logit for hit in result.result().hits]
        assert logits == sorted(logits, reverse=True)


def test_passages_may_carry_the_score_of_a_first_pass(client):
    passages = [Passage(text=text, first_pass_score=i) for i, text in enumerate(FACTS.values())]
    result = client.rerank(QUESTION, passages, blend=1.0)
    assert [hit.index for hit in result.hits] == list(range(len(FACTS)))[::-1]


def test_embeddings_and_models(client):
    (embedding, _) = client.embed(["one", "two"]).vectors
    assert len(embedding) == 384
    assert [model.id for model in client.models()] == [ENCODER, RERANKER]
    assert client.model(RERANKER).max_seq_len == 512
    assert client.is_ready()


def test_errors_have_classes_of_their_own(client, facts):
    with pytest.raises(NotFoundError, match="'nowhere' does not exist"):
        client.search("nowhere", QUESTION)
    with pytest.raises(InvalidArgumentError, match="query: empty"):
        client.rerank(" ", ["x"])
    with pytest.raises(DeadlineExceededError):
        client.search(facts, QUESTION, timeout=1e-6)


async def test_the_asynchronous_client_does_the_same(server, facts):
    async with AsyncClient(server.target) as client:
        assert (await client.search(facts, QUESTION)).hits[0].id == "canberra"
        sets = [CandidateSet(set_id=str(i), query="q", passages=["a", "b"]) for i in range(3)]
        answered = [result.set_id async for result in client.rerank_stream(sets)]
        assert sorted(answered) == ["0", "1", "2"]
        with pytest.raises(NotFoundError):
            await client.search("nowhere", QUESTION)


HALF_BEGUN = """
import sys
import grpc._channel
from twopass.client import CandidateSet, Client

def interrupted(*_):
    raise KeyboardInterrupt

with Client(sys.argv[1]) as client:
    assert client.is_ready()
    # Where Ctrl-C is likely to come: the call has begun, and nothing reads its answer yet.
    grpc._channel._run_channel_spin_thread = interrupted
    try:
        list(client.rerank_stream([CandidateSet("a", "query", ["passage"])]))
    except KeyboardInterrupt:
        print("interrupted")
print("closed")
"""


def test_a_client_closes_though_ctrl_c_has_left_a_call_half_begun(server):
    """By itself, gRPC waits forever for the end of such a call."""
    ended = subprocess.run(
        [sys.executable, "-c", HALF_BEGUN, server.target],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.stdout, ended.returncode) == ("interrupted\nclosed\n", 0), ended.stderr


RELEASED = """
import sys
import grpc._common
from twopass.client import Client

def interrupted(wait, *_, **__):
    wait.__self__._release_save()  # as `threading.Condition.wait` begins
    raise KeyboardInterrupt

with Client(sys.argv[1]) as client:
    assert client.is_ready()
    grpc._common.wait = interrupted
    try:
        client.upsert("none", [{"id": "a", "text": "one"}])
    except KeyboardInterrupt:
        print("interrupted")
"""


def test_ctrl_c_that_meets_a_lock_just_released_stays_a_keyboard_interrupt(server):
    """By itself, gRPC raises a RuntimeError: "cannot release un-acquired lock"."""
    ended = subprocess.run(
        [sys.executable, "-c", RELEASED, server.target],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (ended.stdout, ended.returncode) == ("interrupted\n", 0), ended.stderr
