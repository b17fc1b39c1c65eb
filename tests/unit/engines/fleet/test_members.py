"""Who may be a member of a fleet, and what a fleet is by its members."""

import math
from dataclasses import replace

import pytest

from twopass.engines.base.engine import PaddedLayout
from twopass.engines.base.sequences import Float32s, TokenBatch
from twopass.engines.errors import MisfitError

from .acting import ActingEngine, Clock, Deed, batch_of
from .fleets import SOUND, always, fleet_on, joined, run


def test_the_figures_follow_the_members():
    clock = Clock()
    fleet = fleet_on(clock)
    first = ActingEngine(clock, always(SOUND), max_in_flight=2, batch_seconds=0.02)
    fleet.join("a", first)
    assert fleet.info == first.info
    fleet.join("b", ActingEngine(clock, always(SOUND), max_in_flight=3, max_batch_tokens=512))
    assert (fleet.info.max_in_flight, fleet.info.max_batch_tokens) == (5, 512)
    assert fleet.info.batch_seconds == 0.01
    fleet.leave("a")
    assert (fleet.info.max_in_flight, fleet.info.batch_seconds) == (3, 0.02)
    fleet.leave("b")
    assert fleet.info.max_in_flight == 3  # so that batches come, and fail at once


def test_a_fleet_has_graphs_where_all_of_it_have():
    clock = Clock()
    fleet = fleet_on(clock)
    first, second = ActingEngine(clock, always(SOUND)), ActingEngine(clock, always(SOUND))
    first.info = replace(first.info, has_graphs=True)
    fleet.join("a", first)
    assert fleet.info.has_graphs
    fleet.join("b", second)
    assert not fleet.info.has_graphs
    fleet.leave("b")
    assert fleet.info.has_graphs


def test_a_batch_without_a_bound_on_its_time_has_none_in_a_fleet():
    clock = Clock()
    fleet = fleet_on(clock)
    for name in "ab":
        fleet.join(name, ActingEngine(clock, always(SOUND), batch_seconds=math.inf))
    assert fleet.info.batch_seconds == math.inf


@pytest.mark.parametrize(
    ("other", "named"),
    [
        ({"precision": "int8"}, "acting int8"),
        ({"engine": "cpu"}, "cpu f32"),
        ({"device": "another"}, "another"),
    ],
    ids=["precision", "engine", "device"],
)
def test_a_member_that_computes_otherwise_is_refused_by_what_differs(other, named):
    clock = Clock()
    fleet = fleet_on(clock)
    fleet.join("a", ActingEngine(clock, always(SOUND)))
    with pytest.raises(MisfitError, match=named):
        fleet.join("b", ActingEngine(clock, always(SOUND), **other))
    assert [member.name for member in fleet.members] == ["a"]


def test_kernels_that_round_alike_are_of_one_fleet():
    clock = Clock()
    fleet = fleet_on(clock)
    for device in ("avx2", "neon", "neon_dotprod"):
        fleet.join(device, ActingEngine(clock, always(SOUND), engine="cpu", device=device))
    assert fleet.info.device == "avx2, neon, neon_dotprod"
    with pytest.raises(MisfitError):
        fleet.join("d", ActingEngine(clock, always(SOUND), engine="cpu", device="avx512_vnni"))


def test_after_the_last_member_another_kind_may_come():
    clock = Clock()
    fleet = fleet_on(clock)
    fleet.join("a", ActingEngine(clock, always(SOUND), precision="int8"))
    fleet.leave("a")
    fleet.join("b", ActingEngine(clock, always(SOUND), precision="f32"))
    assert fleet.info.precision == "f32"


def test_a_mixed_fleet_takes_all_and_says_of_what_it_is():
    clock = Clock()
    fleet = fleet_on(clock, is_mixed=True)
    fleet.join("a", ActingEngine(clock, always(SOUND), engine="cpu", precision="int8"))
    padded = PaddedLayout((32, 64))
    fleet.join(
        "b", ActingEngine(clock, always(SOUND), engine="torch", precision="fp16", layout=padded)
    )
    assert (fleet.info.engine, fleet.info.precision) == ("cpu+torch", "fp16+int8")
    assert fleet.info.layout == padded


def test_a_member_for_shorter_sequences_is_refused_whatever_a_fleet_is():
    clock = Clock()
    fleet = fleet_on(clock, is_mixed=True)
    fleet.join("a", ActingEngine(clock, always(SOUND)))
    with pytest.raises(MisfitError, match="max_seq_len 32 tokens, at least 64 are needed"):
        fleet.join("b", ActingEngine(clock, always(SOUND), max_seq_len=32))


def test_a_member_that_comes_again_takes_its_own_place():
    clock = Clock()
    fleet, engines = joined(clock, a=always(Deed(seconds=1)))
    answer = fleet.submit(batch_of(1))
    fleet.join("a", again := ActingEngine(clock, always(SOUND)))
    fleet.submit(batch_of(2))
    assert (len(engines["a"].batches), len(again.batches)) == (1, 1)
    run(fleet, clock, 2)
    assert answer.result(0).tolist() == [1]


def test_the_speed_of_a_fleet_is_that_of_all_members_however_few_are_at_work():
    clock = Clock()
    fleet, _ = joined(clock, a=always(Deed(seconds=0.01)), b=always(Deed(seconds=0.02)))
    assert fleet.tokens_per_second == 0
    for n in range(2):
        fleet.submit(batch_of(n, num_tokens=10))
    run(fleet, clock, 1)
    assert fleet.tokens_per_second == pytest.approx(1_000 + 500)
    fleet.join("c", ActingEngine(clock, always(SOUND)))
    assert fleet.tokens_per_second == pytest.approx(1_500 * 3 / 2)  # as fast as the others


def test_closing_a_fleet_closes_its_members():
    fleet, engines = joined(Clock(), a=always(SOUND), b=always(SOUND))
    fleet.close()
    assert all(engine.is_closed for engine in engines.values())


def test_vectors_of_tokens_come_from_members_that_give_them():
    class Tokens(ActingEngine):
        token_width = 2

        def submit_tokens(self, batch: TokenBatch):
            return self.submit(batch)

    clock = Clock()
    fleet = fleet_on(clock)
    fleet.join("a", tokens := Tokens(clock, always(SOUND)))
    fleet.join("b", other := ActingEngine(clock, always(SOUND)))
    assert fleet.token_width == 2
    answers: list[Float32s] = []
    for n in range(4):
        fleet.submit_tokens(batch_of(n)).add_done_callback(lambda f: answers.append(f.result()))
    run(fleet, clock, 1)
    assert (len(tokens.batches), len(other.batches), len(answers)) == (4, 0, 4)
