from twopass.benchmarks.scale import page


def test_the_tables_of_the_page_are_those_of_the_figures():
    """Where this fails, run `python -m twopass.benchmarks.scale.page`."""
    text = page.PAGE.read_text("utf-8")
    assert page.written(text) == text


def test_every_table_stands_on_the_page():
    text = page.PAGE.read_text("utf-8")
    for name in page._TABLES:
        assert f"<!-- table: {name} -->" in text


def test_a_table_is_written_where_nothing_was():
    empty = "<!-- table: gpu vectors -->\n<!-- end of table -->\n\nText.\n"
    assert "| 1 million |" in page.written(empty)
    assert page.written(empty).endswith("<!-- end of table -->\n\nText.\n")
