"""The paths that an engine may launch by, and the variables that have them on."""

import pytest

from twopass.engines.errors import ModelError
from twopass.engines.gpu.launch_paths import LaunchPath, paths_told, told, variable_of


@pytest.fixture(autouse=True)
def _nothing_told(monkeypatch):
    for path in LaunchPath:
        monkeypatch.delenv(variable_of(path), raising=False)


def test_everything_is_off_unless_it_is_asked_for():
    assert paths_told() == frozenset()
    assert [told(path) for path in LaunchPath] == [None] * 3


@pytest.mark.parametrize("path", LaunchPath)
def test_a_variable_has_its_path_on_or_off(monkeypatch, path):
    monkeypatch.setenv(variable_of(path), "1")
    assert paths_told() == {path}
    monkeypatch.setenv(variable_of(path), "0")
    assert told(path) is False
    assert paths_told() == frozenset()


def test_what_is_neither_on_nor_off_is_refused(monkeypatch):
    monkeypatch.setenv("TWOPASS_FUSED_KERNELS", "maybe")
    with pytest.raises(ModelError, match="TWOPASS_FUSED_KERNELS: maybe given; it is 0 or 1"):
        paths_told()
