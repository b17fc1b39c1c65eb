import threading
from concurrent.futures import Future

import pytest

from twopass.index.errors import StoppedError
from twopass.index.stopping import NEVER, Stop, wait_for


def test_work_that_asks_ends_once_the_stop_is_set():
    stop = Stop()
    stop.check()
    stop.set()
    stop.set()
    assert stop.is_set
    with pytest.raises(StoppedError):
        stop.check()


def test_what_is_registered_is_called_once_and_only_within_its_block():
    stop, calls = Stop(), []
    with stop.calling(lambda: calls.append("gone")):
        pass
    with stop.calling(lambda: calls.append("a")), stop.calling(lambda: calls.append("b")):
        stop.set()
        stop.set()
    assert calls == ["a", "b"]


def test_a_stop_that_is_set_already_calls_at_once():
    stop, calls = Stop(), []
    stop.set()
    with stop.calling(lambda: calls.append(1)):
        assert calls == [1]


def test_a_block_does_not_end_while_its_callback_runs():
    stop, begun, go_on, order = Stop(), threading.Event(), threading.Event(), []

    def callback() -> None:
        begun.set()
        go_on.wait()
        order.append("callback")

    def work() -> None:
        with stop.calling(callback):
            begun.wait()
        order.append("block")

    worker = threading.Thread(target=work)
    worker.start()
    setter = threading.Thread(target=stop.set)
    while not stop._callbacks:
        pass
    setter.start()
    begun.wait()
    go_on.set()
    worker.join()
    setter.join()
    assert order == ["callback", "block"]


def test_never_is_not_set():
    NEVER.check()


def test_a_wait_ends_with_the_future_or_with_the_stop_whichever_is_first():
    stop, done, never, failed = Stop(), Future(), Future(), Future()
    done.set_result(7)
    failed.set_exception(KeyError("x"))
    assert wait_for(done, stop) == 7
    with pytest.raises(KeyError):
        wait_for(failed, stop)
    threading.Timer(0.05, stop.set).start()
    with pytest.raises(StoppedError):
        wait_for(never, stop)
    assert never.cancelled()
    assert wait_for(done, stop) == 7  # it is there anyhow
