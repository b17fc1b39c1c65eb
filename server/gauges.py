"""The gauges of the metrics: what waits, how fast engines are, what caches and collections hold."""

import time
from collections.abc import Iterator, Sequence
from typing import Any

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric

from twopass.engines.base.engine import SharingEngine
from twopass.engines.base.model import LoadedModel
from twopass.engines.fleet.fleet import Fleet
from twopass.index.base.store import StoreCounts
from twopass.index.lanes import Lane
from twopass.server.edge.gate import Gate
from twopass.server.feedback.records import FeedbackRecords
from twopass.server.models.caches import ByteCache
from twopass.server.scheduling.backlog import Backlog
from twopass.server.search.score_cache import ScoreCache
from twopass.server.shadowing.results import ShadowResult
from twopass.server.store_watch import StoreWatch
from twopass.server.telemetry.metrics import gauge


def backlog_gauges(backlog: Backlog, models: Sequence[LoadedModel]) -> Iterator[GaugeMetricFamily]:
    """Yields what waits, by kind, and the measured speed of each engine."""
    now = time.perf_counter()
    waiting = {p.name.lower(): list(queue) for p, queue in backlog.queues.items()}
    yield gauge(
        "queue_pairs",
        "Pairs and texts that wait for an engine.",
        "kind",
        {kind: sum(len(job.waiting) for job in jobs) for kind, jobs in waiting.items()},
    )
    yield gauge(
        "queue_tokens",
        "Tokens that wait for an engine.",
        "kind",
        {kind: sum(job.waiting_tokens for job in jobs) for kind, jobs in waiting.items()},
    )
    yield gauge(
        "queue_age_seconds",
        "How long the oldest waiting request has waited.",
        "kind",
        {
            kind: max((now - job.submitted for job in jobs), default=0.0)
            for kind, jobs in waiting.items()
        },
    )
    yield gauge(
        "engine_tokens_per_second",
        "Measured speed of the engine, recent batches counting most.",
        "model",
        {m.spec.id: backlog.service_times[m.engine].tokens_per_second for m in models},
    )


def shared_token_counts(models: Sequence[LoadedModel]) -> Iterator[Metric]:
    """Yields how many tokens of batches were not computed, since others began with the same."""
    shared = CounterMetricFamily(
        "twopass_shared_tokens",
        "Tokens of batches that were not computed again, since other sequences began with them.",
        labels=["model"],
    )
    for model in models:
        if isinstance(model.engine, SharingEngine):
            shared.add_metric([model.spec.id], model.engine.num_shared_tokens)
    yield shared


def fleet_gauges(models: Sequence[LoadedModel]) -> Iterator[Metric]:
    """Yields what each engine of a fleet has computed, how fast it is, and what it owes."""
    labels = ["model", "engine"]
    members = GaugeMetricFamily(
        "twopass_fleet_members",
        "Engines that compute the model: 1 each, 0 for one that owes an answer for too long.",
        labels=labels,
    )
    speeds = GaugeMetricFamily(
        "twopass_fleet_tokens_per_second",
        "Measured speed of one engine of several, recent batches counting most.",
        labels=labels,
    )
    held = GaugeMetricFamily(
        "twopass_fleet_batches_held", "Batches that an engine of several holds.", labels=labels
    )
    batches = CounterMetricFamily(
        "twopass_fleet_batches", "Batches computed by one engine of several.", labels=labels
    )
    for model in models:
        if not isinstance(model.engine, Fleet):
            continue
        for member in model.engine.members:
            named = [model.spec.id, member.name]
            members.add_metric(named, float(not member.is_suspected))
            speeds.add_metric(named, member.tokens_per_second)
            held.add_metric(named, member.num_held)
            batches.add_metric(named, member.num_batches)
    yield from (members, speeds, held, batches)


def server_gauges(
    gate: Gate, caches: Sequence[ByteCache[Any]], scores: ScoreCache | None = None
) -> Iterator[Metric]:
    """Yields the calls under way, and what the caches take."""
    yield gauge("calls", "Calls under way, streams included.", "state", {"open": gate.num_calls})
    yield gauge(
        "request_bytes",
        "Bytes of requests under way.",
        "state",
        {"open": gate.bytes_in_flight.num_bytes},
    )
    every: list[ByteCache[Any] | ScoreCache] = [*caches]
    every += [] if scores is None else [scores]
    yield gauge("cache_bytes", "Memory of a cache.", "cache", {c.name: c.num_bytes for c in every})
    yield gauge("cache_entries", "What a cache holds.", "cache", {c.name: len(c) for c in every})
    evictions = CounterMetricFamily(
        "twopass_cache_evictions",
        "Entries of a cache that gave their place to others.",
        labels=["cache"],
    )
    twice = CounterMetricFamily(
        "twopass_cache_computed_twice",
        "Values that were kept already when they had been computed, by calls side by side.",
        labels=["cache"],
    )
    if scores is not None:
        evictions.add_metric([scores.name], scores.num_evictions)
        twice.add_metric([scores.name], scores.num_computed_twice)
    yield from (evictions, twice)


