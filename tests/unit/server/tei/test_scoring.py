from dataclasses import replace

import numpy as np
import pytest

from twopass.server.errors import InvalidRequestError, UnknownModelError, WrongModelKindError
from twopass.server.request import Request
from twopass.server.tei.errors import BatchSizeError, EmptyInputError
from twopass.server.tei.types import (
    NOTHING_CUT,
    Cuts,
    TextsToClassify,
    TextsToRank,
    TruncationDirection,
)

from .conftest import ENCODER, MAX_TEXTS, RERANKER, operations_on

QUERY = "What is deep learning?"
TEXTS = ["Cheese is made of milk.", "Deep learning is a kind of machine learning.", "", "Learning"]


async def rank(tei, texts=TEXTS, **options):
    return await tei.scoring.rerank(TextsToRank(query=QUERY, texts=texts, **options), Request())


async def classify(tei, inputs, **options):
    return await tei.scoring.predict(TextsToClassify(inputs=inputs, **options), Request())


async def test_texts_are_ranked_by_their_score_and_an_empty_one_is_ranked_too(tei):
    ranks = await rank(tei)
    assert ranks.order[0] == 1
    assert sorted(ranks.order.tolist()) == [0, 1, 2, 3]
    assert (np.diff(ranks.scores) <= 0).all()
    assert ((ranks.scores > 0) & (ranks.scores < 1)).all()


async def test_equal_texts_keep_the_order_in_which_they_were_given(tei):
    ranks = await rank(tei, ["same"] * 5)
    assert ranks.order.tolist() == [0, 1, 2, 3, 4]


async def test_raw_scores_are_the_logits_that_the_scores_are_made_of(tei, loaded):
    ranks, raw = await rank(tei), await rank(tei, raw_scores=True)
    assert raw.order.tolist() == ranks.order.tolist()
    calibrated = loaded[1].spec.calibration.score(raw.scores)
    np.testing.assert_array_equal(calibrated, ranks.scores)


@pytest.mark.parametrize(("top_n", "count"), [(0, 4), (1, 1), (3, 3), (4, 4), (99, 4)])
async def test_as_many_ranks_are_returned_as_were_asked_for(tei, top_n, count):
    whole = await rank(tei)
    assert (await rank(tei, top_n=top_n)).order.tolist() == whole.order.tolist()[:count]


async def test_a_negative_number_of_ranks_is_refused(tei):
    with pytest.raises(InvalidRequestError, match="top_n: -1 given"):
        await rank(tei, top_n=-1)


async def test_the_cost_counts_the_query_once_for_each_text(tei):
    cost = (await rank(tei)).cost
    assert cost.num_chars == len(QUERY) * len(TEXTS) + sum(map(len, TEXTS))
    assert cost.num_tokens > 4 * 7
    assert 0 < cost.inference < cost.total


async def test_no_texts_are_refused_in_the_words_of_tei(tei):
    with pytest.raises(EmptyInputError, match=r"^`texts` cannot be empty$"):
        await rank(tei, [])


async def test_an_empty_query_and_an_empty_text_are_refused(tei):
    with pytest.raises(EmptyInputError, match="Input validation error: `inputs` cannot be empty"):
        await tei.scoring.rerank(TextsToRank(query="", texts=["a", ""]), Request())


async def test_more_texts_than_allowed_are_refused_in_the_words_of_tei(tei):
    message = f"^batch size {MAX_TEXTS + 1} > maximum allowed batch size {MAX_TEXTS}$"
    with pytest.raises(BatchSizeError, match=message):
        await rank(tei, ["a"] * (MAX_TEXTS + 1))
    with pytest.raises(BatchSizeError, match=message):
        await classify(tei, [["a"]] * (MAX_TEXTS + 1))


async def test_a_text_that_is_too_long_is_cut_or_refused_as_asked_for(tei):
    assert len((await rank(tei, ["word " * 600])).order) == 1
    with pytest.raises(InvalidRequestError, match=r"^texts\[1\]: longer than the 240 tokens"):
        await rank(tei, ["a", "word " * 600], truncate=False)
    pairs = [["b", "a"], ["a", "b"], ["a", "word " * 600]]
    with pytest.raises(InvalidRequestError, match=r"^inputs\[2\]\[1\]: longer .* truncate to true"):
        await classify(tei, pairs, truncate=False)


async def test_the_cost_tells_how_many_texts_were_cut(tei):
    long, short = "word " * 600, "word"
    assert (await rank(tei, [long, short, long])).cost.cuts == Cuts(num_documents=2)
    cost = (await classify(tei, [[short, long], [long], [long, short], [short]])).cost
    assert cost.cuts == Cuts(query=True, num_documents=1, num_texts=1)
    assert cost.headers[:3] == (
        ("x-twopass-query-truncated", "1"),
        ("x-twopass-documents-truncated", "1"),
        ("x-twopass-texts-truncated", "1"),
    )
    assert (await rank(tei)).cost.cuts == NOTHING_CUT


async def test_a_text_is_cut_at_the_side_that_is_asked_for(tei):
    for direction, answer in (("left", 0), ("right", 1)):
        texts = [" word" * 600 + " " + TEXTS[1], TEXTS[1] + " word" * 600]
        ranks = await rank(tei, texts, direction=TruncationDirection(direction))
        assert ranks.order[0] == answer


