"""Memory, streams and graphs of a real device through pycuda and cuda-python."""

from contextlib import ExitStack

import numpy as np
import pytest

from twopass.engines.errors import EngineUnavailableError, OutOfDeviceMemoryError
from twopass.engines.gpu.tensorrt.cuda_device import opened_device

pytestmark = pytest.mark.gpu

_MORE_THAN_ANY = 1 << 44  # bytes


@pytest.fixture
def device():
    with ExitStack() as opened:
        try:
            device = opened.enter_context(opened_device())
        except EngineUnavailableError as error:
            pytest.skip(str(error))
        yield device


def test_what_is_copied_there_comes_back(device):
    stream, source, target = device.stream(), device.pinned(1000, "i4"), device.pinned(1000, "i4")
    source[:] = np.arange(1000)
    memory = device.allocate(source.nbytes)
    device.upload(memory, source, stream)
    device.download(target, memory, stream)
    stream.synchronize()
    np.testing.assert_array_equal(target, source)


def test_a_graph_does_again_what_was_recorded(device):
    stream, source, target = device.stream(), device.pinned(10, "f4"), device.pinned(10, "f4")
    memory = device.allocate(source.nbytes)

    def there_and_back():
        device.upload(memory, source, stream)
        device.download(target, memory, stream)

    graph = device.capture(stream, there_and_back)
    if graph is None:
        pytest.skip("cuda-python is not installed")
    for value in (1.0, 2.0):
        source[:] = value
        graph.launch(stream)
        stream.synchronize()
        np.testing.assert_array_equal(target, source)
    graph.close()


def test_memory_that_runs_out_leaves_the_device_in_order(device):
    with pytest.raises(OutOfDeviceMemoryError):
        device.allocate(_MORE_THAN_ANY)
    assert int(device.allocate(1024)) > 0
