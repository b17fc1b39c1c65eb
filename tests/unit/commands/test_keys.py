import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from twopass.commands.main import app
from twopass.server.edge.keys import KeyRing, read_keys


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


def test_a_file_that_is_malformed_is_left_alone(tmp_path: Path):
    file = tmp_path / "keys.toml"
    file.write_text("keys = 3")
    assert run("web", "-f", str(file)).exit_code == 1
    assert file.read_text() == "keys = 3"
