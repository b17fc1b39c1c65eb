"""What commands print on terminals and in pipes, of ordinary documents and of hostile ones."""

import json
import re
from pathlib import Path

import pytest
from rich.cells import cell_len

from twopass.client import Client, Document

from .corpus import ENCODER, RERANKER
from .serving import Server
from .terminals import in_pipes, on_terminal, without_styles

COLUMNS = pytest.mark.parametrize("columns", [60, 80, 200])

TITLE = "\x1b]0;owned\x07\x1b[2J\x1b[31;45mred"
# The C1 forms, a delete, a next line and an override of the direction of writing.
TEXT = "a plain sky \x9b31;45m\x7f\x85\u202e and \x1b[1Aup, [bold]no markup[/bold] [/] of blue"
KEY = "key\x1b[5m"
# What a terminal would obey. Commands style what they print, by other sequences.
OBEYED = ("\x1b]", "\x07", "\x7f", "\x85", "\x9b", "\u202e", "\x1b[2J", "\x1b[31;45m", "\x1b[5m")
# Of these, ids may hold overrides of the direction of writing alone.
IDENTIFIER = "id\u202e-turned"
NAME = "no\x1b[2Jname"


@pytest.fixture(scope="module")
def hostile(server: Server, tmp_path_factory) -> Path:
    """A file of documents that hold what terminals obey, and a collection of them."""
    file: Path = tmp_path_factory.mktemp("hostile") / "hostile\x1b[2J.jsonl"
    records = [
        {"id": f"{number}{IDENTIFIER}", "title": TITLE, "text": TEXT, KEY: [TEXT], "n": number}
        for number in range(3)
    ]
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    with Client(server.target) as client:
        client.create_collection("hostile")
        document = Document(IDENTIFIER, TEXT, title=TITLE, metadata={KEY: {KEY: TEXT}, "n": 3})
        client.upsert("hostile", [document])
    return file


def _commands(file: Path) -> list[list[str]]:
    """Every command that prints what documents, files, servers or people wrote."""
    output = str(file.with_suffix(".out.jsonl"))
    passages = file.with_name("passages\x1b[2J.txt")
    passages.write_text(f"{TEXT}\n{TITLE}\n")
    broken = file.with_name("broken\x07.jsonl")
    broken.write_text(json.dumps({"id": TITLE, "text": [TEXT]}) + "\n" + TEXT + "\n")
    return [
        ["index", "hostile", str(file)],
        ["index", "hostile", str(broken), "--on-error", "skip"],
        ["index", "hostile", str(broken), "--on-error", "stop"],
        ["index", "hostile", str(file.with_name("missing\x07.jsonl"))],
        ["search", "hostile", "blue sky"],
        ["search", "hostile", "blue sky", "--no-rerank", "--json"],
        ["search", "hostile", "blue sky", "--mode", "lexical", "--filter", "n=99"],
        ["search", "hostile", TITLE, "--filter", f"{TITLE}=<"],
        ["search", NAME, "blue sky"],
        ["search", "hostile", "blue sky", "--mode", NAME],
        ["search", "hostile", "blue sky", f"--{NAME}"],
        [NAME],
        ["get", "hostile", IDENTIFIER],
        ["get", "hostile", IDENTIFIER, "--json"],
        ["get", "hostile", TITLE],
        ["rerank", "blue sky", str(passages)],
        ["rerank", "blue sky", str(passages), "--json"],
        ["rerank", "blue sky", str(file.with_name("missing\x07.txt"))],
        ["collections", "list"],
        ["collections", "show", "hostile"],
        ["collections", "show", NAME],
        ["collections", "facets", "hostile", KEY],
        ["collections", "facets", "hostile", KEY, "--json"],
        ["collections", "create", NAME],
        ["alias", NAME, "hostile"],
        ["snapshot", "create", "hostile", NAME],
        ["snapshot", "list", NAME],
        ["models"],
        ["models", "check", str(file.with_name(NAME))],
        ["models", "recommend", "--kind", NAME],
        ["info"],
        ["recall", "hostile", "-k", "1", "--queries", "2"],
        ["export", "hostile", output],
        ["export", "hostile", output],
        ["keys", NAME, "--file", str(file.with_name("keys\x07.toml"))],
        ["keys", NAME, "--file", str(file.with_name("keys\x07.toml"))],
        ["compare", str(file.with_name("missing\x07.json"))],
        ["eval", str(file.with_name("missing\x07"))],
        ["bench", NAME, "--seconds", "0.1"],
        ["train", str(file.with_name("missing\x07")), "--out", str(file.with_name(NAME))],
        ["serve", "--address", NAME, "--show-config"],
        ["serve", "--config", str(file.with_name("missing\x07.toml"))],
        ["update", "hostile", IDENTIFIER, "--set", f"{KEY}={TITLE}", "--unset", NAME],
        ["update", NAME, IDENTIFIER, "--set", f"{TITLE}=1"],
        ["collections", "count", "hostile", "--filter", f"{TITLE}=1"],
        ["collections", "rename", "hostile", NAME],
        ["collections", "delete", NAME, "--yes"],
        ["delete", "hostile", NAME, "--yes"],
    ]


