"""How the page reads files: as they were written, and a bad line is named and costs no other."""

import csv
import gzip
import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from playwright.sync_api import Page

from .browsing import MODULE

# What `recordsOf` yields of a file.
_READ_FILE = f"""async (file) => {{
  {MODULE}
  const {{ sourceOf }} = await module("upload/reading/source.js");
  const {{ recordsOf }} = await module("upload/reading/records.js");
  const source = await sourceOf({{ file, name: file.name, isNamed: true }});
  if ("reason" in source) return [source];
  const found = [];
  for await (const record of recordsOf(source, {{ numBytes: 0 }}, 262144)) found.push(record);
  return JSON.parse(JSON.stringify(found));
}}"""


def read(page: Page, name: str, content: bytes | str) -> list[Any]:
    encoded = content.encode() if isinstance(content, str) else content
    found: list[Any] = page.evaluate(
        f"([name, bytes]) => ({_READ_FILE})(new File([new Uint8Array(bytes)], name))",
        [name, list(encoded)],
    )
    return found


def fields(found: Sequence[Any]) -> list[Any]:
    return [record.get("fields", record.get("reason")) for record in found]


def reasons(found: Sequence[Any]) -> list[tuple[str, str]]:
    return [(record["where"], record["reason"]) for record in found if "reason" in record]


_CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), max_size=12)
_TABLES = st.integers(2, 4).flatmap(
    lambda width: st.lists(
        st.lists(
            _CELLS | st.sampled_from(['"', ",", ";", "\n", "\r\n", "a\nb", '""', " x "]),
            min_size=width,
            max_size=width,
        ),
        min_size=1,
        max_size=6,
    )
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(rows=_TABLES, delimiter=st.sampled_from(",;\t|"), ending=st.sampled_from(["\n", "\r\n"]))
def test_csv_is_read_as_python_wrote_it(
    page: Page, rows: list[list[str]], delimiter: str, ending: str
) -> None:
    names = [f"column {number}" for number in range(len(rows[0]))]
    written = io.StringIO(newline="")
    csv.writer(
        written, delimiter=delimiter, lineterminator=ending, quoting=csv.QUOTE_ALL
    ).writerows([names, *rows])
    found = read(page, "table.csv", written.getvalue())
    assert fields(found) == [dict(zip(names, row, strict=True)) for row in rows]


_TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
_NUMBERS = st.floats(allow_nan=False, allow_infinity=False) | st.integers(-(2**63), 2**63 - 1)
_JSON = st.recursive(
    st.none() | st.booleans() | _NUMBERS | _TEXTS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3)
    ),
    max_leaves=8,
)


@settings(
    deadline=None, max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(values=st.dictionaries(st.text("abc_", min_size=1, max_size=4), _JSON))
def test_metadata_goes_out_as_it_stood_in_the_file(page: Page, values: dict[str, Any]) -> None:
    """Whole numbers of 64 bits too, which no number of JavaScript holds, and 1.0 beside 1."""
    line = json.dumps({"id": "a", "text": "t"} | {f"m{name}": v for name, v in values.items()})
    made = page.evaluate(
        f"""async (line) => {{
          {MODULE}
          const {{ documentOrLeftOut }} = await module("upload/documents.js");
          const {{ jsonRecords }} = await module("upload/reading/json.js");
          const roles = new Map([["id", "id"], ["text", "text"]]);
          const source = {{ file: new File([line], "x"), name: "x", encoding: "utf-8" }};
          const {{ value: record }} = await jsonRecords(source, {{ numBytes: 0 }}).next();
          return documentOrLeftOut(record, roles).body.metadata_json ?? "{{}}";
        }}""",
        line,
    )
    expected = {name: value for name, value in json.loads(line).items() if name.startswith("m")}
    assert json.loads(made) == expected
    numbers = [json.dumps(value) for value in values.values() if type(value) in (int, float)]
    assert all(number in made for number in numbers)


def test_lines_end_at_line_feeds_alone(page: Page) -> None:
    text = "one\u2028two\u0085three\ufefffour"
    lines = [json.dumps({"id": str(n), "text": text}, ensure_ascii=False) for n in range(3)]
    content = "\ufeff" + "\r\n".join(lines) + "\r\n\r\n"
    found = read(page, "lines.jsonl", content)
    assert fields(found) == [{"id": str(number), "text": text} for number in range(3)]


def test_a_bad_line_is_named_and_the_next_is_read(page: Page) -> None:
    content = b'{"id": 1}\n[1]\n{"id": \n"text"\nnull\n{"id": NaN}\n{"id": "\xff"}\n{"id": 2}'
    found = read(page, "some.jsonl", b'{"id": "\xc3\xa4"}\n' + content)
    told = dict(reasons(found))
    assert list(told) == [f"some.jsonl:{line}" for line in (3, 4, 5, 6, 7, 8)]
    assert told["some.jsonl:3"] == "a list; an object with fields is needed"
    assert told["some.jsonl:4"].startswith("not JSON: ")
    assert told["some.jsonl:6"] == "null; an object with fields is needed"
    assert [each for each in fields(found) if isinstance(each, dict)] == [
        {"id": "ä"}, {"id": 1}, {"id": 2},
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("content", "where", "reason"),
    [
        ("a,b\n1\n2,3\n", "t.csv:2", "1 value in a row, 2 columns in the first line"),
        ("a,b\n1,2,3\n2,3\n", "t.csv:2", "3 values in a row, 2 columns in the first line"),
        ('a,b\n"1"x,2\n2,3\n', "t.csv:2", "“x” follows a quoted value"),
        ('a,b\n2,3\n1,"never\nends\n', "t.csv:3", "a quote that begins in this row never ends"),
        ("a,a\n2,3\n", "t.csv:1", "two columns are called “a”"),
    ],
)
def test_a_bad_row_of_csv_is_named(page: Page, content: str, where: str, reason: str) -> None:
    found = read(page, "t.csv", content)
    assert reasons(found)[0][0] == where
    assert reason in reasons(found)[0][1]
    if "a,a" not in content:
        assert {"a": "2", "b": "3"} in fields(found)


def test_encodings_are_found(page: Page) -> None:
    content = "id;text\n1;Käse “für” später\n"
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "cp1252"):
        found = read(page, "t.csv", content.encode(encoding))
        assert fields(found) == [{"id": "1", "text": "Käse “für” später"}], encoding


