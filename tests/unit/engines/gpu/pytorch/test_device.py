"""Turns on a device, and what is left of a block that memory lacked for."""

import threading
import weakref
from contextlib import contextmanager, nullcontext
from types import SimpleNamespace

import pytest

from twopass.engines.errors import DeviceError, OutOfDeviceMemoryError
from twopass.engines.gpu.pytorch.device import Turns, device_errors, launching

from .graphs.fake_torch import AcceleratorError, FakeTorch, OutOfMemoryError

WAIT = 60.0


@pytest.fixture
def turns():
    return Turns()


@contextmanager
def elsewhere(work):
    """Work of another thread, from the block's beginning; it has ended when the block has."""
    thread = threading.Thread(target=work)
    thread.start()
    yield thread
    thread.join(WAIT)
    assert not thread.is_alive()


def test_launches_run_side_by_side(turns):
    both = threading.Barrier(2, timeout=WAIT)

    def launch():
        with turns.launch():
            both.wait()

    with elsewhere(launch), turns.launch():
        both.wait()


@pytest.mark.parametrize("other", ["launch", "capture"])
def test_nobody_is_beside_one_who_captures(turns, other):
    asked, came = threading.Event(), threading.Event()

    def work():
        asked.set()
        with getattr(turns, other)():
            came.set()

    thread = threading.Thread(target=work)
    with turns.capture():
        thread.start()
        asked.wait(WAIT)
        assert not came.wait(0.05)
    assert came.wait(WAIT)
    thread.join(WAIT)


def test_one_who_captures_waits_for_those_under_way_and_comes_before_those_after(turns):
    order = []

    def work(kind):
        with getattr(turns, kind)():
            order.append(kind)

    threads = [threading.Thread(target=work, args=(kind,)) for kind in ("capture", "launch")]
    with turns.launch():
        for thread in threads:  # the second comes when the first waits
            thread.start()
            thread.join(0.05)
        order.append("under way")
    for thread in threads:
        thread.join(WAIT)
    assert order == ["under way", "capture", "launch"]


def test_a_turn_ends_with_its_block_however_that_ends(turns):
    for kind in (turns.launch, turns.capture, turns.launch, turns.capture):
        with pytest.raises(ValueError, match="whatever"), kind():
            raise ValueError("whatever")


def test_a_turn_within_a_turn_is_refused_rather_than_waited_for(turns):
    for inner in (turns.launch, turns.capture):
        with turns.launch(), pytest.raises(AssertionError, match="would wait for itself"), inner():
            pass


def test_many_threads_keep_to_it(turns):
    launching_now, capturing_now, seen = set(), set(), []

    def work(number):
        for step in range(50):
            is_capture = (number + step) % 7 == 0
            mine = capturing_now if is_capture else launching_now
            with turns.capture() if is_capture else turns.launch():
                mine.add(number)
                seen.append((len(launching_now), len(capturing_now)))
                mine.remove(number)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(WAIT)
    assert len(seen) == 6 * 50
    assert all(captures == 0 or (launches, captures) == (0, 1) for launches, captures in seen)


class Activations:
    """What a forward pass allocates."""


def test_what_a_block_allocated_is_free_before_its_error_is_told():
    alive = []

    def forward():
        activations = Activations()
        alive.append(weakref.ref(activations))
        raise OutOfMemoryError("CUDA out of memory")

    def free():
        assert alive[0]() is None, "the frames of the failed pass hold what it had allocated"

    torch = FakeTorch()
    torch.cuda.empty_cache = free
    with pytest.raises(OutOfDeviceMemoryError, match="CUDA out of memory"), launching(torch):
        forward()


@pytest.mark.parametrize(
    ("code", "kind"), [(2, OutOfDeviceMemoryError), (700, DeviceError), (None, DeviceError)]
)
def test_memory_that_cuda_itself_lacks_is_no_failed_device(code, kind):
    error = AcceleratorError("CUDA error: what it says")
    if code is not None:
        error.error_code = code
    with pytest.raises(kind, match="what it says"), device_errors(FakeTorch()):
        raise error


def test_a_device_that_refuses_to_free_anything_is_out_of_memory_all_the_same():
    def refuse():
        raise RuntimeError("captures_underway.empty() INTERNAL ASSERT FAILED")

    torch = SimpleNamespace(
        OutOfMemoryError=OutOfMemoryError,
        AcceleratorError=AcceleratorError,
        cuda=SimpleNamespace(empty_cache=refuse),
        inference_mode=nullcontext,
    )
    with pytest.raises(OutOfDeviceMemoryError), launching(torch):
        raise OutOfMemoryError("CUDA out of memory")
