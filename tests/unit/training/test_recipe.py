"""A run goes on with what it was begun with, and with nothing else."""

from dataclasses import replace

import pytest

from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.recipe import Recipe, hold_to


@pytest.fixture
def pairs(tmp_path):
    file = tmp_path / "pairs.jsonl"
    file.write_text('{"query": "q", "positive": "p"}\n')
    return file


def recipe_of(pairs, **changes):
    recipe = Recipe.of([pairs], {"pairs*": 0.5}, "encoder", "base", TrainingOptions())
    return replace(recipe, **changes)


def test_the_same_recipe_goes_on(tmp_path, pairs):
    for _ in range(2):
        hold_to(recipe_of(pairs), tmp_path / "run")


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"base": "other"}, "base: other given, but the run in .* was begun with base;"),
        ({"encoder": "other"}, "encoder: other given"),
        ({"shares": {}}, "shares: {} given"),
        ({"options": TrainingOptions(steps=7)}, "steps: 7 given, .* begun with 4000"),
    ],
)
def test_another_one_is_refused_and_what_differs_is_named(tmp_path, pairs, changes, reason):
    hold_to(recipe_of(pairs), tmp_path / "run")
    with pytest.raises(TrainingError, match=reason):
        hold_to(recipe_of(pairs, **changes), tmp_path / "run")


def test_pairs_that_have_changed_since_are_noticed(tmp_path, pairs):
    hold_to(recipe_of(pairs), tmp_path / "run")
    pairs.write_text("")
    with pytest.raises(TrainingError, match="pairs: "):
        hold_to(recipe_of(pairs), tmp_path / "run")


def test_a_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(TrainingError, match=r"absent\.jsonl: No such file"):
        recipe_of(tmp_path / "absent.jsonl")


def test_a_damaged_note_is_named(tmp_path, pairs):
    (tmp_path / "recipe.json").write_text("[")
    with pytest.raises(TrainingError, match=r"recipe\.json: damaged"):
        hold_to(recipe_of(pairs), tmp_path)
