"""Titles and front matter of Markdown, as people and programs write them."""

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st


def only(folder, content, **reading):
    folder.write("file.md", content)
    (fields,) = folder.read("file.md", **reading)
    return fields


@pytest.mark.parametrize(
    ("content", "title"),
    [
        ("# The title\n\nbody", "The title"),
        ("#   Closed ##   \n", "Closed"),
        ("   # Indented\n", "Indented"),
        ("Body first.\n\n# Title\n", "Title"),
        ("## Second level\n\n# First level\n", "First level"),
        ("### Third alone\n", "Third alone"),
        ("Setext\n======\n", "Setext"),
        ("Of two\nlines\n===\n", "Of two lines"),
        ("Second level\n---\nbody\n", "Second level"),
        ("<!-- # A licence\n# of lines -->\n# Title\n", "Title"),
        ("[![Build](https://x/b.svg)](https://x) ![](y.png)\n\n# Title\n", "Title"),
        ("# [![Build](https://x/b.svg)](https://x)\n\n# Title\n", "Title"),
        ("# ![logo](l.png) Project [docs](https://x) `code`\n", "Project docs code"),
        (
            "# **Bold** and _it_ in snake_case_name \\# &amp; <a id='x'></a>\n",
            "Bold and it in snake_case_name # &",
        ),
        ("# Title {#anchor}\n", "Title"),
        ("```sh\n# no heading\n```\n\n# Title\n", "Title"),
        ("~~~~\n~~~\n# none\n~~~~\n# Title\n", "Title"),
        ("    # code\n\n# Title\n", "Title"),
        ("\t# code\n\n# Title\n", "Title"),
        (
            '<p><img src="x">\n</p>\n<h1 align="center">\n  Title <b>x</b>\n</h1>\n',
            "Title x",
        ),
        ("#no space\n\n#\n\n#hashtag", "file"),
        ("- item\n---\n", "file"),
        ("| a | b |\n|---|---|\n", "file"),
        ("***\n\n---\n", "file"),
        ("plain text\n", "file"),
        ("```\nnever closed\n# none\n", "file"),
        ("# Title\r\n\r\nbody\r\n", "Title"),
    ],
)
def test_the_title_is_the_first_heading_of_the_first_level(folder, content, title):
    fields = only(folder, content)
    assert fields["title"] == title
    assert fields["text"] == content


@pytest.mark.parametrize("num_before", [0, 400, 818, 819, 820, 4_000])
def test_a_title_may_come_late(folder, num_before):
    content = "## Not yet\n" + "text\n" * num_before + "# The title\n" + "text\n" * 10_000
    assert only(folder, content)["title"] == "The title"


def test_front_matter_in_yaml_is_metadata(folder):
    content = (
        "---\ntitle: 'The: title'\ndate: 2024-02-29\nat: 2024-02-29 13:37:00\ntags: [a, b]\n"
        "draft: no\nn: 1.5\ndeep:\n  2: x\nempty:\n---\n# Heading\n"
    )
    assert only(folder, content) == {
        "id": "file.md",
        "title": "The: title",
        "text": "# Heading\n",
        "path": "file.md",
        "date": "2024-02-29",
        "at": "2024-02-29T13:37:00",
        "tags": ["a", "b"],
        "draft": False,
        "n": 1.5,
        "deep": {"2": "x"},
        "empty": None,
    }


def test_front_matter_in_toml_is_metadata(folder):
    content = '+++\r\ntitle = "Title"\r\ndate = 2024-02-29\r\n[deep]\r\nx = 1\r\n+++\r\nbody\r\n'
    fields = only(folder, content)
    assert (fields["title"], fields["text"]) == ("Title", "body\r\n")
    assert (fields["date"], fields["deep"]) == ("2024-02-29", {"x": 1})


def test_fields_that_every_document_has_stay_its_own(folder):
    fields = only(folder, "---\nid: x\ntext: y\npath: /z\nlayout: post\n---\nbody\n")
    assert (fields["id"], fields["text"], fields["path"]) == ("file.md", "body\n", "file.md")
    assert fields["front_matter_id"] == "x"
    assert (fields["front_matter_text"], fields["front_matter_path"]) == ("y", "/z")
    assert fields["layout"] == "post"


def test_without_a_title_in_front_matter_the_heading_counts(folder):
    assert only(folder, "---\nlayout: x\n---\n\n# Heading\n")["title"] == "Heading"
    assert only(folder, "---\ntitle:\n---\n\n# Heading\n")["title"] == "Heading"
    assert only(folder, "---\ntitle: 2024\n---\nbody")["title"] == "2024"


@pytest.mark.parametrize(
    "content",
    ["---\n\nbody\n\n---\n", "---\nnever closed: x\n", "--- x\ny: z\n---\n", "\n---\na: b\n---\n"],
)
def test_a_line_across_the_page_is_no_front_matter(folder, content):
    fields = only(folder, content)
    assert fields["text"] == content
    assert set(fields) == {"id", "title", "text", "path"}


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n" for a, b in zip("abcdefg", "bcdefgh", strict=True)
)


@pytest.mark.parametrize(
    ("front", "reason"),
    [
        ("---\na: b: c\n---\n", "front matter that is not YAML (mapping values are not allowed"),
        ("---\na: {{ x }}\n---\n", "front matter that is not YAML ("),
        (
            "---\na: !!python/object/apply:os.system [x]\n---\n",
            "front matter that is not YAML (could",
        ),
        (f"---\n{BOMB}---\n", "front matter that is not YAML (more than 10,000 values)"),
        ("---\na: &a [*a]\n---\n", "front matter that is not YAML (nested deeper than 64)"),
        (f"---\na: {'[' * 5_000}{']' * 5_000}\n---\n", "front matter that is not YAML ("),
        ("---\na: \x07\n---\n", "front matter that is not YAML ("),
        ("---\na: !!timestamp x\n---\n", "front matter that is not YAML (a value that its tag"),
        ("---\na: !!bool x\n---\n", "front matter that is not YAML (a value that its tag"),
        ("---\na: !!int ''\n---\n", "front matter that is not YAML (a value that its tag"),
        ("---\na: !!float x\n---\n", "front matter that is not YAML (a value that its tag"),
        ("---\na: 2024-13-45\n---\n", "front matter that is not YAML ("),
        ("+++\na = \n+++\n", "front matter that is not TOML (Invalid value (at line 2"),
    ],
)
def test_front_matter_that_is_none_stays_in_the_text_and_is_told(folder, front, reason):
    folder.write("file.md", f"{front}# Heading\n")
    told, record = folder.items("file.md")
    assert told.reason.startswith(reason)
    assert told.reason.endswith("; it stays a part of the text")
    assert not told.is_fault
    assert record.fields["text"] == f"{front}# Heading\n"
    assert record.fields["title"] == "Heading"


@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=200
)
@given(
    tag=st.sampled_from(
        [
            "timestamp",
            "bool",
            "int",
            "float",
            "binary",
            "set",
            "omap",
            "pairs",
            "null",
            "seq",
            "map",
            "str",
        ]
    ),
    value=st.text("0123456789:.-+Txe_ []{},=", max_size=12),
)
def test_no_front_matter_hides_its_file(folder, tag, value):
    folder.write("file.md", f"---\na: !!{tag} {value}\n---\nbody\n")
    assert folder.items("file.md")[-1].fields["text"].endswith("body\n")