@COLUMNS
def test_no_terminal_gets_what_documents_files_and_servers_would_have_it_obey(
    server, hostile, columns, tmp_path
):
    for stale in hostile.parent.glob("*.out.jsonl"):
        stale.unlink()
    for stale in hostile.parent.glob("keys*"):
        stale.unlink()
    commands = _commands(hostile)
    environment = {"TWOPASS_TARGET": server.target, "HOME": str(tmp_path)}
    ended = on_terminal(columns, commands, environment)
    assert len(ended) == len(commands)
    for command, (shown, _) in zip(commands, ended, strict=True):
        obeyed = [sequence for sequence in OBEYED if sequence in shown]
        assert not obeyed, (command, shown)
        assert "Traceback" not in shown, command
    by_command = {
        tuple(command): shown for command, (shown, _) in zip(commands, ended, strict=True)
    }
    searched = without_styles(by_command["search", "hostile", "blue sky"])
    assert r"\x1b]0;owned\x07\x1b[2J\x1b[31;45mred" in " ".join(searched.split())
    assert "[bold]no markup[/bold] [/]" in " ".join(searched.split())


def test_no_pipe_gets_raw_control_characters_and_json_is_one_document(server, hostile, tmp_path):
    environment = {"TWOPASS_TARGET": server.target, "HOME": str(tmp_path)}
    as_json = [
        ["index", "hostile", str(hostile), "--json"],
        ["search", "hostile", "blue sky", "--json"],
        ["get", "hostile", IDENTIFIER, "--json"],
        ["rerank", "blue sky", str(hostile), "--json"],
        ["collections", "list", "--json"],
        ["collections", "show", "hostile", "--json"],
        ["collections", "facets", "hostile", KEY, "--json"],
        ["collections", "count", "hostile", "--json"],
        ["update", "hostile", IDENTIFIER, "--set", "n=4", "--json"],
        ["alias", "--json"],
        ["snapshot", "list", "hostile", "--json"],
        ["models", "--json"],
        ["models", "recommend", "--json"],
        ["models", "check", RERANKER, "--json"],
        ["info", "--json"],
        ["recall", "hostile", "-k", "1", "--queries", "2", "--json"],
        ["export", "hostile", str(tmp_path / "out.jsonl"), "--json"],
    ]
    for command, (shown, status) in zip(as_json, in_pipes(as_json, environment), strict=True):
        assert status == 0, command
        json.loads(shown)
        assert not set(shown) - {"\n"} & {chr(code) for code in (*range(32), *range(127, 160))}
        assert "\u202e" not in shown, command


@COLUMNS
def test_tables_fit_a_terminal_and_nothing_in_them_is_cut(server, facts, columns):
    commands = [
        ["search", facts, "blue sky", "-n", "3"],
        ["models"],
        ["info"],
        ["collections", "list"],
        ["models", "recommend"],
        ["models", "check", RERANKER],
    ]
    ended = on_terminal(columns, commands, {"TWOPASS_TARGET": server.target})
    for command, (shown, status) in zip(commands, ended, strict=True):
        assert status == 0, shown
        lines = without_styles(shown).splitlines()
        longest = max(lines, key=cell_len)
        # A word that is longer than the terminal, as a revision is, is left for it to break.
        assert cell_len(longest) <= columns or len(longest.split()) <= 2, (command, longest)
        if command[0] != "search":  # which shows an excerpt of a long text
            assert "…" not in shown
    models = without_styles(ended[1][0])
    for whole in (ENCODER, RERANKER, "reranker", "int8", "revision"):
        assert whole in models


def test_a_row_in_a_pipe_is_a_line(server, facts):
    commands = [["search", facts, "blue sky", "-n", "3"], ["models"], ["collections", "list"]]
    for environment in ({}, {"COLUMNS": "60"}, {"TERM": "dumb"}):
        searched, models, listed = (
            shown
            for shown, _ in in_pipes(commands, {"TWOPASS_TARGET": server.target, **environment})
        )
        head, *hits = searched.splitlines()[:4]
        assert "blended" in head
        assert [hit.split()[0] for hit in hits] == ["1", "2", "3"]
        assert len(models.splitlines()) == 3
        assert sum(line.startswith(facts) for line in listed.splitlines()) == 1
        assert "\x1b" not in searched + models + listed


@pytest.mark.parametrize(
    ("environment", "is_coloured"),
    [({}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False)],
)
def test_colours_follow_the_terminal_and_the_environment(server, environment, is_coloured):
    ((shown, _),) = on_terminal(
        80, [["search", "--help"]], {"TWOPASS_TARGET": server.target, **environment}
    )
    assert bool(re.search(r"\x1b\[[0-9;]*3[0-7]", shown)) == is_coloured


@pytest.mark.parametrize("environment", [{"COLUMNS": "60"}, {"COLUMNS": "60", "TERM": "dumb"}])
def test_columns_wins_over_what_the_terminal_says(server, environment):
    commands = [["serve", "--help"], ["models"]]
    for shown, _ in on_terminal(200, commands, {"TWOPASS_TARGET": server.target, **environment}):
        assert max(cell_len(line) for line in without_styles(shown).splitlines()) <= 60


@COLUMNS
def test_help_on_a_terminal_is_whole(columns):
    commands = [[name, "--help"] for name in ("keys", "serve", "search", "index", "collections")]
    ended = on_terminal(columns, commands, {})
    for shown, status in ended:
        assert status == 0
        lines = without_styles(shown).splitlines()
        assert max(map(cell_len, lines)) <= columns
    words = [" ".join(without_styles(shown).split()) for shown, _ in ended]
    assert "field=[a, list]" in words[2]
    assert "--keepalive-timeout-seconds <number, above 0>" in words[1]
    assert "TWOPASS_TARGET" in words[2]
