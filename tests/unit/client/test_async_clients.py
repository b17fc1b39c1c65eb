import asyncio
import gc
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from twopass.client import AsyncClient, AsyncClients, Client, TwopassError

UNREACHABLE = "127.0.0.1:1"


@pytest.fixture
def clients():
    with Client(UNREACHABLE, api_key="secret", timeout=3) as client:
        yield AsyncClients(client)


async def _current(clients):
    return clients.current()


async def _asked(clients):
    """The running loop's client, after a call that opened its channel."""
    client = clients.current()
    with pytest.raises(TwopassError):
        await client.models(timeout=0.1)
    return client


async def test_one_loop_has_one_client(clients):
    assert isinstance(clients.current(), AsyncClient)
    assert clients.current() is clients.current()


def test_loops_one_after_another_have_clients_of_their_own(clients):
    first, second = asyncio.run(_asked(clients)), asyncio.run(_asked(clients))
    assert first is not second
    assert first._connection is second._connection


def test_loops_of_several_threads_have_clients_of_their_own(clients):
    def distinct(_):
        return asyncio.run(_asked(clients))

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(distinct, range(4)))
    assert len(set(map(id, found))) == 4


def test_the_client_of_a_closed_loop_is_dropped(clients):
    of_closed = weakref.ref(asyncio.run(_asked(clients)))
    asyncio.run(_current(clients))
    gc.collect()
    assert of_closed() is None


async def test_a_closed_client_is_followed_by_a_new_one(clients):
    before = clients.current()
    await clients.close()
    await clients.close()
    with pytest.raises(RuntimeError, match="closed"):
        await before.models()
    assert clients.current() is not before


def test_without_a_running_loop_there_is_no_client(clients):
    with pytest.raises(RuntimeError, match="no running event loop"):
        clients.current()
