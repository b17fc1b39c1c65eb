"""What goes into collections and out of them by the command line: formats, resuming."""

import json
import os

import pytest

from twopass.client import Client, Document, Fields, Schema

from .command_line import answer, invoke


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


@pytest.mark.parametrize("suffix", [".jsonl", ".jsonl.gz", ".parquet"])
def test_what_is_exported_can_be_indexed_again(server, tmp_path, suffix):
    target = ("--target", server.target)
    with Client(server.target) as client:
        for name in ("exported", "imported"):
            if name in {collection.name for collection in client.list_collections()}:
                client.delete_collection(name)
        client.create_collection("exported", Schema(client_vectors=True, dimension=2))
        documents = [
            Document(
                f"d{n}", f"text {n} \u2028\n", f"title {n}", {"n": n, "deep": {"x": [None]}}, [n, 1]
            )
            for n in range(1_203)
        ]
        client.upsert("exported", documents)
        output = tmp_path / f"out{suffix}"
        told = answer("export", "exported", str(output), "--vectors", *target)
        assert told["num_documents"] == 1_203
        back = ("--metadata-field", "metadata", "--vector-field", "vector")
        answer("index", "imported", str(output), *back, *target)
        before, after = (
            {d.id: d for d in client.documents(name, fields=Fields(vector=True))}
            for name in ("exported", "imported")
        )
        assert before == after
    again = invoke("export", "exported", str(output), *target)
    assert again.exit_code == 1
    assert "there is such a file already" in again.stderr
    other = invoke("export", "exported", str(tmp_path / "out.txt"), *target)
    assert "of no known format" in " ".join(other.stderr.split())
    assert sorted(file.name for file in tmp_path.iterdir()) == [output.name]


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
