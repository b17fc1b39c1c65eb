"""The picture of a run, as SVG and in characters."""

from xml.etree import ElementTree

import numpy as np
import pytest

from twopass.client import Collection
from twopass.commands.tuning_report import answer_lines, as_json, plot_lines
from twopass.evaluation.tuning.arithmetic import Qualities
from twopass.evaluation.tuning.choice import Choice, Reason
from twopass.evaluation.tuning.picture import Axes, frontier_svg
from twopass.evaluation.tuning.run import Plan, Tuned
from twopass.evaluation.tuning.settings import Grid
from twopass.evaluation.tuning.trial import Check, Gain, Timed, Tried

from .test_choice import DEEP, DEFAULTS, SHALLOW, WORDS

WAYS = (DEFAULTS, SHALLOW, DEEP, WORDS)
MEANS = (0.70, 0.68, 0.75, 0.40)
TIMES = (80.0, 30.0, 160.0, 5.0)


def tuned(choice=DEEP, reason=Reason.BETTER, kept_back=""):
    described = Collection(**dict.fromkeys(Collection.__dataclass_fields__) | {"name": "<docs>"})
    made = Choice(choice, reason, WAYS, (WORDS, SHALLOW, DEFAULTS, DEEP), DEEP, 0.001, 4, 0.05, 90)
    return Tuned(
        plan=Plan(
            collection=described, defaults=DEFAULTS, grid=Grid(), num_queries=120, most_pairs=1
        ),
        tried=Tried(made, Check.HALVES, Gain(60, 0.70, 0.75, 0.01, 0.09, 0.004), kept_back),
        qualities=dict(zip(WAYS, MEANS, strict=True)),
        milliseconds=dict(zip(WAYS, TIMES, strict=True)),
        times={
            way: Timed(milliseconds, (milliseconds, milliseconds), 1.0)
            for way, milliseconds in zip(WAYS[:3], TIMES[:3], strict=True)
        },
        judged=(0.9, 0.9),
        measured=Qualities(WAYS, np.zeros((4, 1)), ("q",)),
        num_pairs=1,
        seconds=1.0,
    )


@pytest.mark.parametrize("choice", WAYS)
def test_the_svg_is_xml_and_marks_defaults_and_choice(choice):
    found = tuned(choice, Reason.NOTHING_BETTER if choice == DEFAULTS else Reason.BETTER)
    drawn = frontier_svg(found)
    ElementTree.fromstring(drawn)  # drawn just now
    assert "&lt;docs&gt;" in drawn
    assert ("defaults, kept" in drawn) == (choice == DEFAULTS)
    assert (">chosen<" in drawn) == (choice != DEFAULTS)


def test_a_point_is_the_further_to_the_right_the_longer_it_takes_and_the_higher_the_better():
    axes = Axes.of(tuned())
    places = [axes.place(ms, ndcg) for ms, ndcg in zip(TIMES, MEANS, strict=True)]
    by_time = sorted(range(4), key=lambda n: TIMES[n])
    assert sorted(range(4), key=lambda n: places[n][0]) == by_time
    by_quality = sorted(range(4), key=lambda n: -MEANS[n])
    assert sorted(range(4), key=lambda n: places[n][1]) == by_quality
    assert all(5 <= tick <= 160 for tick in axes.time_ticks())
    assert 2 <= len(axes.quality_ticks()) <= 12


@pytest.mark.parametrize("columns", [40, 76])
def test_the_picture_in_characters_fits_its_columns(columns):
    lines = [line.plain for line in plot_lines(tuned(), columns)]
    body = [line for line in lines if "│" in line]
    assert all(len(line) <= columns for line in body)
    drawn = "".join(line.partition("│")[2] for line in body)
    assert drawn.count("D") == drawn.count("X") == 1


def test_the_answer_comes_first_then_how_sure_it_is():
    first, second, *_ = answer_lines(tuned())
    assert first == f"Take: {DEEP.told()}, 80 → 160 ms a search."
    assert "0.700 → 0.750 on 60 queries" in second
    assert "95 % interval +0.010 to +0.090, p 0.004" in second
    first, second, *_ = answer_lines(tuned(kept_back="it is worse on the others"))
    assert first == f"Keep the defaults: {DEFAULTS.told()}."
    assert "was chosen, but it is worse on the others" in second


def test_json_says_all_of_it():
    told = as_json(tuned(), is_made_up=False, is_saved=True)
    assert told["recommended"] == told["chosen"] == DEEP.as_json()
    assert [way["ms"] for way in told["ways"]] == list(TIMES)
