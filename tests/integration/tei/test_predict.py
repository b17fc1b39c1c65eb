"""tei.v1.Predict: pairs and texts as a classifier answers them."""

import grpc
import pytest

from twopass.tei.v1 import tei_pb2

from ..corpus import calibrated
from .asking import QUERY, TEXTS, failure


def test_a_pair_is_classified_by_the_score_of_reranking(reranker):
    request = tei_pb2.PredictPairRequest(inputs=[QUERY, TEXTS[1]])
    (prediction,) = reranker.predict.PredictPair(request).predictions
    ranked = reranker.rerank.Rerank(tei_pb2.RerankRequest(query=QUERY, texts=[TEXTS[1]]))
    assert prediction.score == pytest.approx(ranked.ranks[0].score, abs=1e-6)
    assert prediction.label
    request.raw_scores = True
    (raw,) = reranker.predict.PredictPair(request).predictions
    assert calibrated(raw.score) == pytest.approx(prediction.score, abs=1e-6)


def test_pairs_and_texts_of_a_stream_are_answered_in_order(reranker):
    inputs = [[QUERY, TEXTS[1]], [TEXTS[2]], [QUERY, TEXTS[3]]]
    requests = [tei_pb2.PredictPairRequest(inputs=texts, raw_scores=True) for texts in inputs]
    streamed = [a.predictions for a in reranker.predict.PredictPairStream(iter(requests))]
    assert streamed == [reranker.predict.PredictPair(request).predictions for request in requests]
    singles = [tei_pb2.PredictRequest(inputs=text) for text in TEXTS]
    streamed = [a.predictions for a in reranker.predict.PredictStream(iter(singles))]
    assert streamed == [reranker.predict.Predict(request).predictions for request in singles]


@pytest.mark.parametrize("count", [0, 3])
def test_one_text_or_two_are_classified(reranker, count):
    request = tei_pb2.PredictPairRequest(inputs=["x"] * count)
    code, message = failure(reranker.predict.PredictPair, request)
    assert code is grpc.StatusCode.INVALID_ARGUMENT
    assert message.endswith(f"`inputs` must have a single or two elements. Given: {count}")
