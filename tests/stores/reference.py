"""What a collection holds and finds, in plain Python: slow, and plain enough to be believed."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from twopass.index.documents import IndexedDocument, OnConflict, SplitPassage
from twopass.index.filters import Filter
from twopass.index.metadata import MetadataChange, ReplaceMetadata, merged
from twopass.index.schema import CollectionSchema, Metric
from twopass.index.word_query import Prefix, WordClause, WordClauses
from twopass.index.words.analysis import Analyser

from ..unit.index.naive_filters import passes
from ..unit.index.words.reference import bm25, holds, idf

EVERYTHING = Filter()
NO_CLAUSES = WordClauses()


@dataclass(frozen=True, slots=True)
class Counts:
    """What an upsert did."""

    num_inserted: int
    num_replaced: int
    num_skipped: int


@dataclass
class Reference:
    """A collection in a dict.

    Attributes:
        schema: Its schema.
        documents: Each document as it was last written, by id.
    """

    schema: CollectionSchema
    documents: dict[str, IndexedDocument] = field(default_factory=dict)

    def upsert(
        self,
        documents: Sequence[IndexedDocument],
        on_conflict: OnConflict = OnConflict.REPLACE,
    ) -> Counts | list[str]:
        """Writes documents; returns what was done, or the known ids that let nothing be done."""
        known = [document.id for document in documents if document.id in self.documents]
        if known and on_conflict is OnConflict.FAIL:
            return known
        skips = on_conflict is OnConflict.SKIP
        for document in documents:
            if not (skips and document.id in known):
                self.documents[document.id] = document
        replaced, skipped = (0, len(known)) if skips else (len(known), 0)
        return Counts(len(documents) - len(known), replaced, skipped)

    def delete(self, wanted: Filter) -> int:
        """Deletes what passes; returns how many."""
        gone = self.passing(wanted)
        for name in gone:
            del self.documents[name]
        return len(gone)

    def update_metadata(self, wanted: Filter, change: MetadataChange) -> int:
        """Changes the metadata of what passes; returns of how many."""
        chosen = self.passing(wanted)
        for name in chosen:
            before = self.documents[name]
            after = (
                change.metadata
                if isinstance(change, ReplaceMetadata)
                else merged(before.metadata, change.patch)
            )
            self.documents[name] = replace(before, metadata=after)
        return len(chosen)

    def passing(self, wanted: Filter = EVERYTHING) -> set[str]:
        """Ids of the documents that pass a filter."""
        return {
            name
            for name, document in self.documents.items()
            if passes(name, dict(document.metadata), wanted)
        }

    def similarities(
        self, query: Sequence[float], wanted: Filter = EVERYTHING, words: WordClauses = NO_CLAUSES
    ) -> dict[str, float]:
        """How near each document that may be found is; of a split one, its best window."""
        return {
            name: max(self._similarity(vector, query) for vector in vectors_of(document))
            for name, document in self.documents.items()
            if name in self.passing(wanted) and self.admits(name, words)
        }

    def _similarity(self, vector: Iterable[float], query: Iterable[float]) -> float:
        one, other = np.asarray(vector, np.float64), np.asarray(query, np.float64)
        product = float(one @ other)
        if self.schema.metric is Metric.INNER_PRODUCT:
            return product
        return product / float(np.linalg.norm(one) * np.linalg.norm(other))

    def words(
        self, query: str, wanted: Filter = EVERYTHING, clauses: WordClauses = NO_CLAUSES
    ) -> dict[str, float]:
        """BM25 of each document that a search by words finds."""
        analyser = Analyser(self.schema.word_language)
        bags = {
            name: Counter(2 * analyser.terms(document.title) + analyser.terms(document.text))
            for name, document in self.documents.items()
        }
        count = len(bags)
        average = sum(bag.total() + 1 for bag in bags.values()) / max(1, count) or 1.0
        weights = {
            term: weight * idf(count, sum(term in bag for bag in bags.values()))
            for term, weight in analyser.query_weights(query).items()
        }
        scores = bm25(bags, weights, average)
        for clause in {*clauses.required, *clauses.optional}:
            holders = [name for name in self.documents if self.holds(name, clause)]
            for name in holders:
                scores[name] += idf(count, len(holders))
        passing = self.passing(wanted)
        return {
            name: score
            for name, score in scores.items()
            if name in passing and self.admits(name, clauses)
        }

    def admits(self, name: str, clauses: WordClauses) -> bool:
        """Whether a document has all that is required and nothing that is excluded."""
        return all(self.holds(name, clause) for clause in clauses.required) and not any(
            self.holds(name, clause) for clause in clauses.excluded
        )

    def holds(self, name: str, clause: WordClause) -> bool:
        """Whether a document's title or text holds a clause."""
        analyser, document = Analyser(self.schema.word_language), self.documents[name]
        wanted, is_prefix = analyser.atoms(clause.text), isinstance(clause, Prefix)
        return any(
            holds(analyser.atoms(part), wanted, is_prefix=is_prefix)
            for part in (document.title, document.text)
        )


def vectors_of(document: IndexedDocument) -> np.ndarray:
    """The vectors by which a document is found, float32 `[num_vectors, dimension]`."""
    split = document.vector
    return split.vectors if isinstance(split, SplitPassage) else split[None, :]


def best(scores: Mapping[str, float], k: int) -> list[float]:
    """The best `k` scores, best first."""
    return sorted(scores.values(), reverse=True)[:k]
