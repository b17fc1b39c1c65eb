"""What goes into collections and out of them by the command line: formats, resuming."""

import json
import os
import signal
import subprocess
import sys
import time

import pytest

from twopass.client import Client, Document, Schema

from .command_line import answer, invoke
from .serving import server_process


def test_csv_and_a_folder_are_indexed_by_their_own_names(server, tmp_path):
    (tmp_path / "facts.csv").write_text(
        "key,body,year\nsky,Air scatters blue light.,1871\nbees,Bees dance.,1927\n"
    )
    notes = tmp_path / "notes"
    notes.mkdir()
    (notes / "tea.md").write_text("# Tea\n\nWater just off the boil.")
    target = ("--target", server.target)
    mapping = ("--id-field", "key", "--text-field", "body", "--number-field", "year")
    told = answer("index", "from-csv", str(tmp_path / "facts.csv"), *mapping, *target)
    assert told["num_inserted"] == 2
    told = answer("index", "from-csv", str(notes), *target)
    assert told["num_documents"] == 3
    hits = answer("search", "from-csv", "blue light", *target)["hits"]
    assert (hits[0]["id"], hits[0]["metadata"]) == ("sky", {"year": 1871})
    hits = answer("search", "from-csv", "how to make tea", *target)["hits"]
    assert (hits[0]["id"], hits[0]["title"]) == ("tea.md", "Tea")


def test_an_export_leaves_other_files_alone(server, tmp_path, facts):
    target = ("--target", server.target)
    output = tmp_path / "facts.jsonl"
    answer("export", facts, str(output), *target)
    again = invoke("export", facts, str(output), *target)
    assert again.exit_code == 1
    assert "there is such a file already" in again.stderr
    other = invoke("export", facts, str(tmp_path / "out.txt"), *target)
    assert "of no known format" in " ".join(other.stderr.split())
    assert [file.name for file in tmp_path.iterdir()] == ["facts.jsonl"]


def test_an_interrupted_run_goes_on_where_it_was(server, tmp_path):
    target = ("--target", server.target)
    file, resume = tmp_path / "many.jsonl", tmp_path / "resume.json"
    lines = [json.dumps({"id": f"d{n}", "text": "x", "vector": [n, 1]}) for n in range(1_000)]
    # Line 900 is a mistake, mended below without changing when or how large the file is.
    file.write_text("\n".join([*lines[:900], "!" + lines[900][1:], *lines[901:]]))
    stamp = file.stat()
    flags = ("--vector-field", "vector", "--chunk-size", "100", "--resume", str(resume), *target)
    first = invoke("index", "resumed", str(file), *flags)
    assert first.exit_code == 1
    assert "many.jsonl:901: not JSON" in " ".join(first.stderr.split())
    done = json.loads(resume.read_text())["num_done"]
    assert 100 <= done <= 900
    file.write_text("\n".join(lines))
    os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    second = answer("index", "resumed", str(file), *flags)
    # What was on disk but not yet noted when the first run ended is sent, and replaced, again.
    assert done + second["num_inserted"] + second["num_replaced"] == 1_000
    assert second["num_documents"] == 1_000
    assert not resume.exists()


def lines_of(documents):
    return "".join(json.dumps(document, ensure_ascii=False) + "\n" for document in documents)


ODD = [
    ('{"id": "list", "text": ["x"]}', "field 'text' holds a list of 1", "texts that can't be used"),
    ("not json", "not JSON", "lines that are not JSON"),
    ('{"id": "body", "body": "x"}', "--text-field names", "records without a text"),
    ('{"text": "x"}', "--id-field names", "records without an id"),
    ('{"id": "nan", "text": "x", "n": NaN}', "'n' holds nan", "metadata that can't be used"),
    (
        json.dumps({"id": "large", "text": "x", "m": "é" * 35_000}, ensure_ascii=False),
        "metadata: 70,008 bytes as JSON given, at most 65,536",
        "documents that the server refused",
    ),
    (
        json.dumps({"id": "long", "text": "word " * 60_000}),
        "300,000 bytes of UTF-8, the server takes at most 262,144",
        "texts that are too long",
    ),
]


