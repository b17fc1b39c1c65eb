"""What is cut into pieces is joined again by a shell, whatever of it has come so far."""

import hashlib
import os
import random
import subprocess

import pytest
import typer
from typer.testing import CliRunner

from twopass.benchmarks.gpu.packing import JOIN, PackingError, bytes_of, main, pack


def tree(folder):
    return {str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()}


def join(pieces, into):
    return subprocess.run(
        ("sh", str(pieces / JOIN), str(into)), capture_output=True, encoding="utf-8", cwd="/"
    )


@pytest.fixture
def wheels(tmp_path):
    drawn = random.Random(1)
    folder = tmp_path / "wheels"
    (folder / "deep" / "er").mkdir(parents=True)
    (folder / "empty").write_bytes(b"")
    (folder / "a small one.whl").write_bytes(drawn.randbytes(10))
    (folder / 'b\'quoted $x \\ "y".whl').write_bytes(drawn.randbytes(999))
    (folder / "deep" / "er" / "c.whl").write_bytes(drawn.randbytes(2_500))
    script = folder / "run"
    script.write_text("#!/bin/sh\n")
    script.chmod(0o755)
    return folder


@pytest.mark.parametrize("most", [1_000, 999, 3_510, 4_000, 10_000])
def test_what_is_packed_is_joined_again_and_no_piece_is_too_large(wheels, tmp_path, most):
    out, into = tmp_path / "pieces", tmp_path / "there" / "again"
    pack([wheels], out, most)
    total = sum(len(data) for data in tree(wheels).values())
    pieces = sorted(out.glob("piece-*"))
    assert len(pieces) == -(-total // most)
    assert all(piece.stat().st_size <= most for piece in pieces)
    ran = join(out, into)
    assert ran.returncode == 0, ran.stderr
    assert tree(into / "wheels") == tree(wheels)
    assert os.access(into / "wheels" / "run", os.X_OK)
    assert not os.access(into / "wheels" / "empty", os.X_OK)


def test_what_is_given_first_is_in_the_first_pieces(tmp_path):
    for name in ("large", "first"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_bytes(name.encode() * 100)
    packed = pack([tmp_path / "first", tmp_path / "large"], tmp_path / "out", 400)
    assert [each.name for each in packed] == ["first/file", "large/file"]
    assert {part.piece for part in packed[0].parts} == {0, 1}


def test_files_whose_pieces_are_there_are_joined_and_the_rest_once_theirs_have_come(
    wheels, tmp_path
):
    out, into = tmp_path / "pieces", tmp_path / "into"
    pack([wheels], out, 1_000)
    last = sorted(out.glob("piece-*"))[-1]
    held = last.read_bytes()
    last.unlink()
    ran = join(out, into)
    assert ran.returncode == 3
    assert f"missing: {last.name}" in ran.stderr
    assert 0 < len(tree(into)) < len(tree(wheels))
    assert tree(into / "wheels").items() <= tree(wheels).items()
    last.write_bytes(held)
    assert join(out, into).returncode == 0
    assert tree(into / "wheels") == tree(wheels)


def test_a_damaged_piece_is_named_and_nothing_is_made_of_it(wheels, tmp_path):
    out, into = tmp_path / "pieces", tmp_path / "into"
    pack([wheels], out, 1_000)
    piece = out / "piece-2"
    piece.write_bytes(bytes(len(piece.read_bytes())))
    ran = join(out, into)
    assert ran.returncode == 3
    assert "piece-2: damaged, send it again" in ran.stderr
    assert tree(into / "wheels").items() <= tree(wheels).items()
    assert not list(into.rglob("*.partial"))


def test_single_files_and_links_are_packed_as_what_they_are(tmp_path):
    real = tmp_path / "real"
    real.mkdir()
    (real / "weights").write_bytes(b"weights")
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "link").symlink_to(real / "weights")
    (tmp_path / "model" / "folder").symlink_to(real)
    single = tmp_path / "tree.tgz"
    single.write_bytes(b"a tree")
    pack([single, tmp_path / "model"], tmp_path / "out", 100)
    assert join(tmp_path / "out", tmp_path / "into").returncode == 0
    assert tree(tmp_path / "into") == {
        "tree.tgz": b"a tree",
        "model/link": b"weights",
        "model/folder/weights": b"weights",
    }


def test_sums_are_those_of_the_bytes(wheels, tmp_path):
    packed = pack([wheels], tmp_path / "out", 500)
    for each in packed:
        assert each.sha256 == hashlib.sha256(each.source.read_bytes()).hexdigest()
        assert sum(part.size for part in each.parts) == each.source.stat().st_size


def test_folders_that_would_overwrite_each_other_are_refused(wheels, tmp_path):
    other = tmp_path / "other" / "wheels"
    other.mkdir(parents=True)
    (other / "run").write_text("another")
    with pytest.raises(PackingError, match="wheels/run: two of the files"):
        pack([wheels, other], tmp_path / "out", 1_000)


def test_a_folder_that_is_not_empty_a_size_of_none_and_a_name_of_two_lines_are_refused(
    wheels, tmp_path
):
    with pytest.raises(PackingError, match="not empty"):
        pack([wheels], wheels, 1_000)
    with pytest.raises(PackingError, match="0 bytes given, at least 1"):
        pack([wheels], tmp_path / "out", 0)
    (wheels / "two\nlines").write_text("x")
    with pytest.raises(PackingError, match="can't be written into a script"):
        pack([wheels], tmp_path / "out", 1_000)


@pytest.mark.parametrize(
    ("words", "expected"),
    [("1000", 1_000), ("60MB", 60_000_000), ("64 MiB", 67_108_864), ("2k", 2_000), ("1G", 10**9)],
)
def test_sizes_are_read_as_people_write_them(words, expected):
    assert bytes_of(words) == expected


def test_the_command_tells_what_is_in_which_piece(wheels, tmp_path):
    app = typer.Typer()
    app.command()(main)
    out = tmp_path / "out"
    said = CliRunner().invoke(app, [str(wheels), "--out", str(out), "--most", "3000"])
    assert said.exit_code == 0, said.output
    assert "piece-1          3,000" in said.output
    assert f"{JOIN}  there: sh {JOIN} INTO" in said.output
    wrong = CliRunner().invoke(app, [str(wheels), "--out", str(out), "--most", "much"])
    assert wrong.exit_code == 1