@pytest.mark.parametrize("direction", TruncationDirection)
async def test_a_query_that_is_too_long_is_cut_at_the_side_that_is_asked_for_or_refused(
    tei, loaded, direction
):
    def query(num_tokens):
        rest = "word " * (num_tokens - 5)  # QUERY has 5
        return f"{QUERY} {rest}" if direction is TruncationDirection.RIGHT else f"{rest}{QUERY}"

    asked = TextsToRank(query=query(600), texts=TEXTS, direction=direction)
    cut = await tei.scoring.rerank(asked, Request())
    fitting = query(loaded[1].spec.max_query_tokens)
    whole = await tei.scoring.rerank(replace(asked, query=fitting), Request())
    np.testing.assert_array_equal(cut.scores, whole.scores)
    assert (cut.cost.cuts.query, whole.cost.cuts.query) == (True, False)
    with pytest.raises(InvalidRequestError, match=r"^query: 600 tokens.* set truncate to true"):
        await tei.scoring.rerank(replace(asked, truncate=False), Request())


async def test_an_encoder_neither_ranks_nor_classifies(tei):
    with pytest.raises(WrongModelKindError, match=r"^model is not a re-ranker model$"):
        await rank(tei, model=ENCODER)
    with pytest.raises(WrongModelKindError, match=r"^Model is not a classifier model$"):
        await classify(tei, [["a", "b"]], model=ENCODER)


async def test_a_model_that_is_not_held_is_unknown(tei):
    with pytest.raises(UnknownModelError, match="'other'"):
        await rank(tei, model="other")


async def test_pairs_are_classified_with_the_score_that_ranks_them(tei):
    ranks = await rank(tei, model=RERANKER)
    pairs = [[QUERY, TEXTS[i]] for i in ranks.order]
    # Among others of another first text, and single texts between them.
    inputs = [["other", "text"], *pairs[:2], ["single"], *pairs[2:]]
    predictions = await classify(tei, inputs)
    scores = [result[0].score for result in predictions.results]
    assert [*scores[1:3], *scores[4:]] == ranks.scores.tolist()
    assert {prediction.label for [prediction] in predictions.results} == {"LABEL_0"}


async def test_what_is_neither_a_text_nor_a_pair_is_refused(tei):
    with pytest.raises(InvalidRequestError, match=r"inputs\[1\]: 3 texts given"):
        await classify(tei, [["a"], ["a", "b", "c"]])
    with pytest.raises(EmptyInputError):
        await classify(tei, [])
    with pytest.raises(EmptyInputError):
        await classify(tei, [[""]])


@pytest.mark.parametrize(
    ("pair", "message"),
    [
        (["", "text"], r"^inputs\[1\]\[0\]: it has no words"),
        (["word " * 600, "text"], r"^inputs\[1\]\[0\]: 600 tokens"),
        (["a" * 4_001, "text"], r"^inputs\[1\]\[0\]: 4,001 bytes"),
        (["text", "a" * 4_001], r"^inputs\[1\]\[1\]: 4,001 bytes"),
        (["a" * 4_001], r"^inputs\[1\]: 4,001 bytes"),
    ],
    ids=range(5),
)
async def test_what_is_wrong_with_a_pair_is_told_of_its_place(tei, pair, message):
    with pytest.raises(InvalidRequestError, match=message):
        await classify(tei, [["fine", "fine"], pair], truncate=False)


async def test_texts_of_any_size_and_with_nuls_are_read_where_they_may_be_cut(tei):
    spaces, nuls = "deep learning of cats", "deep\0learning of\0cats"
    first, second = (await rank(tei, [spaces, nuls])).scores
    assert first == second
    cut = await tei.scoring.rerank(TextsToRank(query=nuls * 999, texts=[nuls * 999]), Request())
    assert cut.cost.cuts == Cuts(query=True, num_documents=1)
    predicted = await classify(
        tei, [[nuls], [spaces], [nuls, nuls], [spaces, spaces], [nuls * 999]]
    )
    scores = [result[0].score for result in predicted.results]
    assert (scores[0], scores[2]) == (scores[1], scores[3])


async def test_a_single_text_that_is_too_long_is_cut_or_refused_as_asked_for(tei):
    assert (await classify(tei, [["word " * 600]])).cost.num_tokens == 512
    with pytest.raises(InvalidRequestError, match=r"less than 512 tokens. Given: 602"):
        await classify(tei, [["word " * 600]], truncate=False)


@pytest.mark.parametrize("relevant", [0, 1])
async def test_two_labels_share_the_probability_and_the_better_one_comes_first(
    loaded, tokenizing, relevant
):
    encoder, reranker = loaded
    spec = replace(reranker.spec, labels=("a", "b"), relevant_label=relevant)
    tei = operations_on([encoder, replace(reranker, spec=spec)], tokenizing)
    pair = [QUERY, TEXTS[0]]  # surely irrelevant
    [[first, second]] = (await classify(tei, [pair])).results
    assert first.label == "ba"[relevant]
    assert second.label == "ab"[relevant]
    assert first.score > second.score
    assert first.score + second.score == pytest.approx(1)
    [[first, second]] = (await classify(tei, [pair], raw_scores=True)).results
    logit = (await rank(tei, TEXTS[:1], raw_scores=True)).scores[0]
    assert second.score - first.score == pytest.approx(logit)
