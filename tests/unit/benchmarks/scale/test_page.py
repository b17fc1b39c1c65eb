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


PART = {"load": "8 under way", "stage": "embed", "predicted": 1.0, "measured": 2.0}
ROW = {"load": "8 under way", "what": "searches/s", "others": 0.01, "stolen": 0.0}


def errors(error):
    return {"error": error, "least_error": error, "most_error": error}


def test_a_figure_is_told_to_be_near_enough_or_not():
    rows = [
        {**ROW, "predicted": 110.0, "measured": 100.0, **errors(0.1)},
        {**ROW, "predicted": 80.0, "measured": 100.0, **errors(-0.2)},
        {**ROW, "predicted": 80.0, "measured": None, **errors(None)},
    ]
    lines = page.check_table(rows, 0.15).splitlines()[2:]
    assert ["yes" in line for line in lines] == [True, False, False]
    assert "1 of 3 figures are within 15%" in page._verdict(rows, 0.15)
    assert page._verdict(rows[:1], 0.15) == "All 1 figures are within 15%."


def test_where_the_time_goes_has_a_line_for_each_side():
    assert page.parts_table([PART]).splitlines()[2:] == [
        "| 8 under way | predicted | 1.0 |",
        "|  | measured | 2.0 |",
    ]
