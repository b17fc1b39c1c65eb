"""A training from beginning to end, with a model small enough for seconds."""

import json
import os
import signal
import threading
from dataclasses import replace

import numpy as np
import pytest

torch = pytest.importorskip("torch", reason="needs the extra training")
pytest.importorskip("transformers", reason="needs the extra training")

from twopass.training.computing.cross_encoder import AveragedWeights, CrossEncoder  # noqa: E402
from twopass.training.computing.devices import Computing  # noqa: E402
from twopass.training.examples.layout import PartSize, lay_out  # noqa: E402
from twopass.training.loop import TrainingLoop  # noqa: E402
from twopass.training.measuring import measure, ndcg_by_query  # noqa: E402
from twopass.training.options import TrainingOptions  # noqa: E402
from twopass.training.pairs import TrainingError  # noqa: E402
from twopass.training.reading import opened, read_groups  # noqa: E402

from .processes import children_of, command_of  # noqa: E402

SIZE = PartSize(10_000, 8, 0)
OPTIONS = TrainingOptions(
    steps=60,
    questions=8,
    negatives=7,
    random_negatives=0,
    max_tokens=16,
    learning_rate=3e-3,
    average=0.9,
    teacher_weight=0.0,
    frozen_embeddings=False,
    measure_every=20,
)


@pytest.fixture
def trained(tmp_path, base, make_examples, groups):
    def train(name: str, options: TrainingOptions = OPTIONS, computing: Computing | None = None):
        folder = tmp_path / name
        folder.mkdir(exist_ok=True)
        examples = make_examples(groups, options)
        model = CrossEncoder(base, frozen_embeddings=options.frozen_embeddings, computing=computing)
        loop = TrainingLoop(model, examples, examples, options, folder, computing=computing)
        return loop.run(lambda _: None), model

    return train


def test_a_model_learns_what_its_groups_ask_for(trained, tmp_path):
    measured, _ = trained("run")
    log = (tmp_path / "run" / "log.jsonl").read_text()
    assert measured.first_pass < 0.4
    assert measured.ndcg > 0.9
    assert log.count("development") == 4  # before the first step, then every 20
    assert (tmp_path / "run" / "best" / "model.safetensors").is_file()


@pytest.mark.usefixtures("unmeasured")
def test_an_interrupted_run_ends_with_the_weights_of_a_whole_one(trained, tmp_path):
    class InterruptedTrainingError(Exception):
        pass

    _, whole = trained("whole")
    with pytest.MonkeyPatch.context() as patch:
        original = TrainingLoop._train_step

        def step(loop, prepared_step):
            if loop._step == 30:
                raise InterruptedTrainingError
            return original(loop, prepared_step)

        patch.setattr(TrainingLoop, "_train_step", step)
        with pytest.raises(InterruptedTrainingError):
            trained("parts")
    _, resumed = trained("parts")
    for one, other in zip(whole.parameters(), resumed.parameters(), strict=True):
        assert torch.equal(one, other)
    # The mean of the weights, as it was measured last, and of the losses.
    averaged, losses = (
        [read(tmp_path / name) for name in ("whole", "parts")]
        for read in (last_measured, last_loss)
    )
    assert averaged[0] == averaged[1]
    assert losses[0] == losses[1]


def last_measured(folder):
    return (folder / "current" / "model.safetensors").read_bytes()


def last_loss(folder):
    rows = [json.loads(line) for line in (folder / "log.jsonl").read_text().splitlines()]
    return [row["loss"] for row in rows if "loss" in row][-1]


def test_training_ends_early_when_nothing_becomes_better(trained, tmp_path):
    options = replace(OPTIONS, learning_rate=0.0, steps=1_000, measure_every=2, patience=3)
    trained("idle", options)
    assert '"step": 6' in (tmp_path / "idle" / "log.jsonl").read_text().splitlines()[-1]


