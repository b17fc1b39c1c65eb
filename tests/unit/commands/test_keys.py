import errno
import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twopass.commands.key_file import add_key
from twopass.commands.main import app
from twopass.server.edge.keys import ApiKey, KeyRing, read_keys


def run(*arguments: str):
    return CliRunner().invoke(app, ["keys", *arguments])


def test_a_key_is_printed_once_and_its_hash_is_added(tmp_path: Path):
    file = tmp_path / "keys.toml"
    first = run("web", "-f", str(file), "-c", "docs*", "--max-calls", "3")
    second = run("job", "-f", str(file), "--calls-per-second", "2.5")
    assert first.exit_code == second.exit_code == 0
    web, job = read_keys(file)
    assert (web.name, web.collections, web.max_calls) == ("web", ("docs*",), 3)
    assert (job.name, job.collections, job.calls_per_second) == ("job", ("*",), 2.5)
    ring = KeyRing(file)
    assert ring.find(first.stdout.strip()) == web
    assert ring.find(second.stdout.strip()) == job
    assert first.stdout.strip() not in file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_in_a_terminal_it_is_said_where_the_key_is_known_and_how_it_is_used(tmp_path, monkeypatch):
    file = tmp_path / "keys.toml"
    assert run("script", "-f", str(file)).stderr == ""
    monkeypatch.setattr("twopass.commands.keys.is_terminal", lambda _: True)
    made = run("web", "-f", str(file))
    assert made.stdout.startswith("tp_")
    assert len(made.stdout.split()) == 1
    assert f"The key of web, shown only now; {file} holds its hash." in made.stderr
    assert f"serve --keys {file}\n" in made.stderr
    assert "export TWOPASS_API_KEY=tp_…\n" in made.stderr


def test_a_name_that_is_taken_or_none_is_refused(tmp_path: Path):
    file = tmp_path / "keys.toml"
    assert run("web", "-f", str(file)).exit_code == 0
    before = file.read_text()
    for name in ("web", "two words", ""):
        refused = run(name, "-f", str(file))
        assert refused.exit_code == 1
        assert "name: " in refused.stderr
    assert file.read_text() == before


OTHER = f'name = "other"\nsha256 = "{"0" * 64}"'


@pytest.mark.parametrize(
    "before",
    [
        f"[[keys]]\n{OTHER}",
        f"# whose keys\n\n[[keys]]\n{OTHER}  # the other's\n\n\n",
        f"[[keys]]\n{OTHER}\n# the end",
        f"keys = [{{{OTHER.replace(chr(10), ', ')}}}]",
    ],
    ids=["no final newline", "comments", "comment at the end", "inline tables"],
)
def test_what_is_in_the_file_stays_as_it_is(tmp_path: Path, before: str):
    file = tmp_path / "keys.toml"
    file.write_text(before)
    file.chmod(0o640)
    assert run("web", "-f", str(file), "-c", "docs*").exit_code == 0
    assert file.read_text().startswith(before.rstrip("]\n"))
    assert [key.name for key in read_keys(file)] == ["other", "web"]
    assert stat.S_IMODE(file.stat().st_mode) == 0o640


@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("end", ["\n", "\r\n"], ids=["LF", "CRLF"])
@pytest.mark.parametrize("last", ["", "\n"], ids=["no final newline", "final newline"])
def test_line_ends_and_the_mark_of_an_editor_stay(tmp_path: Path, mark: str, end: str, last: str):
    file = tmp_path / "keys.toml"
    before = f"{mark}# whose\n[[keys]]\n{OTHER}{last}".replace("\n", end)
    file.write_bytes(before.encode())
    assert run("web", "-f", str(file)).exit_code == 0
    after = file.read_bytes().decode()
    assert after.startswith(before)
    assert after.count("\n") == after.count(end)
    assert after.endswith(end)
    assert [key.name for key in read_keys(file)] == ["other", "web"]