def test_gzip_is_unpacked_and_a_cut_one_named_after_what_could_be_read(page: Page) -> None:
    lines = "".join(json.dumps({"id": n, "text": "x" * 40}) + "\n" for n in range(20_000))
    whole = gzip.compress(lines.encode())
    assert len(read(page, "a.jsonl.gz", whole)) == 20_000
    found = read(page, "a.jsonl.gz", whole[: len(whole) // 2])
    assert len(found) > 100
    assert found[0]["fields"]["id"] == 0
    assert reasons(found)[-1][0] == "a.jsonl.gz"
    assert "damaged" in reasons(found)[-1][1]
    assert "not gzip" in reasons(read(page, "b.jsonl.gz", b"no gzip at all"))[0][1]


@pytest.mark.parametrize(
    ("name", "content", "title"),
    [
        ("a.md", "text\n\n## Sorting *lists*\n", "Sorting *lists*"),
        ("a.md", "Sorting\n=======\n\n# Later\n", "Sorting"),
        ("a.md", "---\ntitle: 'Front matter'\ntags: [x]\n---\n# Heading\n", "Front matter"),
        ("a.md", "```\n# no heading\n```\n# One\n", "One"),
        ("a.md", "no heading at all", "a.md"),
        ("notes/a.txt", "text", "a.txt"),
        ("README", "text", "README"),
        ("a.html", "<title>T</title><h1>The <b>first</b></h1><p>x", "The first"),
        ("a.htm", "<title>The title</title><p>x", "The title"),
    ],
)
def test_a_file_that_is_one_document_has_a_title(
    page: Page, name: str, content: str, title: str
) -> None:
    (found,) = fields(read(page, name, content))
    assert (found["id"], found["title"]) == (name, title)


def test_html_is_read_as_its_text_and_neither_runs_nor_loads(page: Page) -> None:
    content = (
        "<style>p{}</style><script>window.ran = 1</script><img src=//example.com/i onerror="
        "'window.ran = 2'><ul><li>one<li>two</ul><table><tr><td>a<td>b</table>&lt;b&gt; &amp; end"
    )
    (found,) = fields(read(page, "a.html", content))
    assert found["text"].split() == ["one", "two", "a", "b", "<b>", "&", "end"]
    assert page.evaluate("() => window.ran") is None


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"%PDF-1.7", ".pdf is not read here"),
        ("a.parquet", b"PAR1", "twopass index"),
        ("a.constructor", b"a text", ".constructor is not read here"),
        ("a.json", b'[\n{"id": 1}\n]', "one JSON object on each line is needed"),
        ("a.txt", b"\x7fELF\x00\x01", "holds no text"),
        ("a.txt", b" \n\t", "empty"),
        ("a.txt", b"x" * 262_145, "max_passage_bytes"),
    ],
)
def test_what_is_not_read_is_told_with_the_way_out(
    page: Page, name: str, content: bytes, reason: str
) -> None:
    ((where, told),) = reasons(read(page, name, content))
    assert where == name
    assert reason in told


def test_json_of_one_object_a_line_is_read_whatever_it_is_called(page: Page) -> None:
    assert fields(read(page, "a.json", '{"id": 1}\n{"id": 2}\n')) == [{"id": 1}, {"id": 2}]


def test_a_line_that_is_too_long_costs_no_other(page: Page) -> None:
    long = """`{"id": 2, "text": "${"x".repeat(9 << 20)}"}`"""
    content = f"""[`{{"id": 1}}\\n`, {long}, `\\n{{"id": 3}}\\n`]"""
    made = page.evaluate(f"async () => ({_READ_FILE})(new File({content}, 'a.jsonl'))")
    assert [record.get("fields", {}).get("id") for record in made] == [1, None, 3]
    assert "a line of more than" in made[1]["reason"]


@pytest.mark.parametrize(
    ("names", "roles"),
    [
        (["id", "title", "text"], {"id": "id", "title": "title", "text": "text"}),
        (["_id", "headline", "body"], {"id": "_id", "title": "headline", "text": "body"}),
        (["url", "name", "notes"], {"id": "url", "title": "name", "text": "notes"}),
        (["key", "content", "text"], {"id": "key", "text": "text"}),
    ],
)
def test_fields_are_guessed_by_name_and_the_text_else_by_length(
    page: Page, names: list[str], roles: dict[str, str]
) -> None:
    sample = dict.fromkeys(names, "short") | ({"notes": "a long text"} if "notes" in names else {})
    guessed = dict(
        page.evaluate(
            f"""async (sample) => {{
              {MODULE}
              const {{ guessedRoles }} = await module("upload/roles.js");
              return [...guessedRoles([sample])];
            }}""",
            sample,
        )
    )
    found = {role: name for name, role in guessed.items() if role != "metadata"}
    assert found == roles
