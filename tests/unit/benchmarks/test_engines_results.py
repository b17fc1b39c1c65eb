"""Ratios come from the same rounds; the best peer is the fastest in that order, packed or not."""

import dataclasses
import json

import pytest
from rich.console import Console

from twopass.benchmarks.engines.batching import Order
from twopass.benchmarks.engines.report import as_tables
from twopass.benchmarks.engines.results import PACKED, Engine, Figure, Measured, Report
from twopass.benchmarks.engines.roster import CONTENDERS, SUBJECT
from twopass.benchmarks.machine import Machine

GIVEN, SORTED = Order.GIVEN.value, Order.LENGTH_SORTED.value
OURS = Figure(SUBJECT, PACKED, (200, 300, 100), 0.1)
OURS_BF16 = Figure("twopass cpu bf16", PACKED, (90, 90, 90), 0.01)
SLOW = Figure("OpenVINO bf16", GIVEN, (100, 100, 100), 0.02)
SLOW_SORTED = Figure("OpenVINO bf16", SORTED, (160, 150, 100), 0.02)
PACKED_PEER = Figure("CTranslate2 int8", PACKED, (120, 120, 120), None)


def measured(
    *figures: Figure, is_latency: bool = False, model: str = "small", num_threads: int = 2
) -> Measured:
    return Measured(
        name="mixed",
        title="pairs [of mixed length]",
        model=model,
        num_threads=num_threads,
        unit="ms" if is_latency else "pairs/s",
        is_latency=is_latency,
        num_sequences=10,
        num_tokens=1000,
        sha256="",
        figures=figures,
    )


def report(*figures: Figure) -> Report:
    engines = tuple(
        Engine(c, "small", {}, refusal="[not] installed")
        if c.omission
        else Engine(c, "small", {}, device="avx2")
        for c in CONTENDERS
    )
    machine = Machine("A CPU", 2, ("avx2",), {"python": "3.11"}, "")
    return Report(machine, 2, engines, (measured(*figures),))


def test_a_ratio_is_taken_round_by_round():
    ratio = measured(OURS, SLOW_SORTED).ratio(SUBJECT, SLOW_SORTED)
    assert ratio.rounds == pytest.approx((1.25, 2, 1))
    assert ratio.median == 1.25


def test_half_the_latency_is_twice_as_fast():
    half = Figure(SUBJECT, PACKED, (50, 50, 50), 0.1)
    assert measured(half, SLOW, is_latency=True).ratio(SUBJECT, SLOW).median == 2


def test_an_engine_is_not_compared_with_itself_nor_where_it_is_missing():
    assert measured(OURS).ratio(SUBJECT, OURS) is None
    assert measured(SLOW).ratio(SUBJECT, SLOW) is None


def test_packed_engines_compete_in_every_order():
    everyone = measured(OURS, SLOW, SLOW_SORTED, PACKED_PEER)
    peers = {SLOW.label, PACKED_PEER.label}
    assert everyone.best(peers, GIVEN) == PACKED_PEER
    assert everyone.best(peers, SORTED) == SLOW_SORTED
    assert everyone.best({"nobody"}, GIVEN) is None


def test_bf16_is_compared_with_peers_in_bf16_alone():
    found = report(OURS, OURS_BF16, SLOW, PACKED_PEER).comparisons()
    against = {c.ratio.label: c.ratio.against for c in found if c.order == GIVEN}
    assert against == {SUBJECT: PACKED_PEER.label, OURS_BF16.label: SLOW.label}


def test_json_holds_medians_ratios_and_comparisons():
    content = json.loads(json.dumps(report(OURS, SLOW).as_json()))
    ours, slow = content["measured"][0]["figures"]
    assert ours["median"] == 200
    assert ours["subject_is_times_as_fast"] is None
    assert slow["subject_is_times_as_fast"] == [2, 3, 1]
    assert content["comparisons"][0]["median"] == 2


def test_the_header_says_what_instructions_each_engine_used(capsys):
    Console(width=200).print(as_tables(report(OURS, SLOW)))
    assert "twopass cpu on avx2; twopass onnxruntime on avx2;" in capsys.readouterr().out


def test_the_table_says_who_was_not_measured_and_why(capsys):
    Console(width=140).print(as_tables(report(OURS, SLOW)))
    printed = capsys.readouterr().out
    assert "[of mixed length]" in printed
    assert "2.00 (1.00 to 3.00)" in printed
    assert "FlashRank int8, small: [not] installed" in printed


def by_threads(*speeds: tuple[int, float], is_latency: bool = False) -> Report:
    rows = tuple(
        measured(Figure(SUBJECT, PACKED, (speed,), 0.1), is_latency=is_latency, num_threads=n)
        for n, speed in speeds
    )
    return dataclasses.replace(report(), measured=rows)


def test_efficiency_is_the_share_of_a_speed_that_grows_as_the_threads_do():
    rows = by_threads((1, 100), (2, 190), (8, 400)).scalings()
    assert [(r.num_threads, r.times, r.efficiency) for r in rows] == [
        (1, 1, 1),
        (2, 1.9, 0.95),
        (8, 4, 0.5),
    ]


def test_half_the_latency_with_twice_the_threads_is_an_efficiency_of_1():
    rows = by_threads((4, 5), (2, 10), is_latency=True).scalings()
    assert [(r.num_threads, r.times, r.efficiency) for r in rows] == [(2, 1, 1), (4, 2, 1)]


def test_one_number_of_threads_has_nothing_to_scale():
    assert by_threads((2, 100)).scalings() == []


def test_every_model_has_its_comparisons_and_its_own_title(capsys):
    two = (measured(OURS, SLOW, model="small"), measured(OURS_BF16, SLOW, model="large"))
    whole = dataclasses.replace(report(), measured=two)
    assert [(c.model, c.ratio.label) for c in whole.comparisons()] == [
        ("small", SUBJECT),
        ("large", OURS_BF16.label),
    ]
    Console(width=200).print(as_tables(whole))
    assert "large, mixed: pairs [of mixed length]" in capsys.readouterr().out


def test_a_refusal_repeated_for_every_number_of_threads_is_told_once(capsys):
    whole = report(OURS)
    whole = dataclasses.replace(whole, engines=whole.engines * 2)
    Console(width=200).print(as_tables(whole))
    assert capsys.readouterr().out.count("FlashRank int8") == 1


@pytest.mark.parametrize("is_latency", [True, False])
def test_the_report_becomes_a_png(tmp_path, is_latency):
    picture = pytest.importorskip("twopass.benchmarks.engines.picture", reason="needs matplotlib")
    whole = report()
    whole = Report(
        whole.machine,
        2,
        whole.engines,
        (measured(OURS, SLOW, SLOW_SORTED, is_latency=is_latency), measured()),
    )
    picture.save_picture(whole, tmp_path / "engines.png")
    assert (tmp_path / "engines.png").read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
