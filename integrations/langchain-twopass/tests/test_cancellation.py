"""What becomes of work whose caller has gone; asynchronous calls are not threads that wait."""

import asyncio
import threading
from collections.abc import Callable

import pytest
from langchain_core.documents import Document

from langchain_twopass import TwopassEmbeddings, TwopassRerank, TwopassRetriever
from twopass.client import Client, DeadlineExceededError, Load

QUESTION = "Which city is the capital of Australia?"
# Half a minute of a busy core: no test waits for its end.
MANY = [
    Document(page_content=f"Passage {number}. " + "Canberra is a city of parks. " * 40)
    for number in range(3_000)
]


async def until(client: Client, is_so: Callable[[Load], bool], otherwise: str) -> None:
    """Waits until the server's load is so, for a minute at most."""
    for _ in range(1_200):
        if is_so((await asyncio.to_thread(client.server_info)).load):
            return
        await asyncio.sleep(0.05)
    raise AssertionError(otherwise)


async def test_cancelling_a_task_ends_its_work_on_the_server(target, client):
    rerank = TwopassRerank(target=target, timeout=300)
    task = asyncio.create_task(rerank.acompress_documents(MANY, QUESTION))
    await until(client, lambda load: load.queued_pairs > 0, "the server never got the passages")
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    await until(
        client,
        lambda load: load.queued_pairs == 0 and load.calls == 1,
        "the server goes on working for a caller that has gone",
    )
    assert (await rerank.acompress_documents(MANY[:2], QUESTION))[0].metadata["relevance_score"]
    await rerank.aclose()


async def test_a_timeout_of_asyncio_ends_a_search(target, facts):
    retriever = TwopassRetriever(target=target, collection_name=facts)
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await retriever.ainvoke(QUESTION)
    assert (await retriever.ainvoke(QUESTION))[0].id == "canberra"
    await retriever.aclose()


async def test_a_deadline_that_passes_is_told(target):
    rerank = TwopassRerank(target=target, timeout=0.2)
    with pytest.raises(DeadlineExceededError):
        await rerank.acompress_documents(MANY[:1_000], QUESTION)
    with pytest.raises(DeadlineExceededError):
        rerank.compress_documents(MANY[:1_000], QUESTION)
    await rerank.aclose()


async def test_asynchronous_calls_take_no_thread_of_ones_own(target, facts):
    retriever = TwopassRetriever(target=target, collection_name=facts)
    embeddings = TwopassEmbeddings(target=target)
    await retriever.ainvoke(QUESTION)
    await embeddings.aembed_query(QUESTION)
    before = threading.active_count()
    found = await asyncio.gather(
        *(retriever.ainvoke(QUESTION) for _ in range(50)),
        *(embeddings.aembed_query(QUESTION) for _ in range(50)),
    )
    assert len(found) == 100
    assert threading.active_count() == before
    await retriever.aclose()
    await embeddings.aclose()
