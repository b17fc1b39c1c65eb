"""Ranking texts, and classifying texts and pairs of texts, with a reranker."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np

from twopass.engines.base.model import LoadedReranker
from twopass.engines.base.sequences import Float32s
from twopass.engines.base.tokenizer import TextTokenizer
from twopass.server.errors import InvalidRequestError
from twopass.server.models.passages import Cutting, problem_of
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Priority
from twopass.server.search.open_set import RankedSet, SetOptions
from twopass.server.search.reranking import WholeSet
from twopass.server.search.second_pass import room_beside
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.sequences import (
    Reading,
    ReadInputs,
    check_batch,
    cutting_of,
    num_chars,
    read_text,
    sequences,
)
from twopass.server.tei.served import ServedModels, TeiParts, cost_of, labels_of, max_seq_len
from twopass.server.tei.types import (
    Cuts,
    Prediction,
    Predictions,
    Ranks,
    TextsToClassify,
    TextsToRank,
)
from twopass.server.telemetry.stopwatch import StageTimings, Stopwatch

T = TypeVar("T")

# So many are gone over in a millisecond or less.
_FEW_INPUTS = 256


class Scoring:
    """TEI's operations of rerankers."""

    def __init__(self, parts: TeiParts, served: ServedModels) -> None:
        self._parts = parts
        self._served = served

    async def rerank(self, asked: TextsToRank, request: Request) -> Ranks:
        """Puts texts in the order of their relevance to a query.

        Raises:
            EmptyInputError: There are no texts.
            WrongModelKindError: The model is an encoder.
            InvalidRequestError: Something is too long and is not to be cut.
        """
        reranker = self._served.reranker(asked.model, "model is not a re-ranker model")
        check_batch("texts", len(asked.texts), self._served.max_texts(reranker))
        cutting = cutting_of(truncate=asked.truncate, direction=asked.direction)
        query = self._read_query("query", asked.query, cutting)
        texts = self._read_texts("texts[{}]", asked.texts, cutting, query)
        if asked.top_n < 0:
            raise InvalidRequestError(f"top_n: {asked.top_n} given, 0 returns all")
        options = _options(reranker, query, texts, cutting)
        with self._parts.reranking.open(options, request) as ranking:
            ranking.add(texts, [None] * len(texts))
            ranked = await ranking.ranked()
        if not asked.truncate:
            await self._ensure_whole(reranker, query, ranked, "texts[{}]".format)
        order = ranked.order[: asked.top_n or None]
        scores = ranked.logits if asked.raw_scores else ranked.scores
        cost = cost_of(
            reranker,
            request,
            ranked.timings,
            num_chars=len(asked.query) * len(asked.texts) + num_chars(asked.texts),
            num_tokens=ranked.num_tokens,
            cuts=_cuts([ranked]),
        )
        return Ranks(order, scores[order], cost)

    async def predict(self, asked: TextsToClassify, request: Request) -> Predictions:
        """Scores texts and pairs of texts for each label of a reranker.

        Raises:
            EmptyInputError: There is nothing to score, or one of it is empty.
            WrongModelKindError: The model is an encoder.
            InvalidRequestError: Something is too long and is not to be cut; one of it is neither a
                text nor a pair, or a text for a model that reads pairs alone.
        """
        reranker = self._served.reranker(asked.model, "Model is not a classifier model")
        check_batch("inputs", len(asked.inputs), self._served.max_texts(reranker))
        cutting = cutting_of(truncate=asked.truncate, direction=asked.direction)
        num_inputs, run = len(asked.inputs), self._run
        singles, pairs = await run(num_inputs, request, self._sorted_out, asked.inputs, cutting)
        logits = np.zeros(len(asked.inputs), np.float32)
        timings, num_tokens, num_cut = StageTimings(), 0, 0
        sets: list[RankedSet] = []
        if singles:
            logits[list(singles)], read = await self._single_logits(
                reranker, list(singles.values()), cutting, request, timings
            )
            num_tokens, num_cut = read.batch.num_tokens, read.num_truncated
        if pairs:
            whole = await run(num_inputs, request, _whole_sets, reranker, pairs, cutting)
            # What a set calls its query is the first text of its pairs.
            firsts = [next(iter(by_place)) for by_place in pairs.values()]
            sets = await self._parts.reranking.ranked_each(
                whole, request, lambda i: f"inputs[{firsts[i]}][0]"
            )
            if not asked.truncate:
                for (query, by_place), ranked in zip(pairs.items(), sets, strict=True):
                    name = [f"inputs[{i}][1]" for i in by_place].__getitem__
                    await self._ensure_whole(reranker, query, ranked, name)
            await run(num_inputs, request, _gather, pairs.values(), sets, logits, timings)
            num_tokens += sum(ranked.num_tokens for ranked in sets)
        scores = logits if asked.raw_scores else reranker.spec.calibration.score(logits)
        cost = cost_of(
            reranker,
            request,
            timings,
            num_chars=sum(map(num_chars, asked.inputs)),
            num_tokens=num_tokens,
            cuts=replace(_cuts(sets), num_texts=num_cut),
        )
        predict = _raw_predictions if asked.raw_scores else _predictions
        results = await run(num_inputs, request, _results, predict, reranker, scores)
        return Predictions(results, cost)

    async def _run(
        self, num_inputs: int, request: Request, function: Callable[..., T], *arguments: Any
    ) -> T:
        """Calls a function that goes over all inputs: in a thread where they are many."""
        if num_inputs <= _FEW_INPUTS:
            return function(*arguments)
        return await self._parts.tokenizing.lane.run(function, *arguments, stop=request.stop)

    def _read_query(self, field: str, query: str, cutting: Cutting) -> str:
        return read_text(field, query, self._parts.limits.max_query_bytes, cutting)

    def _read_texts(
        self, field: str, texts: Sequence[str], cutting: Cutting, query: str = ""
    ) -> list[str]:
        """Refuses texts that are too long, or empty beside an empty query or none.

        Args:
            field: The texts' path in the request, with braces for the place in the list.
            texts: The texts.
            cutting: What becomes of long ones.
            query: What they stand beside.
        """
        read, most = list(texts), self._parts.limits.max_passage_bytes
        for i, text in enumerate(texts):
            if not text and not query:
                raise EmptyInputError("Input validation error: `inputs` cannot be empty")
            if problem_of(text, most):
                read[i] = read_text(field.format(i), text, most, cutting)
        return read

    def _sorted_out(
        self, inputs: Sequence[Sequence[str]], cutting: Cutting
    ) -> tuple[dict[int, str], Mapping[str, dict[int, str]]]:
        """Single texts by their place, and the second texts of pairs by the first and their place.

        Args:
            inputs: Texts and pairs.
            cutting: What becomes of long ones.
        """
        singles: dict[int, str] = {}
        pairs: defaultdict[str, dict[int, str]] = defaultdict(dict)
        for i, texts in enumerate(inputs):
            if len(texts) == 2:
                query = self._read_query(f"inputs[{i}][0]", texts[0], cutting)
                [text] = self._read_texts(f"inputs[{i}][1]", texts[1:], cutting, query)
                pairs[query][i] = text
            elif len(texts) == 1:
                [singles[i]] = self._read_texts(f"inputs[{i}]", texts, cutting)
            else:
                raise InvalidRequestError(
                    f"inputs[{i}]: {len(texts)} texts given, 1 or the 2 of a pair are needed"
                )
        return singles, pairs

    async def _ensure_whole(
        self,
        reranker: LoadedReranker,
        query: str,
        ranked: RankedSet,
        name: Callable[[int], str],
    ) -> None:
        """Refuses a text that was cut; `name` gives its field by its place in the set."""
        if not ranked.truncated.any():
            return
        pair = await self._parts.tokenizing.pair_query(reranker, query)
        raise InvalidRequestError(
            f"{name(int(ranked.truncated.argmax()))}: longer than the "
            f"{room_beside(reranker, pair)} tokens that {reranker.spec.id} reads of a text beside "
            "this query; shorten it, or set truncate to true"
        )

    async def _single_logits(
        self,
        reranker: LoadedReranker,
        texts: Sequence[str],
        cutting: Cutting,
        request: Request,
        timings: StageTimings,
    ) -> tuple[Float32s, ReadInputs]:
        """What a reranker makes of single texts, and what it read."""
        arbiter, tokenizer, watch = self._parts.arbiter, reranker.tokenizer, Stopwatch()
        if reranker.prompt is not None or not isinstance(tokenizer, TextTokenizer):
            raise InvalidRequestError(
                f"inputs: a single text given, but {reranker.spec.id} reads pairs alone; send "
                '["query", "text"]'
            )
        reading = Reading(prompt="", max_tokens=max_seq_len(reranker), cutting=cutting)
        with arbiter.admitted(len(texts)):
            read = await sequences(
                reranker, tokenizer, texts, reading, self._parts.tokenizing, request.stop
            )
            timings.tokenize = watch.lap("tokenize")
            computed = await arbiter.compute(
                reranker.engine, read.batch, Priority.RERANK, deadline=request.end
            )
        timings.queue, timings.rerank = computed.queue_seconds, computed.engine_seconds
        return computed.output, read