@pytest.mark.parametrize(
    ("before", "told"),
    [
        ("keys = 3", "keys: a file of keys holds tables"),
        ("[[keys]]\nname: x\n", "it is not TOML"),
        ("Dear reader,\n", "it is not TOML"),
        (f"[[keys]]\n{OTHER}\nrole = 'owner'\n", "line 4: key 'other': role: 'owner' given"),
    ],
)
def test_a_file_that_is_wrong_is_left_alone(tmp_path: Path, before: str, told: str):
    file = tmp_path / "keys.toml"
    file.write_text(before)
    refused = run("web", "-f", str(file))
    assert refused.exit_code == 1
    assert told in " ".join(refused.stderr.split())
    assert file.read_text() == before
    assert refused.stdout == ""


def test_a_link_stays_one_and_the_file_it_leads_to_has_the_key(tmp_path: Path):
    (tmp_path / "secrets").mkdir()
    real, link = tmp_path / "secrets" / "real.toml", tmp_path / "keys.toml"
    link.symlink_to(real)
    assert run("web", "-f", str(link)).exit_code == 0  # also where it leads to nothing yet
    assert run("job", "-f", str(link)).exit_code == 0
    assert link.is_symlink()
    assert [key.name for key in read_keys(real)] == ["web", "job"]


def test_a_file_with_several_links_keeps_them(tmp_path: Path):
    file, other = tmp_path / "keys.toml", tmp_path / "other.toml"
    assert run("web", "-f", str(file)).exit_code == 0
    os.link(file, other)
    assert run("job", "-f", str(file)).exit_code == 0
    assert file.samefile(other)
    assert [key.name for key in read_keys(other)] == ["web", "job"]


@pytest.mark.parametrize("fails", ["fsync", "replace"])
def test_a_crash_while_it_writes_loses_no_key(tmp_path: Path, monkeypatch, fails: str):
    file = tmp_path / "keys.toml"
    assert run("web", "-f", str(file)).exit_code == 0
    before = file.read_bytes()

    def crash(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(*((os, "fsync") if fails == "fsync" else (Path, "replace")), crash)
    assert run("job", "-f", str(file)).exit_code != 0
    assert file.read_bytes() == before
    assert [each.name for each in tmp_path.iterdir()] == ["keys.toml"]


@pytest.mark.parametrize("number", [errno.EBUSY, errno.EPERM])
def test_a_file_that_nothing_can_take_the_place_of_is_written_in_place(
    tmp_path: Path, monkeypatch, number: int
):
    file = tmp_path / "keys.toml"
    assert run("web", "-f", str(file)).exit_code == 0
    inode = file.stat().st_ino

    def refuse(*arguments: object) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(Path, "replace", refuse)
    assert run("job", "-f", str(file)).exit_code == 0
    assert file.stat().st_ino == inode
    assert [key.name for key in read_keys(file)] == ["web", "job"]
    assert [each.name for each in tmp_path.iterdir()] == ["keys.toml"]


def test_a_file_that_may_not_be_written_is_told_and_no_key_is_printed(tmp_path: Path, monkeypatch):
    file = tmp_path / "keys.toml"
    assert run("web", "-f", str(file)).exit_code == 0
    monkeypatch.setattr(os, "access", lambda _, mode: mode != os.W_OK)  # as for others than root
    refused = run("job", "-f", str(file))
    assert refused.exit_code == 1
    told = " ".join(refused.stderr.split())
    assert f"--file {file}: Permission denied; nothing was changed, and no key was made" in told
    assert refused.stdout == ""
    assert [key.name for key in read_keys(file)] == ["web"]


def test_a_folder_that_is_missing_is_told(tmp_path: Path):
    refused = run("web", "-f", str(tmp_path / "none" / "keys.toml"))
    assert refused.exit_code == 1
    assert "No such file or directory" in refused.stderr


def test_keys_that_are_made_at_once_are_all_there(tmp_path: Path):
    file = tmp_path / "keys.toml"
    names = [f"key-{n}" for n in range(8)]

    def add(name: str) -> None:
        add_key(file, ApiKey(name=name, sha256="0" * 64))

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(add, names))
    assert sorted(key.name for key in read_keys(file)) == names


def test_its_help_says_what_is_taken_where_no_collection_is_named():
    assert "all if unset" in " ".join(run("--help").stdout.split())
