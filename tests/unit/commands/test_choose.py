"""`twopass choose`: what it prints of the blends that were tried."""

from twopass.commands.choose import _tried_table
from twopass.commands.terminal.tables import table_lines
from twopass.evaluation.choosing import KindsQuality, SetKind
from twopass.evaluation.measures import Quality


def _quality(ndcg: float) -> Quality:
    return Quality(ndcg=ndcg, mrr=0.0, recall=0.0, average_precision=0.0, ndcg_of={})


def test_every_figure_of_every_blend_is_whole_in_a_narrow_terminal() -> None:
    sets = {"medquad_heldout": _quality(0.954), "squad_sentences": _quality(1.0)}
    kinds = {SetKind.TRAINED: _quality(0.777), SetKind.OTHER: _quality(0.666)}
    found = KindsQuality(sets, kinds, _quality(0.555))
    table = _tried_table("twopass-minilm-l3", {n / 10: found for n in range(11)}, chosen=0.7)
    told = " ".join(line.plain for line in table_lines(table, 60)).split()
    for figure in (".954", "1.00", ".777", ".666", ".555"):
        assert told.count(figure) == 11
    assert told.count("medquad_heldout") == 2  # beside each block of figures
