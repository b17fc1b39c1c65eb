"""Files as they are become documents that can be found, and what does not is named."""

import os
from pathlib import Path

import pytest

from .command_line import answer, invoke

CHECKOUT = Path(__file__).parents[2]
DOCS = Path("/usr/share/doc")


@pytest.fixture
def found(server):
    """The ids of the hits of a search."""

    def search(collection, query):
        hits = answer("search", collection, query, "--target", server.target)["hits"]
        return [hit["id"] for hit in hits]

    return search


def test_of_a_folder_with_odd_files_the_others_are_found(server, tmp_path, found):
    write = {
        "tea.md": b"---\ntitle: Tea\ntags: [hot]\n---\nWater just off the boil.\n",
        "x.md/bees.md": b"Bees\n====\n\nThey dance to tell where the flowers are.\n",
        "sky.html": b"<title>Sky</title><nav>Menu</nav><p>Air scatters blue light &amp; violet.",
        "iron.rst": b"Iron\n----\n\nRust is an oxide of iron.\n",
        "README": b"Whales are mammals and breathe air.\n",
        "nul.txt": b"A volcano\0is where magma reaches the surface of the earth.\n",
        "latin.txt": b"caf\xe9\n",
        "program": b"\x7fELF\0\0\0",
        "empty.txt": b"",
        ".git/HEAD": b"ref: refs/heads/main\n",
        "node_modules/x/README.md": b"# Never\n",
        "rows.jsonl": b"{}\n",
        "cut.txt.gz": b"\x1f\x8b\x08\0\0\0\0\0\0\xff\x01",
    }
    for name, content in write.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    (tmp_path / "gone.md").symlink_to("nowhere.md")
    (tmp_path / "up").symlink_to(tmp_path)  # a circle: what it leads to is read anyway
    (tmp_path / "outside").symlink_to("/usr")
    os.mkfifo(tmp_path / "pipe.md")
    told = answer("index", "odd-files", str(tmp_path), "--target", server.target)
    assert told["num_documents"] == told["num_inserted"] == 6
    assert {
        item["where"].removeprefix(f"{tmp_path}/"): item["kind"] for item in told["left_out"]
    } == {
        "nul.txt": "files with NUL characters",
        "latin.txt:1": "files of other encodings",
        "program": "binary files",
        "empty.txt": "empty files",
        ".git": "hidden folders",
        "node_modules": "folders called node_modules",
        "cut.txt.gz": "damaged gzip files",
        "gone.md": "links to nothing",
        "outside": "links to folders",
        "pipe.md": "pipes, sockets and devices",
    }
    assert told["num_other_files"] == {".jsonl": 1}
    for query, name in {
        "how hot should water be": "tea.md",
        "insects that dance": "x.md/bees.md",
        "why is the sky blue": "sky.html",
        "what is rust": "iron.rst",
        "animals in the sea that breathe": "README",
        "magma and lava": "nul.txt",
    }.items():
        assert found("odd-files", query)[0] == name


def test_what_a_pipe_brings_is_indexed(server, found):
    rows = "key;body\nsky;Air scatters blue light.\nbees;Bees dance.\n"
    flags = ("--format", "csv", "--id-field", "key", "--text-field", "body")
    told = answer("index", "piped", "-", *flags, "--target", server.target, stdin=rows)
    assert told["num_inserted"] == 2
    assert found("piped", "blue light")[0] == "sky"
    untold = invoke("index", "piped", "-", "--target", server.target, stdin=rows)
    assert untold.exit_code == 1
    assert "its --format must be told: one of jsonl, csv" in " ".join(untold.stderr.split())


def test_a_checkout_is_indexed_and_found(server, found):
    include = ("--include", "server/*/__init__.py", "--include", "commands/sources/*/__init__.py")
    told = answer("index", "checkout", str(CHECKOUT), *include, "--target", server.target)
    assert told["num_inserted"] > 5
    assert told["num_left_out_by_kind"].get("hidden folders", 0) >= 1
    assert told["num_other_files"][".md"] > 5
    assert found("checkout", "one reader a format: the records of a file")[0] == (
        "commands/sources/readers/__init__.py"
    )


@pytest.mark.skipif(not DOCS.is_dir(), reason="there is no /usr/share/doc")
def test_documentation_of_the_machine_is_indexed_and_found(server):
    flags = ("--include", "bas*/copyright", "--include", "base-*/README*")
    target = ("--target", server.target)
    told = answer("index", "machine", str(DOCS), *flags, *target)
    assert told["num_inserted"] > 0
    assert told["num_other_files"]
    (first,) = answer("search", "machine", "copyright", "--top-n", "1", *target)["hits"]
    assert first["id"] in {path.relative_to(DOCS).as_posix() for path in DOCS.glob("bas*/*")}
