"""A choice as the search defaults of a collection."""

from dataclasses import replace

import pytest

from twopass.client import ConvexFusion as AskedFusion
from twopass.client import SearchDefaults
from twopass.evaluation.tuning.saving import saved_defaults
from twopass.evaluation.tuning.settings import Reader, Settings
from twopass.index.fusion import ConvexFusion

BOTH = Settings("hybrid", 50, ConvexFusion(0.8), 20, Reader("small"), 0.4)
KNOWN = SearchDefaults(reranker_revision="a", min_score=0.2, answer_threshold=0.6, chosen_by="me")


def test_all_of_a_choice_is_saved():
    saved = saved_defaults(BOTH, None, "a", "twopass tune")
    assert saved == SearchDefaults(
        mode="hybrid",
        k=50,
        fusion=AskedFusion(0.8),
        rerank=True,
        depth=20,
        reranker="small",
        reranker_revision="a",
        blend=0.4,
        chosen_by="twopass tune",
    )


def test_thresholds_stay_with_their_reranker():
    kept = saved_defaults(BOTH, KNOWN, "a", "twopass tune")
    assert (kept.min_score, kept.answer_threshold) == (0.2, 0.6)
    other = saved_defaults(BOTH, KNOWN, "b", "twopass tune")
    assert (other.min_score, other.answer_threshold) == (None, None)


@pytest.mark.parametrize(
    ("before", "chosen", "after"),
    [
        (None, "truncate", None),
        (None, "max_window", "max_window"),
        ("truncate", "truncate", "truncate"),
        ("max_window", "truncate", "truncate"),
        ("reject", "truncate", "reject"),
        ("reject", "max_window", "max_window"),
    ],
)
def test_what_was_read_of_long_passages_is_saved_but_a_refusal_stays(before, chosen, after):
    choice = replace(BOTH, reader=Reader("small", chosen))
    known = SearchDefaults(truncation=before, query_truncation="reject")
    saved = saved_defaults(choice, known, "a", "twopass tune")
    assert (saved.truncation, saved.query_truncation) == (after, "reject")
    unread = saved_defaults(Settings("lexical", 20), known, "", "twopass tune")
    assert (unread.truncation, unread.query_truncation) == (before, "reject")


def test_without_a_second_pass_thresholds_wait_for_requests_that_ask_for_one():
    saved = saved_defaults(Settings("lexical", 20), KNOWN, "", "twopass tune")
    assert (saved.mode, saved.k, saved.rerank, saved.fusion) == ("lexical", 20, False, None)
    assert (saved.reranker_revision, saved.answer_threshold) == ("a", 0.6)
