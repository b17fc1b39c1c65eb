"""Random documents, deletions, flushes and restarts, each search held against the formula."""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from twopass.index.documents import DocumentFields, IndexedDocument
from twopass.index.schema import CollectionSchema
from twopass.index.store.store import CollectionStore
from twopass.index.word_query import Phrase, Prefix, WordClauses
from twopass.index.words.analysis import Analyser
from twopass.index.words.clauses import Clauses
from twopass.index.words.flushing import FlushPolicy

from ..conftest import DIMENSION, LANES
from .reference import bm25, holds, idf

# Flushes in every history, some while the next writes come.
EAGER = FlushPolicy(min_documents=6, max_documents=6, worth_saving=3)
ANALYSER = Analyser()
WORDS = ["sky", "skyline", "blue", "red", "the", "of", "Moon", "tide", "über", "XR-2000", "東京"]

ids = st.sampled_from([f"d{number}" for number in range(12)])
texts = st.lists(st.sampled_from(WORDS), min_size=1, max_size=60).map(" ".join)
titles = st.just("") | st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join)
documents = st.tuples(ids, titles, texts)
phrases = st.lists(st.sampled_from(WORDS), min_size=1, max_size=3).map(" ".join).map(Phrase)
prefixes = st.sampled_from(["s", "sky", "XR-2", "東", "of t", "b"]).map(Prefix)
clauses = st.lists(phrases | prefixes, max_size=2).map(tuple)


def hold(document, clause):
    """Whether a document, a title and a text, holds a clause."""
    wanted = ANALYSER.atoms(clause.text)
    is_prefix = isinstance(clause, Prefix)
    return any(holds(ANALYSER.atoms(part), wanted, is_prefix=is_prefix) for part in document)


class WordsMachine(RuleBasedStateMachine):
    """A collection beside `model`, which maps each id to its document's title and text."""

    @initialize()
    def create(self):
        self.folder = tempfile.TemporaryDirectory()
        self.model = {}
        self.open()
        self.collection = self.store.create(
            "notes", CollectionSchema(dimension=DIMENSION, client_vectors=True)
        )

    def open(self):
        self.store = CollectionStore(Path(self.folder.name), LANES, flush_policy=EAGER)

    @rule(given=st.lists(documents, min_size=1, max_size=5, unique_by=lambda document: document[0]))
    def upsert(self, given):
        one, none = np.ones(DIMENSION, np.float32), np.empty(0, np.int32)
        self.collection.upsert(
            [
                IndexedDocument(id=name, title=title, text=text, vector=one, token_ids=none)
                for name, title, text in given
            ]
        ).result()
        self.model |= {name: (title, text) for name, title, text in given}

    @rule(names=st.lists(ids, min_size=1, max_size=3))
    def delete(self, names):
        self.collection.delete(names).result()
        for name in names:
            self.model.pop(name, None)

    @rule()
    def flush(self):
        self.collection.flush_words().result()

    @rule()
    def reopen(self):
        self.store.close()
        self.open()
        self.collection = self.store.get("notes")

    @rule(
        query=st.lists(st.sampled_from([*WORDS, "nowhere"]), max_size=5).map(" ".join),
        k=st.integers(1, 14),
        allowed=st.none() | st.sets(ids),
        required=clauses,
        excluded=clauses,
        optional=clauses,
    )
    def search(self, query, k, allowed, required, excluded, optional):
        keys = self.keys()
        members = None
        if allowed is not None:
            members = np.array(sorted(keys[name] for name in allowed & keys.keys()), np.int64)
        given = WordClauses(required=required, excluded=excluded, optional=optional)
        ranked = self.collection.search_words(query, k, members, clauses=given)
        assert ranked.num_words_dropped == 0
        names = {key: name for name, key in keys.items()}
        found = {
            names[key]: score
            for key, score in zip(ranked.keys.tolist(), ranked.scores.tolist(), strict=True)
        }
        expected = self.expected(query, given)
        if allowed is not None:
            expected = {name: score for name, score in expected.items() if name in allowed}
        assert len(found) == len(ranked.keys) == min(k, len(expected))
        assert found == pytest.approx({name: expected[name] for name in found}, rel=1e-5)
        # What was not found fits no better.
        least = min(found.values(), default=0)
        assert all(
            score <= least * (1 + 1e-5) for name, score in expected.items() if name not in found
        )
        order = list(zip((-ranked.scores).tolist(), ranked.keys.tolist(), strict=True))
        assert order == sorted(order)

    @rule(required=clauses, excluded=clauses)
    def match(self, required, excluded):
        given = WordClauses(required=required, excluded=excluded)
        found = self.collection.matching_words(given).tolist()
        keys = self.keys()
        assert found == sorted(keys[name] for name in self.model if self.admits(name, given))

    def keys(self):
        """The key of each document's row."""
        stored = self.collection.get(list(self.model), DocumentFields(text=False, metadata=False))
        return {document.id: document.key for document in stored}

    def admits(self, name, given):
        document = self.model[name]
        return all(hold(document, clause) for clause in given.required) and not any(
            hold(document, clause) for clause in given.excluded
        )

    def expected(self, query, given):
        """Scores of all documents that the query and the clauses find, by the formula."""
        words = self.collection._words.words
        bags = {
            name: Counter(2 * ANALYSER.terms(title) + ANALYSER.terms(text))
            for name, (title, text) in self.model.items()
        }
        counts_of = ANALYSER.query_weights(query)
        terms = list(counts_of)
        holders = dict(zip(terms, words.num_holders(terms).tolist(), strict=True))
        self.check_statistics(words, bags, holders)
        weights = {
            term: counts_of[term] * idf(words.num_documents, count)
            for term, count in holders.items()
        }
        scores = bm25(bags, weights, words.average_length)
        for clause in {*given.required, *given.optional}:
            (analysed,) = Clauses.of(WordClauses(required=(clause,)), ANALYSER).required
            weight = idf(words.num_documents, words.num_holding(analysed))
            for name in self.model:
                if hold(self.model[name], clause):
                    scores[name] += weight
        return {name: score for name, score in scores.items() if self.admits(name, given)}

    def check_statistics(self, words, bags, holders):
        """What is deleted from the base may still be counted; in memory it is not."""
        assert words.num_documents >= len(bags)
        for term, count in holders.items():
            least = sum(term in bag for bag in bags.values())
            assert least <= count <= least + words.num_documents - len(bags)
        if words.base is None:
            assert words.num_documents == len(bags)
            total = sum(bag.total() + 1 for bag in bags.values())
            assert words.average_length == pytest.approx(total / max(1, len(bags)) or 1)

    def teardown(self):
        self.store.close()
        self.folder.cleanup()


TestWords = WordsMachine.TestCase
TestWords.settings = settings(
    max_examples=40,
    stateful_step_count=20,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow],
)