def test_frozen_embeddings_stay_as_they_are(trained, base):
    _, model = trained("frozen", replace(OPTIONS, frozen_embeddings=True, steps=3))
    start = CrossEncoder(base, frozen_embeddings=True)
    words = "bert.embeddings.word_embeddings.weight"
    assert torch.equal(model.module.state_dict()[words], start.module.state_dict()[words])
    head = "classifier.weight"
    assert not torch.equal(model.module.state_dict()[head], start.module.state_dict()[head])


def test_of_the_layers_kept_the_first_and_the_last_stay(base):
    whole, small = CrossEncoder(base, frozen_embeddings=True), None
    for layers, kept in ((1, [0]), (2, [0, 1])):
        small = CrossEncoder(base, frozen_embeddings=True, layers=layers)
        assert small.module.config.num_hidden_layers == layers
        for own, number in zip(small.module.bert.encoder.layer, kept, strict=True):
            theirs = whole.module.bert.encoder.layer[number]
            torch.testing.assert_close(own.output.dense.weight, theirs.output.dense.weight)
    with pytest.raises(TrainingError, match=r"layers: 3 given, but .* has 2"):
        CrossEncoder(base, frozen_embeddings=True, layers=3)


def test_a_smaller_model_is_saved_as_such_and_can_be_served(base, make_examples, groups, tmp_path):
    small = CrossEncoder(base, frozen_embeddings=True, layers=1)
    small.save(tmp_path / "small")
    examples = make_examples(groups[:2], OPTIONS)
    logits = read_groups(tmp_path / "small", examples)
    assert [len(of_group) for of_group in logits] == [len(g.passages) for g in groups[:2]]


def test_weights_are_averaged_and_exchanged_back(base):
    model = CrossEncoder(base, frozen_embeddings=True)
    averaged = AveragedWeights(model, 0.75)
    start = [p.detach().clone() for p in model.parameters()]
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 1
    averaged.update()
    averaged.exchange()
    for parameter, old in zip(model.parameters(), start, strict=True):
        torch.testing.assert_close(parameter, old + 0.25)
    averaged.exchange()
    for parameter, old in zip(model.parameters(), start, strict=True):
        torch.testing.assert_close(parameter, old + 1)


def test_the_server_reads_in_a_saved_model_what_was_trained(base, make_examples, groups, tmp_path):
    model = CrossEncoder(base, frozen_embeddings=True)
    model.save(tmp_path / "saved")
    examples = make_examples(groups[:8], replace(OPTIONS, questions=8))
    (part,) = lay_out(examples.sampler().of_step(0), SIZE, examples.pad_id)
    with torch.inference_mode():
        model.begin_step()
        (tensors,) = model.parts([part], [torch.from_numpy(part.array)], SIZE)
        trained = model.logits(tensors).numpy()
    arrays = part.arrays
    with opened(str(tmp_path / "saved")) as reader:
        served = reader.read_pairs(
            arrays.token_ids, arrays.offsets[: part.shape.pairs + 1], arrays.query_lengths
        )
    np.testing.assert_allclose(trained[: part.shape.pairs], served, atol=0.02)  # bf16 against int8


@pytest.fixture
def unmeasured(monkeypatch):
    """Measurements that are as good as the first pass, and take no time."""
    monkeypatch.setattr(
        "twopass.training.loop.read_groups", lambda _, development: development.similarity()
    )


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("packed", [True, False])
def test_any_number_of_processes_trains_the_same_weights(trained, packed):
    """Bit for bit: so do two runs of one seed."""
    options = replace(OPTIONS, steps=8)
    first, *others = (
        trained(str(number), options, Computing(workers=workers, packed=packed))[1]
        for number, workers in enumerate((0, 0, 1, 3))
    )
    for other in others:
        for one, same in zip(first.parameters(), other.parameters(), strict=True):
            assert torch.equal(one, same)


@pytest.mark.usefixtures("unmeasured")
def test_the_log_says_how_long_the_device_waited_for_examples(trained, tmp_path):
    trained("waiting", replace(OPTIONS, steps=20))
    (entry,) = (
        json.loads(line)
        for line in (tmp_path / "waiting" / "log.jsonl").read_text().splitlines()
        if "pairs_per_second" in line
    )
    assert 0 <= entry["waited_for_examples"] <= 1