def _options(
    reranker: LoadedReranker, query: str, texts: Sequence[str], cutting: Cutting
) -> SetOptions:
    return SetOptions(
        query=query,
        num_candidates=len(texts),
        passage_chars=list(map(len, texts)),
        model=reranker.spec.id,
        query_truncation=cutting.overlong,
        cut_side=cutting.side,
        to_cut=cutting.to_cut,
    )


def _whole_sets(
    reranker: LoadedReranker, pairs: Mapping[str, Mapping[int, str]], cutting: Cutting
) -> list[WholeSet]:
    """A set of the pairs of each first text."""
    sets = []
    for query, by_place in pairs.items():
        texts = list(by_place.values())
        sets.append(WholeSet(_options(reranker, query, texts, cutting), texts))
    return sets


def _gather(
    pairs: Iterable[Mapping[int, str]],
    sets: Sequence[RankedSet],
    logits: Float32s,
    timings: StageTimings,
) -> None:
    """Puts the logits of sets where their pairs stand in the request, and adds their timings."""
    for by_place, ranked in zip(pairs, sets, strict=True):
        logits[list(by_place)] = ranked.logits
        _add(timings, ranked.timings)


def _results(
    predict: Callable[[LoadedReranker, float], list[Prediction]],
    reranker: LoadedReranker,
    scores: Float32s,
) -> list[list[Prediction]]:
    """The labels of each input."""
    return [predict(reranker, score) for score in scores.tolist()]


