"""An engine has its own process, which stands still but for its turns; failures have reasons."""

import dataclasses
import os
import signal
import time
from pathlib import Path

import numpy as np
import pytest

from twopass.benchmarks.engines.adapters.base import Source
from twopass.benchmarks.engines.batching import Order
from twopass.benchmarks.engines.measuring import Model, engine_field
from twopass.benchmarks.engines.processes import EngineProcess, EngineRefusedError
from twopass.benchmarks.engines.roster import CONTENDERS, REFERENCE, SUBJECT, chosen
from twopass.benchmarks.engines.worker import Case
from twopass.benchmarks.engines.workloads import Workload, WorkloadName
from twopass.engines.base.sequences import Ragged, TokenBatch
from twopass.engines.model.folder import open_model

BY_LABEL = {c.label: c for c in CONTENDERS}


@pytest.fixture(scope="module")
def folder():
    return open_model("twopass-minilm-l6")


@pytest.fixture
def batch(golden) -> TokenBatch:
    """The golden pairs, whose logits torch has computed."""
    pairs = Ragged.from_rows(golden.pair_ids)
    separators = [ids.index(102) + 1 for ids in golden.pair_ids]
    return TokenBatch(pairs.token_ids, pairs.offsets, np.array(separators, np.int32))


def started(label: str, folder, exports: Path) -> EngineProcess:
    contender = BY_LABEL[label]
    return EngineProcess(contender, Source(folder, contender.precision, exports, ()), 1)


def state(pid: int) -> str:
    """One letter of the kernel's: T is stopped."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]


def comes_to_stop(pid: int) -> bool:
    """Whether it is stopped within a minute: a signal takes effect a moment after it is sent."""
    for _ in range(6_000):
        if state(pid) == "T":
            return True
        time.sleep(0.01)
    return False


def only_child() -> int:
    (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()[-1:]
    return int(pid)


@pytest.mark.slow
def test_turns_give_times_and_results_in_the_order_given(golden, batch, folder, tmp_path):
    engine = started(REFERENCE, folder, tmp_path)
    try:
        for order in Order:
            turn = engine.take_turn(Case(order.value, batch, order, passes=2))
            assert 1 <= len(turn.seconds) <= 2  # no second pass after a first of three seconds
            assert min(turn.seconds) > 0
            np.testing.assert_allclose(turn.results, golden.logits, atol=2e-3)
    finally:
        engine.close()


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="needs Linux's /proc")
def test_a_process_is_stopped_until_its_turn_and_gone_when_closed(folder, tmp_path):
    engine = started(REFERENCE, folder, tmp_path)
    pid = only_child()
    try:
        assert comes_to_stop(pid)
    finally:
        engine.close()
    assert not Path(f"/proc/{pid}").exists()


def test_what_an_adapter_can_not_import_is_the_reason(folder, tmp_path):
    missing = dataclasses.replace(BY_LABEL[SUBJECT], module="of_no_such_name")
    with pytest.raises(EngineRefusedError, match=r"ModuleNotFoundError: .*of_no_such_name"):
        EngineProcess(missing, Source(folder, missing.precision, tmp_path, ()), 1)


def test_an_engine_named_but_not_measured_says_why(folder, tmp_path):
    with pytest.raises(EngineRefusedError, match="takes texts"):
        started("FlashRank int8", folder, tmp_path)


@pytest.mark.slow
def test_a_process_that_dies_is_refused_and_the_others_go_on(batch, folder, tmp_path):
    workload = Workload(WorkloadName.MIXED, "golden", batch, (Order.GIVEN,), num_rounds=1)
    with engine_field(lambda _: None, Model(folder, tmp_path, ()), 1) as field:
        field.enter(BY_LABEL[REFERENCE])
        field.enter(BY_LABEL[SUBJECT])
        os.kill(only_child(), signal.SIGKILL)
        measured = field.measure(workload)
        refusals = {e.contender.label: e.refusal for e in field.engines}
    assert [f.label for f in measured.figures] == [REFERENCE]
    assert "exit code -9" in refusals[SUBJECT]
    assert refusals[REFERENCE] == ""


@pytest.mark.slow
def test_every_engine_is_measured_in_each_order_and_a_packed_one_once(batch, folder, tmp_path):
    workload = Workload(WorkloadName.MIXED, "golden", batch, tuple(Order), num_rounds=2)
    with engine_field(lambda _: None, Model(folder, tmp_path, ()), 1) as field:
        for label in (SUBJECT, REFERENCE):
            field.enter(BY_LABEL[label])
        figures = field.measure(workload).figures
    assert [(f.label, f.order) for f in figures] == [
        (SUBJECT, "packed"),
        (REFERENCE, Order.GIVEN),
        (REFERENCE, Order.LENGTH_SORTED),
    ]
    assert all(len(f.rounds) == 2 for f in figures)
    assert figures[1].largest_difference == 0
    assert 0 < figures[0].largest_difference < 0.5  # int8's logits against f32's


@pytest.mark.slow
def test_a_reference_that_is_not_timed_still_gives_the_results_compared_with(
    batch, folder, tmp_path
):
    workload = Workload(WorkloadName.MIXED, "golden", batch, (Order.GIVEN,), num_rounds=1)
    with engine_field(lambda _: None, Model(folder, tmp_path, ()), 1) as field:
        for contender in chosen([SUBJECT]):
            field.enter(contender)
        (figure,) = field.measure(workload).figures
    assert figure.label == SUBJECT
    assert 0 < figure.largest_difference < 0.5  # int8's logits against f32's