@pytest.mark.usefixtures("unmeasured")
def test_a_teacher_is_asked_about_each_step_in_order(
    base, make_examples, groups, tmp_path, monkeypatch
):
    """Also from a thread, of what other processes prepared."""
    asked = []

    def teach(part):
        asked.append(part.arrays.token_ids.tolist())
        part.arrays.teaching[:] = 0

    monkeypatch.setattr("twopass.training.loop._STEPS_TAUGHT_AHEAD", {"cpu": 2})
    examples = make_examples(groups, OPTIONS)
    model = CrossEncoder(base, frozen_embeddings=True)
    options = replace(OPTIONS, steps=6, measure_every=6)
    (tmp_path / "run").mkdir()
    loop = TrainingLoop(
        model, examples, examples, options, tmp_path / "run", teach, Computing(workers=2)
    )
    loop.run(lambda _: None)
    expected = [
        part.arrays.token_ids.tolist()
        for step in range(6)
        for part in lay_out(examples.sampler().of_step(step), model.part_size(None), 0)
    ]
    assert asked == expected


@pytest.mark.usefixtures("unmeasured")
def test_a_training_that_ends_early_does_not_wait_for_examples_that_nobody_will_free(
    base, make_examples, groups, tmp_path, monkeypatch
):
    """One process, and a thread that has its steps taught ahead."""
    monkeypatch.setattr("twopass.training.loop._STEPS_TAUGHT_AHEAD", {"cpu": 2})
    options = replace(OPTIONS, steps=1_000, measure_every=4, patience=1)
    examples = make_examples(groups, options)
    model = CrossEncoder(base, frozen_embeddings=True)
    computing = Computing(workers=1)
    loop = TrainingLoop(model, examples, examples, options, tmp_path, lambda _: None, computing)
    run = threading.Thread(target=loop.run, args=(lambda _: None,), daemon=True)
    run.start()
    run.join(60)
    waits = run.is_alive()
    for child in children_of(os.getpid()) if waits else ():  # so that it ends all the same
        if "examples.worker" in command_of(child):
            os.kill(child, signal.SIGKILL)
    assert not waits


@pytest.mark.usefixtures("unmeasured")
@pytest.mark.parametrize("packed", [True, False])
def test_a_loss_that_is_no_number_ends_the_training_and_names_the_learning_rate(trained, packed):
    options = replace(OPTIONS, learning_rate=1e30, steps=40)
    with pytest.raises(TrainingError, match=r"learning_rate: with 1e\+30 the loss is .* step 20"):
        trained("astray", options, Computing(packed=packed))


def test_what_is_no_number_is_nobodys_better():
    similarity = [np.array([1, 2, 3], np.float32)]
    logits = [np.array([np.nan, 2, 1], np.float32)]
    assert ndcg_by_query(similarity, logits, 0.0) == pytest.approx([0.5])  # the third of three


def test_ndcg_is_that_of_the_first_of_each_group():
    similarity = [np.array(s, np.float32) for s in ([3, 2, 1], [1, 2, 3], [2, 2, 1])]
    logits = [np.array(s, np.float32) for s in ([1, 2, 3], [3, 2, 1], [5, 1, 1])]
    second = 1 / np.log2(3)
    assert ndcg_by_query(similarity, logits, 1.0) == pytest.approx([1, 0.5, second])
    assert ndcg_by_query(similarity, logits, 0.0) == pytest.approx([0.5, 1, 1])
    measured = measure(similarity, logits, 7)
    assert (measured.first_pass, measured.alone) == pytest.approx(((1.5 + second) / 3, 2.5 / 3))
    assert measured.ndcg >= measured.alone


def test_a_tie_counts_against_the_answer_and_beyond_ten_nothing_counts():
    equal = [np.ones(9, np.float32), np.ones(11, np.float32)]
    assert ndcg_by_query(equal, equal, 0.5) == pytest.approx([1 / np.log2(10), 0.0])
