"""Index, export, index again, export again: equal, for every kind of value."""

import json
import tempfile
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.client import Chunking, Client, Document, Fields, Schema

from .command_line import answer, invoke

# What a text may hold: any character but NUL, lines of every kind among them.
characters = st.characters(codec="utf-8", exclude_characters="\0")
texts = st.text(characters, max_size=12) | st.sampled_from(
    ["a\r\nb", "a\rb", "\u2028\x0b\x0c\x85", '"', "'", ",", "\t", "\ufeff", "=1+1", "null", "\\n"]
)
ids = st.text(
    st.characters(codec="utf-8", exclude_categories=("Cc", "Cs")), min_size=1, max_size=12
)
numbers = (
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.sampled_from(
        [0, -1, 2**53 + 1, 0.0, -0.0, 1.0, 100.0, 1e22, 5e-324, 1.7976931348623157e308]
    )
)
values = st.recursive(
    st.none() | st.booleans() | numbers | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=3),
    max_leaves=8,
)
OWN = ("id", "title", "text", "vector", "metadata")
metadata = st.dictionaries(texts.filter(lambda name: name not in OWN), values, max_size=4)
components = st.floats(width=32, min_value=-1e3, max_value=1e3) | st.sampled_from([-0.0, 1e-40])
vectors = st.lists(components, min_size=3, max_size=3).filter(
    lambda v: any(abs(c) > 1e-3 for c in v)
)


@st.composite
def documents(draw):
    text = draw(texts)
    title = draw(texts if text else texts.filter(bool))
    return Document(draw(ids), text, title, draw(metadata), draw(vectors))


def written(documents):
    """Documents as JSON, in which 1 and 1.0 differ, and the order of keys counts."""
    return [
        json.dumps([d.id, d.text, d.title, d.metadata, list(d.vector or ())]) for d in documents
    ]


@contextmanager
def collections(server, *schemas):
    """A collection for each schema, by name, and a folder."""
    names = [f"round-{n}" for n in range(len(schemas))]
    with Client(server.target) as client, tempfile.TemporaryDirectory() as folder:
        for name, schema in zip(names, schemas, strict=True):
            if schema is not None:
                client.create_collection(name, schema)
        try:
            yield client, names, Path(folder)
        finally:
            for name in names:
                client.delete_collection(name)


@pytest.mark.parametrize("metric", ["cosine", "inner_product"])
@pytest.mark.parametrize("suffix", ["jsonl", "jsonl.gz", "csv", "tsv", "csv.gz", "parquet"])
@given(given_documents=st.lists(documents(), min_size=1, max_size=6, unique_by=lambda d: d.id))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_is_exported_and_indexed_again_is_equal(server, metric, suffix, given_documents):
    target = ("--target", server.target)
    schema = Schema(client_vectors=True, dimension=3, metric=metric)
    with collections(server, schema, None) as (client, (first, second), folder):
        client.upsert(first, given_documents)
        one, two = folder / f"1.{suffix}", folder / f"2.{suffix}"
        told = answer("export", first, str(one), "--vectors", *target)
        back = ["--vector-field", "vector", "--metric", metric]
        if told["metadata_field"]:
            back += ["--metadata-field", told["metadata_field"]]
        told = answer("index", second, str(one), *back, *target)
        assert told["num_inserted"] == len(given_documents)
        answer("export", second, str(two), "--vectors", *target)
        assert one.read_bytes() == two.read_bytes()

        all_fields = Fields(text=True, metadata=True, vector=True)
        before = written(client.documents(first, fields=all_fields))
        assert written(client.documents(second, fields=all_fields)) == before
        without_vectors = [json.loads(line)[:4] for line in before]
        sent = [json.loads(line)[:4] for line in written(given_documents)]
        assert sorted(map(json.dumps, without_vectors)) == sorted(map(json.dumps, sent))


@given(given_documents=st.lists(documents(), min_size=1, max_size=6, unique_by=lambda d: d.id))
@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_a_file_as_export_writes_it_comes_back_byte_for_byte(server, given_documents):
    target = ("--target", server.target)
    with collections(server, None) as (_, (name,), folder):
        lines = ""
        for document in given_documents:
            title = {"title": document.title} if document.title else {}
            record = {"id": document.id, **title, "text": document.text, **document.metadata}
            lines += json.dumps(record, ensure_ascii=False) + "\n"
        given_file, exported = folder / "given.jsonl", folder / "exported.jsonl"
        given_file.write_bytes(lines.encode())
        answer("index", name, str(given_file), *target)
        answer("export", name, str(exported), *target)
        assert exported.read_bytes() == lines.encode()


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_documents_that_were_split_are_split_again(server, tmp_path, suffix):
    target = ("--target", server.target)
    windows = Schema(chunking=Chunking(16, 4))
    long = Document("long", " ".join(f"word{n}" for n in range(200)), "A title", {"year": 1946})
    with collections(server, windows, windows) as (client, (first, second), _):
        assert client.upsert(first, [long, Document("short", "Tea.")]).num_split == 1
        file = tmp_path / f"split.{suffix}"
        back = ["--vector-field", "vector"]
        told = answer("export", first, str(file), "--vectors", *target)
        if told["metadata_field"]:
            back += ["--metadata-field", told["metadata_field"]]
        told = answer("index", second, str(file), *back, *target)
        assert (told["num_inserted"], told["num_split"]) == (2, 1)
        fields = Fields(text=True, metadata=True, vector=True)
        before, after = (written(client.documents(name, fields=fields)) for name in (first, second))
        assert before == after
        hits = [client.search(name, "word150 word151").hits[0] for name in (first, second)]
        assert hits[0].span == hits[1].span


def test_a_field_of_the_metadata_that_a_record_needs_is_named_with_the_way_out(server, tmp_path):
    target = ("--target", server.target)
    plain = Schema(client_vectors=True, dimension=2)
    for name in ("id", "title", "text"):
        with collections(server, plain, plain) as (client, (first, second), _):
            client.upsert(first, [Document("a", "t", "", {name: [1]}, [1, 0])])
            file = tmp_path / f"{name}.jsonl"
            refused = invoke("export", first, str(file), *target)
            assert refused.exit_code == 1
            said = " ".join(refused.stderr.split())
            assert f"document 'a': its metadata has a field '{name}'" in said
            assert not list(tmp_path.iterdir())
            nested = ("--metadata-field", "metadata")
            answer("export", first, str(file), *nested, "--vectors", *target)
            answer("index", second, str(file), *nested, "--vector-field", "vector", *target)
            assert next(client.documents(second)).metadata == {name: [1]}
            file.unlink()


def test_a_part_can_be_exported_to_standard_output(server):
    target = ("--target", server.target)
    plain = Schema(client_vectors=True, dimension=2)
    with collections(server, plain) as (client, (name,), _):
        client.upsert(name, [Document(f"d{n}", "t", "", {"n": n}, [1, n]) for n in range(9)])
        ended = invoke("export", name, "-", "--filter", "n>=7", *target)
        assert ended.exit_code == 0
        assert [json.loads(line) for line in ended.stdout.splitlines()] == [
            {"id": "d7", "text": "t", "n": 7},
            {"id": "d8", "text": "t", "n": 8},
        ]
        assert "--vectors exports them too" in " ".join(ended.stderr.split())
        both = invoke("export", name, "-", "--json", *target)
        assert (both.exit_code, both.stdout) == (1, "")
