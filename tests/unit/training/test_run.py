"""A whole training: from mined groups to a model that a server loads, or to none."""

import json
from dataclasses import replace

import pytest

pytest.importorskip("torch", reason="needs the extra training")
pytest.importorskip("transformers", reason="needs the extra training")

from twopass.engines.model.folder import open_model
from twopass.training.mined import Mined
from twopass.training.options import TrainingOptions
from twopass.training.pairs import TrainingError
from twopass.training.reading import opened
from twopass.training.run import train

from .conftest import PASSAGES

OPTIONS = TrainingOptions(
    steps=60,
    questions=8,
    random_negatives=0,
    max_tokens=16,
    learning_rate=3e-3,
    average=0.9,
    teacher_weight=0.0,
    frozen_embeddings=False,
    development_one_in=3,
    measure_every=20,
)


@pytest.fixture
def trained(groups, base, tmp_path):
    def run(options=OPTIONS, of=base):
        reports = []
        mined = Mined(PASSAGES, groups)
        folder = tmp_path / "colours"
        return train(mined, str(of), folder, options, "twopass train it", reports.append), reports

    return run


def test_a_better_model_is_written_with_what_was_chosen_and_found(trained, tmp_path):
    outcome, _ = trained()
    verdict = outcome.verdict
    assert outcome.folder == tmp_path / "colours" / "model"
    assert verdict.first_pass < verdict.rival < verdict.trained
    assert verdict.p_value < 0.05
    spec = open_model(str(outcome.folder)).spec
    assert (spec.blend, spec.max_seq_len, spec.max_passage_tokens) == (outcome.blend, 32, 16)
    assert (spec.calibration.a, spec.calibration.b) == (
        outcome.calibration.a,
        outcome.calibration.b,
    )
    with opened(str(outcome.folder)) as reader:
        assert reader.model.spec.id
    card = (outcome.folder / "README.md").read_text()
    assert card.startswith("# colours\n")
    assert "twopass train it" in card
    assert f"| {verdict.first_pass:.4f} | {verdict.rival:.4f} | {verdict.trained:.4f} |" in card
    sums = json.loads((outcome.folder / "twopass.json").read_text())["sha256"]
    assert set(sums) == {"config.json", "model.safetensors", "tokenizer.json"}


def test_a_run_that_has_ended_tells_the_same_again_without_a_step(trained):
    options = replace(OPTIONS, steps=20)
    first, reports = trained(options)
    again, more = trained(options)
    assert reports
    assert not more
    assert again == first


def test_a_model_that_is_no_better_is_not_written(trained, tmp_path):
    outcome, _ = trained(replace(OPTIONS, learning_rate=0.0, steps=2))
    assert outcome.folder is None
    assert not (tmp_path / "colours" / "model").exists()
    assert outcome.verdict.trained == pytest.approx(outcome.verdict.rival, abs=0.1)


def test_pairs_longer_than_the_base_reads_are_refused(trained):
    with pytest.raises(TrainingError, match=r"max_tokens: 33 given, .* at most 32 tokens"):
        trained(replace(OPTIONS, max_tokens=33))
