"""The text of pages, as a reader sees it."""

import gzip

import pytest
from hypothesis import given
from hypothesis import strategies as st
from selectolax.lexbor import LexborHTMLParser

from twopass.commands.sources.readers.depth import with_bounded_depth


def only(folder, content, **reading):
    folder.write("page.html", content)
    (fields,) = folder.read("page.html", **reading)
    return fields


PAGE = """<!doctype html><html><head><title>Tea &amp;
  time</title><style>p {}</style><script>if (a < b) "</p>"</script></head>
<body><nav><a href=/>Home</a></nav><header><h1>Tea</h1></header>
<!-- <p>hidden</p> -->
<p>Water just
   <b>off</b> the&nbsp;boil &lt;80&nbsp;&deg;C&gt;<br>and wait.
<p>Second
<ul><li>one<li>two <i>x</i></ul>
<pre>
  code  here
    more
</pre>
<table><tr><th>a<th>b<tr><td>1<td>2</table>
<noscript>no</noscript><template>no</template><div hidden>no</div><svg><text>no</text></svg>
<footer>Copyright</footer></body></html>"""


def test_the_text_is_what_a_reader_sees(folder):
    assert only(folder, PAGE) == {
        "id": "page.html",
        "title": "Tea & time",
        "text": "Tea\n\nWater just off the\xa0boil <80\xa0°C>\nand wait.\n\nSecond\n\n"
        "one\ntwo x\n\n  code  here\n    more\n\na b\n1 2",
        "path": "page.html",
    }


@pytest.mark.parametrize(
    "main", ["<main>{}</main>", "<div role=main>{}</div>", "<article>{}</article>"]
)
def test_the_main_part_is_the_text_where_a_page_names_it(folder, main):
    content = f"<body><div>menu</div>{main.format('<h1>Head</h1><p>Body')}<div>aside</div>"
    assert only(folder, content)["text"] == "Head\n\nBody"


@pytest.mark.parametrize("main", ["<main></main>", "<article>a</article><article>b</article>"])
def test_a_main_part_without_text_or_one_of_many_articles_is_not_all(folder, main):
    assert only(folder, f"<div>menu</div>{main}")["text"].startswith("menu")


def test_without_a_title_the_heading_counts_and_then_the_name(folder):
    assert only(folder, "<title> </title><h1>The <i>head</i>\n</h1>x")["title"] == "The head"
    assert only(folder, "<p>x")["title"] == "page"
    assert only(folder, "just text < 3")["text"] == "just text < 3"


@pytest.mark.parametrize(
    ("head", "encoding"),
    [
        ('<meta charset="iso-8859-1">', "cp1252"),
        ("<meta http-equiv=content-type content='text/html; charset=windows-1251'>", "cp1251"),
        ("<META CHARSET=Shift_JIS>", "cp932"),
        ("<?xml version='1.0' encoding='ISO-8859-15'?>", "iso-8859-15"),
        ('<meta charset="utf-16">', "utf-8"),
        ("", "utf-8"),
        ('<meta charset="latin1">', "utf-8-sig"),
        ('<meta charset="latin1">', "utf-16"),
    ],
)
@pytest.mark.parametrize("pack", [bytes, gzip.compress], ids=["plain", "gzip"])
def test_encodings_are_told_by_mark_and_then_by_declaration(folder, head, encoding, pack):
    text = {"cp1251": "дом", "cp932": "日本", "iso-8859-15": "€é"}.get(encoding, "“é”")
    text = "é" if encoding == "cp1252" else text
    assert only(folder, pack(f"{head}<p>{text}".encode(encoding)))["text"] == text


def test_an_encoding_that_is_given_counts_more_than_a_declaration(folder):
    content = '<meta charset="utf-8"><p>é'.encode("cp1252")
    assert only(folder, content, encoding="cp1252")["text"] == "é"


def test_an_unknown_declaration_is_named(folder):
    folder.write("page.html", "<meta charset=klingon><p>x")
    assert folder.both("page.html") == (
        [],
        [
            "page.html: it declares the encoding klingon, which is not known; "
            "--encoding names another"
        ],
    )


def test_what_nests_deeply_or_is_broken_is_read(folder):
    deep = "<div>" * 50_000 + "<pre>x" + "</div>" * 50_000
    assert only(folder, deep)["text"] == "x"
    broken = "<p title='a > b'>one<b title=\"<p>\">two</p <p>three<nav>no</nav><!-- never closed"
    assert "one" in only(folder, broken)["text"]


def depth_of(page):
    """The most elements that are open at one place, as the parser sees them."""
    most, level = 0, [LexborHTMLParser(page).root]
    while level:
        most += 1
        level = [child for node in level for child in node.iter()]
    return most


@pytest.mark.parametrize("tag", ["div", "DIV class='a > b'", "span", "b", "font", "ul><li", "nav"])
@pytest.mark.parametrize("num_tags", [511, 512, 513, 3_000])
def test_elements_are_no_deeper_than_a_browser_nests_them(tag, num_tags):
    end = tag.split()[0].split(">")[0]
    page = f"<{tag}>" * num_tags + "<p>deep</p>" + f"</{end}>" * num_tags + "<p>after</p>"
    bounded = with_bounded_depth(page)
    assert (bounded == page) == (num_tags <= 512)
    assert depth_of(bounded) <= 2 * 512 + 10
    assert LexborHTMLParser(bounded).css("p")[-1].parent.tag == "body"


def test_texts_at_any_depth_stay_apart(folder):
    page = "".join(f"<div>{n}" for n in range(2_000)) + "</div>" * 2_000 + "<p>after"
    assert only(folder, page)["text"].split() == [*map(str, range(2_000)), "after"]


@given(
    st.lists(
        st.sampled_from(["<div>", "</div>", "<b>", "</b>", "<p>", "<br>", "<ul>", "<li>", "x "])
        | st.text("<>/a", max_size=3),
        max_size=60,
    ).map("".join)
)
def test_a_page_that_is_not_deep_is_read_as_it_is(page):
    assert with_bounded_depth(page) == page


def test_what_marks_headings_for_links_is_no_text(folder):
    content = '<h1>Head<a class="headerlink" href="#head">¶</a></h1>x'
    assert only(folder, content)["text"] == "Head\n\nx"


def test_what_is_not_read_may_hold_what_is_not_read(folder):
    hidden = "<div hidden><div role=navigation>a<div hidden>b<nav>c</nav></div></div></div>"
    content = f"<p>x{hidden * 50}<footer>{hidden}<nav>d</nav></footer>"
    assert only(folder, content)["text"] == "x"


def test_pages_without_text_are_empty(folder):
    folder.write("page.html", "<title>Loading</title><script>x</script><body><nav>x</nav>")
    (item,) = folder.items("page.html")
    assert (item.reason, item.is_fault) == ("empty", False)
