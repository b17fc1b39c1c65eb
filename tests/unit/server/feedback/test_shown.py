from hypothesis import given
from hypothesis import strategies as st

from twopass.server.feedback.shown import ShownSearches

IDS = ["a", "b", "c"]


def added(shown: ShownSearches, query_id: str = "", offset: int = 0) -> str:
    return shown.add("docs", IDS, query_id=query_id, text="", offset=offset)


def test_an_answer_is_known_by_an_id_that_is_long_and_never_the_same():
    shown = ShownSearches(1_000_000)
    ids = {added(shown) for _ in range(200)}
    assert len(ids) == 200
    assert {len(each) for each in ids} == {22}  # 128 bits


def test_ranks_are_counted_from_the_first_hit_of_all_pages():
    shown = ShownSearches(10_000)
    found = shown.get(added(shown, offset=10))
    assert found is not None
    assert [found.rank(each) for each in ("a", "c", "x")] == [11, 13, 0]


def test_the_oldest_answers_are_forgotten_where_memory_is_short():
    shown = ShownSearches(5_000)
    ids = [added(shown) for _ in range(20)]
    known = [each for each in ids if shown.get(each) is not None]
    assert known == ids[-len(known) :]
    assert 5 <= len(known) < 20
    assert shown.num_bytes <= 5_000


def test_without_memory_nothing_is_known():
    shown = ShownSearches(0)
    assert shown.get(added(shown)) is None
    assert shown.num_bytes == 0


def test_answers_to_a_query_are_found_by_its_key_with_what_shadows_made_of_them():
    shown = ShownSearches(100_000)
    first, second, third = added(shown, "q"), added(shown, "q"), added(shown, "r")
    shown.add_orders(first, {"": IDS, "deep": ["b"]})
    shown.add_orders(third, {"": IDS, "deep": ["b"]})
    shown.add_orders("gone", {"": IDS})
    assert shown.of_query("docs", "q") == [first, second]
    assert shown.of_query("others", "q") == []
    assert (shown.last_of_query("docs", "q"), shown.last_of_query("others", "q")) == (second, "")
    shown.add_orders(first, {"": IDS, "wide": ["c"]})
    found = shown.get(first)
    assert found is not None
    assert found.orders == {"": IDS, "deep": ["b"], "wide": ["c"]}
    shown.forget_queries("docs", ["q"])
    assert shown.get(first) is None
    assert shown.get(second) is None
    assert shown.get(third) is not None


def test_an_answer_without_a_key_is_forgotten_by_its_own_id():
    shown = ShownSearches(100_000)
    search_id = added(shown)
    shown.forget_queries("docs", [search_id])
    assert shown.get(search_id) is None


@given(st.lists(st.sampled_from(["add", "orders", "forget"]), max_size=60))
def test_memory_is_counted_to_the_byte(steps):
    shown = ShownSearches(8_000)
    ids: list[str] = []
    for i, step in enumerate(steps):
        if step == "add":
            ids.append(added(shown, f"q{i % 5}"))
        elif step == "orders" and ids:
            shown.add_orders(ids[i % len(ids)], {"": IDS, f"s{i % 3}": IDS})
        else:
            shown.forget_queries("docs", [f"q{i % 5}"])
        kept = [found for each in ids if (found := shown.get(each)) is not None]
        assert shown.num_bytes == sum(found.num_bytes for found in kept) <= 8_000
        assert len(shown) == len(kept)
        of_query = [each for i in range(5) for each in shown.of_query("docs", f"q{i}")]
        assert sorted(of_query) == sorted(each for each in ids if shown.get(each) is not None)
