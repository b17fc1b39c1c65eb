"""One search: the best documents of base and memory, by the same statistics, `k` wherever k fit."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from tantivy import Occur, Query

from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Bools, Int64s
from twopass.index.key_sets import are_in, intersection, union
from twopass.index.ranked_list import WordMatches
from twopass.index.stopping import NEVER, Stop
from twopass.index.words.base import KEY, SLICE_DOCUMENTS, TERMS, Base, tantivy_schema
from twopass.index.words.clauses import Clause, Clauses
from twopass.index.words.encoding import hashes_of
from twopass.index.words.fresh import Run
from twopass.index.words.scoring import idf

# Milliseconds of one core of an AMD EPYC for the best 50 of a million documents of 65 words, by ten
# words as frequent as those of texts are; median.
#
#   allowed     named in the query   a wider answer sifted      words   time
#       100           4                      519                    3      9
#     1,000          18                      551                   10     12
#     2,000          30                       50                   50     24
#     5,000          68                       43                  512     28
#    20,000         111                       24                1,024     55
#   500,000                                   12

MAX_TERMS = 512
"""Most terms of one query that are searched, the rarest. A question has a dozen."""

MAX_KEYS_OF_A_SET = 2_000
"""Up to so many allowed documents are named in a query; of more, a wider answer is sifted."""

# More than asked for, so that documents of equal scores are all seen and come by key. Where more
# than the most are equal at the end of the list, those that Tantivy names first are found.
_SPARE = 8
_MAX_EQUAL = 1_000
# A sifted answer is this much wider than the share of allowed documents asks for.
_WIDTH = 2
_NO_KEYS = np.empty(0, np.int64)
_NO_SCORES = np.empty(0, np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Words:
    """All words of a collection at one moment. Immutable.

    Attributes:
        base: Documents on disk; None where there are none.
        hidden: Keys of the base's documents that no search may find, int64, ascending.
        runs: Documents in memory, ascending by key, all above the base's.
    """

    base: Base | None
    hidden: Int64s
    runs: tuple[Run, ...]

    def search(
        self,
        terms: Mapping[str, float],
        k: int,
        members: Int64s | None = None,
        clauses: Clauses = Clauses(),  # noqa: B008 it is immutable
        stop: Stop = NEVER,
    ) -> WordMatches:
        """Finds the `k` documents that fit best, best first; equal scores by key.

        Args:
            terms: What is looked for, and how much each counts: its BM25 is multiplied by it.
            k: At least 1.
            members: Keys of the only documents to find, int64, ascending; None for all.
            clauses: What else is asked of documents.
            stop: Ends the search.
        """
        chosen, num_dropped = self._rarest(list(terms))
        weights = np.array([terms[term] for term in chosen], np.float32)
        query = _WeightedQuery(self, chosen, weights, clauses, stop)
        found = [query.best_in_memory(k, members)]
        if self.base is not None:
            found.append(_BaseSearch(self.base, self.hidden, query, k, members, stop).best())
        keys = np.concatenate([keys for keys, _ in found])
        scores = np.concatenate([scores for _, scores in found])
        best = np.lexsort((keys, -scores))[:k]
        return WordMatches(keys[best], scores[best], num_dropped)

    def matching(self, clauses: Clauses, stop: Stop = NEVER) -> Int64s:
        """Keys of all documents with all that is required and nothing that is excluded."""
        found = []
        if self.base is not None:
            found.append(self._matching_on_disk(self.base, clauses, stop))
        found += [run.keys[clauses.allowed(run, stop)] for run in self.runs]
        return np.concatenate([_NO_KEYS, *found])

    def _matching_on_disk(self, base: Base, clauses: Clauses, stop: Stop) -> Int64s:
        def all_of(clause: Clause) -> Int64s:
            return base.all_matches(_unscored(clause.base_query(base.words_with_prefix)), stop)

        keys = base.keys
        for clause in clauses.required:
            keys = intersection(keys, all_of(clause))
        unwanted = [self.hidden, *(all_of(clause) for clause in clauses.excluded)]
        return keys[~are_in(keys, union(*unwanted))]

    def _rarest(self, terms: Sequence[str]) -> tuple[Sequence[str], int]:
        """The terms to search, and how many others occur."""
        if len(terms) <= MAX_TERMS:
            return terms, 0
        holders = self.num_holders(terms)
        occurring = np.flatnonzero(holders)
        rarest = occurring[np.argsort(holders[occurring], kind="stable")[:MAX_TERMS]]
        return [terms[position] for position in rarest.tolist()], len(occurring) - len(rarest)

    def num_holders(self, terms: Sequence[str]) -> Int64s:
        """How many documents hold each term."""
        hashes = hashes_of(terms)
        counts = np.zeros(len(terms), np.int64)
        for run in self.runs:
            counts += run.num_holders(hashes)
        return counts if self.base is None else counts + self.base.num_holders(TERMS, terms)

    def num_holding(self, clause: Clause, stop: Stop = NEVER) -> int:
        """How many documents hold a clause."""
        count = sum(
            int(np.count_nonzero(clause.holders(run, stop) & ~run.hidden)) for run in self.runs
        )
        if self.base is None:
            return count
        return count + self.base.num_matches(clause.base_query(self.base.words_with_prefix))

    @property
    def num_documents(self) -> int:
        """N of the formula."""
        in_base = 0 if self.base is None else self.base.num_documents
        return in_base + sum(run.num_visible for run in self.runs)

    @property
    def average_length(self) -> float:
        """The average length of a document, as the formula has it."""
        if self.base is not None and self.base.num_documents:
            return self.base.average_length
        num_terms = sum(run.num_terms for run in self.runs)
        return num_terms / max(1, self.num_documents) or 1.0


class _WeightedQuery:
    """Terms and clauses with their weights, as base and memory are asked for them."""

    def __init__(
        self,
        words: Words,
        terms: Sequence[str],
        weights: Float32s,
        clauses: Clauses,
        stop: Stop,
    ) -> None:
        self._words = words
        self._clauses = clauses
        self._stop = stop
        base = words.base
        self._in_memory = {
            clause: [clause.holders(run, stop) for run in words.runs]
            for clause in (*clauses.required, *clauses.excluded, *clauses.optional)
        }
        self._hashes = hashes_of(terms)
        in_base = np.zeros(len(terms), np.int64)
        if base is not None:
            in_base = base.num_holders(TERMS, terms)
        holders = in_base.copy()
        for run in words.runs:
            holders += run.num_holders(self._hashes)
        num_documents = words.num_documents
        self._weights = weights * np.array(
            [idf(num_documents, count) for count in holders.tolist()], np.float32
        )
        self._clause_weights: dict[Clause, float] = {}
        on_disk = self._on_disk(base) if base is not None else {}
        for clause in (*clauses.required, *clauses.optional):
            stop.check()
            count = base.num_matches(on_disk[clause]) if base is not None else 0
            count += sum(
                int(np.count_nonzero(holds & ~run.hidden))
                for run, holds in zip(words.runs, self._in_memory[clause], strict=True)
            )
            self._clause_weights[clause] = idf(num_documents, count)
        self.base_query = None
        if base is not None:
            self.base_query = self._base_query(base, terms, in_base, on_disk)

    def best_in_memory(self, k: int, members: Int64s | None) -> tuple[Int64s, Float32s]:
        """The best `k` of the documents in memory and their scores, in no order."""
        keys, scores = [_NO_KEYS], [_NO_SCORES]
        average = self._words.average_length
        for position, run in enumerate(self._words.runs):
            self._stop.check()
            found = run.scores(self._hashes, self._weights, average)
            for clause, weight in self._clause_weights.items():
                found[self._in_memory[clause][position]] += np.float32(weight)
            chosen = (found > 0) & ~run.hidden
            for clause in self._clauses.required:
                chosen &= self._in_memory[clause][position]
            for clause in self._clauses.excluded:
                chosen &= ~self._in_memory[clause][position]
            if members is not None:
                chosen &= are_in(run.keys, members)
            best = _first(run.keys[chosen], found[chosen], k)
            keys.append(best[0])
            scores.append(best[1])
        return np.concatenate(keys), np.concatenate(scores)

    def _on_disk(self, base: Base) -> dict[Clause, Any]:
        return {clause: clause.base_query(base.words_with_prefix) for clause in self._in_memory}

    def _base_query(
        self, base: Base, terms: Sequence[str], in_base: Int64s, on_disk: dict[Clause, Any]
    ) -> Any:
        """What is asked of the base; None where nothing can match."""
        schema = tantivy_schema()
        parts = []
        for term, count, weight in zip(
            terms, in_base.tolist(), self._weights.tolist(), strict=True
        ):
            if count:
                query = Query.term_query(schema, TERMS, term, "freq")
                # Tantivy knows the base alone, and so how rare a term is there.
                boost = weight / idf(base.num_documents, count)
                parts.append((Occur.Should, Query.boost_query(query, boost)))
        for occur, clauses in (
            (Occur.Should, self._clauses.optional),
            (Occur.Must, self._clauses.required),
        ):
            for clause in clauses:
                weight = self._clause_weights[clause]
                parts.append((occur, Query.const_score_query(on_disk[clause], weight)))
        if not parts:
            return None
        parts += [(Occur.MustNot, on_disk[clause]) for clause in self._clauses.excluded]
        return Query.boolean_query(parts)


class _BaseSearch:
    """The best documents of a base, of which some are hidden, or not allowed.

    Tantivy knows neither: a few allowed documents are named in the query, otherwise a wider answer
    is sifted, and where that is not enough, every match is looked at, some documents at a time.
    Each call of Tantivy is of a bounded size, and in between a stop is looked at.
    """

    def __init__(
        self,
        base: Base,
        hidden: Int64s,
        query: _WeightedQuery,
        k: int,
        members: Int64s | None,
        stop: Stop,
    ) -> None:
        self._base = base
        self._hidden = hidden
        self._query = query.base_query
        self._k = k
        self._stop = stop
        if members is not None:
            members = members[: np.searchsorted(members, base.last_key, side="right")]
            members = members[~are_in(members, hidden)]
        self._members = members

    def best(self) -> tuple[Int64s, Float32s]:
        """Keys and scores of the best, all that may be among the first `k`, in no order."""
        members = self._members
        num_allowed = len(self._base.keys) - len(self._hidden) if members is None else len(members)
        if self._query is None or num_allowed <= 0:
            return _NO_KEYS, _NO_SCORES
        if members is not None and num_allowed <= MAX_KEYS_OF_A_SET:
            return self._best_of_set(members)
        num_documents = len(self._base.keys)
        wanted = self._k + _SPARE
        if num_allowed < num_documents:
            wanted = int(_WIDTH * wanted * num_documents / num_allowed)
        while True:
            self._stop.check()
            limit = min(wanted, SLICE_DOCUMENTS)
            found, scores = self._base.best(self._query, limit)
            allowed = self._allowed(found)
            keys, kept = found[allowed], scores[allowed]
            if len(found) < limit:
                return keys, kept
            if len(keys) >= self._k and (
                kept[self._k - 1] > scores[-1] or limit >= self._k + _MAX_EQUAL
            ):
                return keys, kept
            if limit == SLICE_DOCUMENTS:
                return self._best_of_all()
            wanted *= 4

    def _best_of_set(self, members: Int64s) -> tuple[Int64s, Float32s]:
        chosen = Query.term_set_query(tantivy_schema(), KEY, members.tolist())
        return self._base.best(_both(_unscored(chosen), self._query), len(members))

    def _best_of_all(self) -> tuple[Int64s, Float32s]:
        """Looks at every match."""
        members = self._members
        best = _NO_KEYS, _NO_SCORES
        num_sets = np.inf if members is None else len(members) / MAX_KEYS_OF_A_SET
        if members is not None and num_sets <= len(self._base.keys) / SLICE_DOCUMENTS:
            for start in range(0, len(members), MAX_KEYS_OF_A_SET):
                self._stop.check()
                found = self._best_of_set(members[start : start + MAX_KEYS_OF_A_SET])
                best = self._better(best, found)
            return best
        for some in self._base.slices():
            self._stop.check()
            keys, scores = self._base.best(_both(some, self._query), SLICE_DOCUMENTS)
            allowed = self._allowed(keys)
            best = self._better(best, (keys[allowed], scores[allowed]))
        return best

    def _better(
        self, one: tuple[Int64s, Float32s], other: tuple[Int64s, Float32s]
    ) -> tuple[Int64s, Float32s]:
        return _first(
            np.concatenate([one[0], other[0]]), np.concatenate([one[1], other[1]]), self._k
        )

    def _allowed(self, keys: Int64s) -> Bools:
        if self._members is not None:
            return are_in(keys, self._members)
        return ~are_in(keys, self._hidden)


def _first(keys: Int64s, scores: Float32s, k: int) -> tuple[Int64s, Float32s]:
    """The best `k`, equal scores by key."""
    if len(keys) > 4 * k:
        # So that few are sorted; all that equal the last of the best stay.
        least = np.partition(scores, len(scores) - k)[len(scores) - k]
        keys, scores = keys[scores >= least], scores[scores >= least]
    order = np.lexsort((keys, -scores))[:k]
    return keys[order], scores[order]


def _both(condition: Any, query: Any) -> Any:
    return Query.boolean_query([(Occur.Must, condition), (Occur.Must, query)])


def _unscored(query: Any) -> Any:
    return Query.const_score_query(query, 0.0)
