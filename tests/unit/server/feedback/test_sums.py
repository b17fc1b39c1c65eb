"""What a front remembers of its comparisons, which end with it."""

from twopass.server.feedback import sums
from twopass.server.feedback.sums import Seen, SumsInMemory


def of(collection: str, query: str) -> Seen:
    return collection, query, "deep", 1


async def test_a_query_is_compared_once_and_sums_begin_with_the_server():
    kept = SumsInMemory()
    await kept.write_sums({("deep", "docs"): ("v1", "{}")}, [of("docs", "q")])
    assert await kept.not_seen([of("docs", "q"), of("docs", "r")]) == [of("docs", "r")]
    assert await kept.read_sums() == {}


async def test_what_was_seen_goes_and_moves_with_its_collection():
    kept = SumsInMemory()
    both = [of("docs", "q"), of("papers", "q")]
    await kept.write_sums({}, both)
    kept.rename("docs", "notes")
    assert await kept.not_seen([*both, of("notes", "q")]) == [of("docs", "q")]
    kept.rename("papers", None)
    assert await kept.not_seen([of("papers", "q"), of("notes", "q")]) == [of("papers", "q")]


async def test_the_oldest_is_forgotten_where_there_is_too_much(monkeypatch):
    monkeypatch.setattr(sums, "_MAX_SEEN", 2)
    kept = SumsInMemory()
    seen = [of("docs", query) for query in "abc"]
    await kept.write_sums({}, seen)
    assert await kept.not_seen(seen) == seen[:1]