def lane_gauges(lanes: Sequence[Lane]) -> Iterator[Metric]:
    """Yields the running and waiting calls of each lane, and how late calls ended."""
    calls = GaugeMetricFamily(
        "twopass_lane_calls",
        "Blocking calls that run, and that wait for a thread, by lane.",
        labels=["lane", "state"],
    )
    for lane in lanes:
        calls.add_metric([lane.name, "running"], lane.num_running)
        calls.add_metric([lane.name, "waiting"], lane.num_waiting)
    yield calls
    yield gauge(
        "lane_threads",
        "Threads of a lane: the most of its calls that run at once.",
        "lane",
        {lane.name: lane.num_threads for lane in lanes},
    )
    yield gauge(
        "lane_longest_overrun_seconds",
        "Longest time that a call ran on after nobody needed it any more, since the start.",
        "lane",
        {lane.name: lane.longest_overrun for lane in lanes},
    )


def fallback_counts(store: StoreWatch) -> Iterator[Metric]:
    """Yields how often the CPU took over from a GPU."""
    fallbacks = CounterMetricFamily(
        "twopass_vector_fallbacks",
        "Times the CPU took over a collection's vectors from a GPU, for good.",
    )
    fallbacks.add_metric([], store.num_vector_fallbacks)
    yield fallbacks


def vector_device_gauges(store: StoreWatch) -> Iterator[Metric]:
    """Yields what searches of vectors have had of a GPU."""
    use = store.device_use
    copies = GaugeMetricFamily(
        "twopass_vector_copies", "Indexes of collections whose copy on a GPU answers searches."
    )
    copies.add_metric([], use.num_copies)
    yield copies
    num_bytes = GaugeMetricFamily(
        "twopass_vector_copies_bytes",
        "Memory of the GPU that these copies and their searches take, by estimate.",
    )
    num_bytes.add_metric([], use.num_bytes)
    yield num_bytes
    for name, told, count in (
        ("twopass_vector_device_calls", "Searches of a copy on a GPU.", use.num_calls),
        (
            "twopass_vector_device_queries",
            "Queries that a copy on a GPU was asked for; calls have several.",
            use.num_queries,
        ),
        ("twopass_vector_device_seconds", "Time spent in calls of a GPU.", use.seconds),
        (
            "twopass_vector_device_passed_on",
            "Queries that the CPU answered since the GPU could not.",
            use.num_passed_on,
        ),
    ):
        counted = CounterMetricFamily(name, told)
        counted.add_metric([], count)
        yield counted


def feedback_gauges(records: FeedbackRecords) -> Iterator[Metric]:
    """Yields what came in as feedback, how much is kept, and how many answers are known."""
    events = CounterMetricFamily(
        "twopass_feedback_events",
        "Clicks and judgements that came in, by what became of them.",
        labels=["kind", "outcome"],
    )
    for (kind, outcome), number in list(records.counts.items()):
        events.add_metric([kind.name.lower(), outcome], number)
    yield events
    store = records.store
    yield gauge(
        "feedback_kept",
        "Clicks and judgements that are kept, and answers that are known by their search_id.",
        "what",
        {"rows": 0 if store is None else store.num_rows, "answers": len(records.shown)},
    )


def shadow_gauges(results: Sequence[ShadowResult]) -> Iterator[Metric]:
    """Yields what became of shadows' searches, and what they have found."""
    searches = CounterMetricFamily(
        "twopass_shadow_searches",
        "Searches that a shadow was drawn for, by what became of them.",
        labels=["shadow", "outcome"],
    )
    labels = ["shadow", "collection", "measure"]
    agreement = GaugeMetricFamily(
        "twopass_shadow_agreement",
        "How alike the shadow's order and the live one are, 0 to 1: equal_first, overlap of the "
        "first ten, rank_biased_overlap.",
        labels=labels,
    )
    difference = GaugeMetricFamily(
        "twopass_shadow_difference",
        "Mean of shadow less live over searches with feedback, -1 to 1.",
        labels=labels,
    )
    p_value = GaugeMetricFamily(
        "twopass_shadow_p_value",
        "Probability that chance alone makes so much evidence of that difference; valid whenever "
        "looked at.",
        labels=labels,
    )
    for result in results:
        name = result.spec.name
        for outcome, number in result.counts.items():
            searches.add_metric([name, outcome.value], number)
        for one in result.comparisons:
            of = [name, one.collection]
            agreement.add_metric([*of, "equal_first"], one.equal_first)
            agreement.add_metric([*of, "overlap"], one.overlap)
            agreement.add_metric([*of, "rank_biased_overlap"], one.rank_biased_overlap)
            for each in one.differences:
                difference.add_metric([*of, each.measure.value], each.mean)
                p_value.add_metric([*of, each.measure.value], each.p_value)
    yield from (searches, agreement, difference, p_value)


def store_gauges(store: StoreWatch) -> Iterator[GaugeMetricFamily]:
    """Yields whether the store can be used."""
    yield gauge(
        "store_up",
        "Whether the store of the collections can be used, 1 or 0, as far as is known.",
        "store",
        {store.kind: 0.0 if store.problem else 1.0},
    )


def collection_gauges(counts: StoreCounts) -> Iterator[Metric]:
    """Yields what the collections hold, and how many of them are open."""
    yield gauge(
        "collection_documents",
        "Documents in a collection, of those that were opened or listed since the start.",
        "collection",
        {found.name: found.num_documents for found in counts.summaries},
    )
    yield gauge(
        "collections",
        "Collections: all that are known, those that are open, and those that could not be opened.",
        "state",
        {"known": counts.num_known, "open": counts.num_open, "failed": counts.num_failed},
    )
    openings = CounterMetricFamily(
        "twopass_collection_openings",
        "Collections opened, and closed to make room.",
        labels=["kind"],
    )
    openings.add_metric(["opened"], counts.num_opened)
    openings.add_metric(["closed"], counts.num_closed)
    yield openings