@pytest.mark.parametrize(("line", "said", "kind"), ODD, ids=[kind for _, _, kind in ODD])
def test_what_can_not_be_indexed_stops_by_name_or_is_skipped_and_counted(
    server, tmp_path, line, said, kind
):
    target = ("--target", server.target)
    file = tmp_path / "odd.jsonl"
    good = [{"id": f"good {n}", "text": "x"} for n in range(20)]
    file.write_text(lines_of(good[:10]) + line + "\n" + lines_of(good[10:]))
    name = f"odd-{ODD.index((line, said, kind))}"

    stopped = invoke("index", name, str(file), *target)
    assert stopped.exit_code == 1
    assert f"{file}:11: " in stopped.stderr.replace("\n", "")
    assert said in " ".join(stopped.stderr.split())
    assert "--on-error skip goes on" in stopped.stderr
    with Client(server.target) as client:
        assert {d.id for d in client.documents(name)} == {d["id"] for d in good[:10]}

    told = answer("index", name, str(file), "--on-error", "skip", *target)
    assert (told["num_inserted"], told["num_replaced"]) == (10, 10)
    assert told["num_left_out_by_kind"] == {kind: 1}
    (left_out,) = told["left_out"]
    assert left_out["where"] == f"{file}:11"
    assert said in left_out["reason"]
    with Client(server.target) as client:
        assert {d.id for d in client.documents(name)} == {d["id"] for d in good}
        client.delete_collection(name)


def test_a_run_that_its_first_record_stops_makes_no_collection(server, tmp_path):
    file = tmp_path / "odd.jsonl"
    for first in ('{"id": "a", "body": "x"}', "not json"):
        file.write_text(first + "\n" + lines_of([{"id": "b", "text": "x"}]))
        assert invoke("index", "never", str(file), "--target", server.target).exit_code == 1
    assert invoke("index", "never", "missing.jsonl", "--target", server.target).exit_code == 1
    with Client(server.target) as client:
        assert "never" not in {collection.name for collection in client.list_collections()}


