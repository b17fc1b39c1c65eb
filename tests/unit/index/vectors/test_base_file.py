"""The file of a base: whole or not taken."""

import dataclasses
import os
from pathlib import Path

import numpy as np
import pytest

from twopass.index.kinds import Breadth, IndexKind
from twopass.index.vectors import base_file
from twopass.index.vectors.base_file import BaseFileError, Header, load_base, save_base
from twopass.index.vectors.segments import Segment

DIMENSION = 8
HEADER = Header(
    index_kind="Flat",
    dimension=DIMENSION,
    incarnation="0" * 32,
    position=7,
    last_key=99,
    num_vectors=60,
    num_trained=0,
)


def base_of(factory):
    kind = IndexKind.parse(factory)
    vectors = np.random.default_rng(0).standard_normal((60, DIMENSION)).astype(np.float32)
    index = kind.create(DIMENSION)
    if not index.is_trained:
        index.train(vectors)
    index.add(vectors)
    return Segment(kind, index, np.arange(1, 61) * 3, np.zeros(60, np.bool_)), vectors


@pytest.mark.parametrize("factory", ["Flat", "SQfp16", "HNSW8", "IVF2,Flat", "IVF2,SQfp16"])
def test_a_base_comes_back_as_it_was_saved(tmp_path, factory):
    base, vectors = base_of(factory)
    header = dataclasses.replace(HEADER, index_kind=factory)
    save_base(tmp_path / "base", base, header)
    loaded, read = load_base(tmp_path / "base")
    assert read == header
    assert loaded.keys.tolist() == base.keys.tolist()
    for segment in (base, loaded):
        segment.hide(np.array([3, 60]))
    before, after = (part.search(vectors, 10, None, Breadth()) for part in (base, loaded))
    np.testing.assert_array_equal(before[0], after[0])
    np.testing.assert_array_equal(before[1], after[1])
    rows = np.arange(60, dtype=np.int64)  # and it can be read back and added to
    np.testing.assert_array_equal(
        loaded.index.reconstruct_batch(rows), base.index.reconstruct_batch(rows)
    )
    assert [file.name for file in tmp_path.iterdir()] == ["base"]


def test_a_base_without_vectors_can_be_saved(tmp_path):
    save_base(
        tmp_path / "base", Segment.empty(DIMENSION), dataclasses.replace(HEADER, num_vectors=0)
    )
    loaded, _ = load_base(tmp_path / "base")
    assert len(loaded) == loaded.index.ntotal == 0


def test_a_file_that_is_not_there_is_no_base(tmp_path):
    with pytest.raises(BaseFileError, match="there is no file"):
        load_base(tmp_path / "base")


@pytest.mark.parametrize("where", [0, 5, 200, 300, 1_500, -1, -40])
def test_one_changed_byte_anywhere_is_found(tmp_path, where):
    save_base(tmp_path / "base", base_of("Flat")[0], HEADER)
    content = bytearray((tmp_path / "base").read_bytes())
    content[where] ^= 1
    (tmp_path / "base").write_bytes(content)
    with pytest.raises(BaseFileError, match="its checksum does not match: it is damaged"):
        load_base(tmp_path / "base")


@pytest.mark.parametrize("size", [0, 1, 31, 32, 33, 500, 2_000])
def test_a_file_that_was_cut_off_is_found(tmp_path, size):
    save_base(tmp_path / "base", base_of("Flat")[0], HEADER)
    os.truncate(tmp_path / "base", size)
    with pytest.raises(BaseFileError, match=r"cut off|checksum"):
        load_base(tmp_path / "base")


def test_a_file_of_another_format_is_named(tmp_path, monkeypatch):
    monkeypatch.setattr(base_file, "FORMAT_VERSION", 2)
    save_base(tmp_path / "base", base_of("Flat")[0], HEADER)
    monkeypatch.setattr(base_file, "FORMAT_VERSION", 1)
    with pytest.raises(BaseFileError, match="its format is 2, this server reads 1"):
        load_base(tmp_path / "base")


def test_a_save_that_fails_leaves_the_file_before_it(tmp_path, monkeypatch):
    save_base(tmp_path / "base", base_of("Flat")[0], HEADER)

    def full(descriptor):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="No space left"):
        save_base(tmp_path / "base", base_of("HNSW8")[0], HEADER)
    assert load_base(tmp_path / "base")[0].kind.factory == "Flat"
    assert [file.name for file in tmp_path.iterdir()] == ["base"]


def test_the_file_and_its_name_are_synced_in_this_order(tmp_path, monkeypatch):
    synced = []
    monkeypatch.setattr(
        os, "fsync", lambda fd: synced.append(Path(f"/proc/self/fd/{fd}").readlink().name)
    )
    save_base(tmp_path / "base", base_of("Flat")[0], HEADER)
    assert synced == ["base.new", tmp_path.name]
