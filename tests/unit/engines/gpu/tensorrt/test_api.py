import sys
from types import ModuleType

import pytest

from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.tensorrt.api import find_tensorrt


def installed(monkeypatch, **versions):
    """Makes exactly these packages importable; None for one that is not."""
    for name in ("tensorrt", "tensorrt_rtx", "tensorrt_rtx_bindings"):
        module = None
        if (version := versions.get(name)) is not None:
            module = ModuleType(name)
            module.__version__ = version
        monkeypatch.setitem(sys.modules, name, module)


def test_tensorrt_is_taken_before_tensorrt_rtx(monkeypatch):
    installed(monkeypatch, tensorrt="11.4", tensorrt_rtx="1.7")
    found = find_tensorrt()
    assert (found.name, found.version, found.is_portable) == ("tensorrt", "11.4", False)


def test_tensorrt_rtx_is_taken_where_it_is_alone(monkeypatch):
    installed(monkeypatch, tensorrt_rtx="1.7")
    found = find_tensorrt()
    assert (found.name, found.version, found.is_portable) == ("tensorrt_rtx", "1.7", True)


def test_the_bindings_of_tensorrt_rtx_alone_are_tensorrt_rtx(monkeypatch):
    installed(monkeypatch, tensorrt_rtx_bindings="1.7.1")
    found = find_tensorrt()
    assert (found.name, found.version, found.is_portable) == ("tensorrt_rtx", "1.7.1", True)


def test_where_there_is_neither_one_sentence_says_how_to_get_it(monkeypatch):
    installed(monkeypatch)
    with pytest.raises(EngineUnavailableError, match=r"not installed: .*'tensorrt-rtx-cu13>="):
        find_tensorrt()


def test_bindings_without_their_libraries_are_as_good_as_none(monkeypatch, tmp_path):
    installed(monkeypatch, tensorrt_rtx="1.7")
    monkeypatch.delitem(sys.modules, "tensorrt")
    (tmp_path / "tensorrt.py").write_text("raise OSError('libnvinfer.so.11 is missing')")
    monkeypatch.syspath_prepend(tmp_path)
    assert find_tensorrt().name == "tensorrt_rtx"
    installed(monkeypatch)
    monkeypatch.delitem(sys.modules, "tensorrt")
    with pytest.raises(EngineUnavailableError, match=r"tensorrt does not load \(libnvinfer"):
        find_tensorrt()