@pytest.mark.parametrize("refused", [{0}, {299}, {5, 6, 7}, {0, 50, 100, 299}, set(range(299))])
def test_all_but_what_the_server_refuses_is_written_and_a_resumed_run_counts_right(
    server, tmp_path, refused
):
    file, resume = tmp_path / "many.jsonl", tmp_path / "state"
    large = "é" * 35_000  # metadata of 70 KB: only the server counts its bytes
    documents = [
        {"id": f"d{n}", "text": "x", "m": large * (n in refused), "vector": [n, 1]}
        for n in range(300)
    ]
    # The last line breaks the first run, so that the second has something to resume.
    file.write_text(lines_of(documents)[:-2] + "!\n")
    stamp = file.stat()
    flags = ("--vector-field", "vector", "--chunk-size", "20", "--target", server.target)
    skip = ("--on-error", "skip", "--resume", str(resume))
    with Client(server.target) as client:
        client.create_collection("refusing", Schema(client_vectors=True, dimension=2))
        try:
            told = json.loads(
                invoke("index", "refusing", str(file), *flags, *skip, "--json").stdout
            )
            expected = {f"d{n}" for n in range(299)} - {f"d{n}" for n in refused}
            assert {d.id for d in client.documents("refusing")} == expected
            assert told["num_inserted"] == len(expected)
            by_server = [item["where"] for item in told["left_out"] if "server" in item["kind"]]
            assert by_server == [f"{file}:{n + 1}" for n in sorted(refused - {299})]
            assert not resume.exists()

            stopped = invoke("index", "refusing", str(file), *flags, "--resume", str(resume))
            assert stopped.exit_code == 1
            first = min(refused)
            assert f"{file}:{first + 1}: " in stopped.stderr.replace("\n", "")
            if first:
                assert json.loads(resume.read_text())["num_done"] == first
            file.write_text(lines_of(documents))
            os.utime(file, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
            told = answer("index", "refusing", str(file), *flags, *skip)
            assert told["num_resumed"] == first
            assert told["num_resumed"] + told["num_replaced"] + told["num_inserted"] == 300 - len(
                refused
            )
            assert told["num_left_out"] == len(refused)
        finally:
            client.delete_collection("refusing")


def test_a_file_of_a_folder_that_can_be_no_document_is_left_out_by_name(server, tmp_path):
    (tmp_path / "long.txt").write_text("word " * 60_000)
    (tmp_path / "note.txt").write_text("Tea is made of leaves.")
    told = answer("index", "folder-of-odd", str(tmp_path), "--target", server.target)
    assert told["num_inserted"] == 1
    assert [item["where"] for item in told["left_out"]] == [str(tmp_path / "long.txt")]
    named = invoke("index", "folder-of-odd", str(tmp_path / "long.txt"), "--target", server.target)
    assert named.exit_code == 1
    assert "300,004 bytes of UTF-8" in " ".join(named.stderr.split())


def test_of_each_kind_that_is_left_out_the_first_are_named(server, tmp_path):
    """A few odd files are not lost among many that nobody expects to be read."""
    for number in range(12):
        (tmp_path / f"a{number:02}.md").symlink_to(tmp_path / "nowhere")
    (tmp_path / "odd.txt").write_bytes(b"caf\xe9 " * 20)
    (tmp_path / "tea.md").write_text("Warm the pot.")
    named = invoke("index", "kinds", str(tmp_path), "--target", server.target)
    assert named.exit_code == 0
    assert named.stderr.count("is not there") == 5
    assert "more links to nothing" in named.stderr
    assert "odd.txt" in named.stderr


def test_a_missing_file_is_no_record_to_go_on_without(server, tmp_path):
    missing = tmp_path / "missing.jsonl"
    ended = invoke("index", "kinds", str(missing), "--target", server.target)
    assert "there is no such file" in " ".join(ended.stderr.split())
    assert "--on-error" not in ended.stderr


def test_a_field_said_to_hold_numbers_must_be_there(server, tmp_path):
    target = ("--target", server.target)
    table = tmp_path / "t.csv"
    table.write_text("id,text,year\na,x,1999\n")
    ended = invoke("index", "numbers", str(table), "--number-field", "yeer", *target)
    assert ended.exit_code == 1
    said = " ".join(ended.stderr.split())
    assert "no field 'yeer', which --number-field names; here are id, text, year" in said
    lines = tmp_path / "l.jsonl"
    lines.write_text(lines_of([{"id": "a", "text": "x", "year": "1999"}]))
    ended = invoke("index", "numbers", str(lines), "--number-field", "yeer", *target)
    assert ended.exit_code == 1
    assert "no record had a field 'yeer'" in " ".join(ended.stderr.split())
    answer("index", "numbers", str(table), str(lines), "--number-field", "year", *target)
    with Client(server.target) as client:
        assert client.get("numbers", ["a"])[0].metadata == {"year": 1999}


def test_vectors_are_checked_before_a_collection_is_made_for_them(server, tmp_path):
    target = ("--target", server.target)
    file = tmp_path / "v.jsonl"
    file.write_text(lines_of([{"id": "a", "text": "x"}, {"id": "b", "text": "x"}]))
    ended = invoke("index", "no-vectors", str(file), "--vector-field", "v", *target)
    assert ended.exit_code == 1
    said = " ".join(ended.stderr.split())
    assert "can't know its dimension" in said
    assert "no field 'v'" in said
    file.write_text(
        lines_of([{"id": "a", "text": "x", "v": [1, 2]}, {"id": "b", "text": "x", "v": [1]}])
    )
    ended = invoke("index", "no-vectors", str(file), "--vector-field", "v", *target)
    assert "v.jsonl:2: field 'v' holds 1 numbers, the collection's vectors have 2" in " ".join(
        ended.stderr.split()
    )
    ended = invoke("index", "no-vectors", str(file), *target)
    assert "--vector-field names the field with them" in " ".join(ended.stderr.split())


def test_an_export_to_a_terminal_is_the_same_json_and_nothing_that_a_terminal_obeys(server):
    odd = {"id": "odd", "text": "csi \x9b31m dle \x10 override \u202e end", "note": "\u2066\x85"}
    with Client(server.target) as client:
        client.create_collection("odd-characters")
        metadata = {"note": odd["note"]}
        client.upsert("odd-characters", [Document("odd", odd["text"], metadata=metadata)])
    command = [sys.executable, "-m", "twopass.commands.main", "export", "odd-characters", "-"]
    ours, theirs = os.openpty()
    subprocess.run([*command, "--target", server.target], stdout=theirs, stderr=theirs, check=True)
    os.close(theirs)
    shown = os.read(ours, 65_536)
    os.close(ours)
    assert json.loads(shown) == odd
    assert shown.strip().isascii()
    piped = invoke("export", "odd-characters", "-", "--target", server.target).stdout
    assert json.loads(piped) == odd
    assert "\u202e" in piped


class Running:
    """The command in a process of its own, so that it can be interrupted."""

    def __init__(self, *arguments: str, stdin=subprocess.DEVNULL) -> None:
        command = [sys.executable, "-m", "twopass.commands.start", *arguments]
        pipe = subprocess.PIPE
        self.process = subprocess.Popen(command, stdin=stdin, stdout=pipe, stderr=pipe, text=True)

    def interrupt_when(self, client, collection, num_documents):
        """Sends Ctrl-C when so many documents are there; returns status and what was said."""
        end = time.monotonic() + 120
        while time.monotonic() < end:
            names = {found.name: found.num_documents for found in client.list_collections()}
            if names.get(collection, 0) >= num_documents:
                break
            time.sleep(0.02)
        self.process.send_signal(signal.SIGINT)
        stdout, stderr = self.process.communicate(timeout=120)
        return self.process.returncode, stdout, stderr


def test_an_interrupted_run_lets_what_is_under_way_be_written_and_says_how_to_go_on(
    server, tmp_path
):
    file, resume = tmp_path / "many.jsonl", tmp_path / "state"
    file.write_text(lines_of([{"id": f"d{n}", "text": f"word {n}"} for n in range(1_500)]))
    run = ("index", "interrupted", str(file), "--chunk-size", "2", "--target", server.target)
    run += ("--resume", str(resume))
    with Client(server.target) as client:
        status, stdout, stderr = Running(*run).interrupt_when(client, "interrupted", 20)
        assert status == 130, stdout + stderr
        assert "documents are under way and will be written" in stderr
        assert "The same command goes on where this one ended." in stderr
        num_written = client.get_collection("interrupted").num_documents
        assert f"{num_written:,} inserted" in stdout
        assert json.loads(resume.read_text())["num_done"] == num_written < 1_500
        told = answer(*run)
        assert (told["num_resumed"], told["num_replaced"]) == (num_written, 0)
        assert told["num_documents"] == 1_500
        client.delete_collection("interrupted")


def test_an_interrupted_run_of_standard_input_says_what_is_written(server):
    run = ("index", "piped-in-part", "-", "--format", "jsonl", "--chunk-size", "2")
    running = Running(*run, "--target", server.target, stdin=subprocess.PIPE)
    lines = lines_of([{"id": f"d{n}", "text": "x"} for n in range(5)])
    running.process.stdin.write(lines)
    running.process.stdin.flush()
    with Client(server.target) as client:
        status, stdout, stderr = running.interrupt_when(client, "piped-in-part", 4)
        assert (status, "5 inserted" in stdout) == (130, True), stdout + stderr
        assert "--on-conflict skip" in stderr
        assert "Traceback" not in stderr
        client.delete_collection("piped-in-part")


def test_a_server_that_goes_away_is_no_documents_fault(tmp_path):
    file, resume = tmp_path / "many.jsonl", tmp_path / "state"
    lines = [json.dumps({"id": f"d{n}", "text": "x", "vector": [n, 1]}) for n in range(3_000)]
    file.write_text("\n".join(lines))
    run = ["index", "gone", str(file), "--vector-field", "vector", "--chunk-size", "5"]
    run += ["--resume", str(resume), "--on-error", "skip"]
    with server_process(tmp_path / "data") as (process, target):
        running = Running(*run, "--target", target)
        end = time.monotonic() + 60
        while not resume.exists() and time.monotonic() < end:
            time.sleep(0.02)
        process.kill()
        process.wait()
        running.process.send_signal(signal.SIGINT)  # instead of half a minute of tries
        stdout, stderr = running.process.communicate(timeout=120)
    assert running.process.returncode != 0
    assert "left out" not in stdout
    assert "The same command goes on where this one ended." in stderr
    num_done = json.loads(resume.read_text())["num_done"]
    with server_process(tmp_path / "data") as (_, target):
        told = answer(*run, "--target", target)
        assert told["num_resumed"] == num_done
        assert (told["num_left_out"], told["num_documents"]) == (0, 3_000)