def _cuts(sets: Sequence[RankedSet]) -> Cuts:
    return Cuts(
        query=any(ranked.query_truncated for ranked in sets),
        num_documents=sum(int(np.count_nonzero(ranked.truncated)) for ranked in sets),
    )


def _predictions(reranker: LoadedReranker, score: float) -> list[Prediction]:
    """The labels with their probabilities, of which that of relevant pairs is the score."""
    return _by_score(reranker, score, 1 - score)


def _raw_predictions(reranker: LoadedReranker, logit: float) -> list[Prediction]:
    """The labels with their logits.

    Of two labels only the difference of the logits is known: they are told as far from 0 as each
    other, which has the same softmax.
    """
    if reranker.spec.relevant_label is None:
        return _by_score(reranker, logit, 0.0)
    return _by_score(reranker, logit / 2, -logit / 2)


def _by_score(reranker: LoadedReranker, relevant: float, other: float) -> list[Prediction]:
    labels, place = labels_of(reranker), reranker.spec.relevant_label
    if place is None:
        return [Prediction(relevant, labels[0])]
    both = [Prediction(relevant, labels[place]), Prediction(other, labels[1 - place])]
    return sorted(both, key=lambda prediction: -prediction.score)


def _add(timings: StageTimings, others: StageTimings) -> None:
    """Counts stages of parts that were worked on at the same time: the longest is what counts."""
    timings.tokenize = max(timings.tokenize or 0.0, others.tokenize or 0.0)
    timings.queue = max(timings.queue or 0.0, others.queue or 0.0)
    timings.rerank = max(timings.rerank or 0.0, others.rerank or 0.0)
