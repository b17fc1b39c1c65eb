"""Tables as Markdown."""

from twopass.commands.terminal.markdown import literal_markdown, markdown_table
from twopass.commands.terminal.tables import Table, figures, names


def test_a_table_has_its_title_heads_and_rows_with_figures_to_the_right():
    table = Table([*names("set"), *figures("nDCG@10")], title="quality")
    table.add("nfcorpus", "0.350 ")
    assert markdown_table(table).splitlines() == [
        "**quality**",
        "",
        "| set | nDCG@10 |",
        "| --- | ---: |",
        "| nfcorpus | 0.350 |",
    ]


def test_what_markdown_would_read_as_markup_is_shown_as_it_is():
    assert literal_markdown("a|b *c* `d` <e> [f](g)_h_") == (
        r"a\|b \*c\* \`d\` \<e\> \[f\](g)\_h\_"
    )


def test_a_control_character_can_not_break_a_row():
    assert "\n" not in literal_markdown("one\ntwo")
