"""Texts of any number, their words as frequent as in a language: made up, or of real passages."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from twopass.benchmarks.words import COMMON_WORDS
from twopass.evaluation.datasets import load_dataset

MIN_CHARS = 400

# Long enough for a phrase, too short for a sentence: were sentences repeated, those that answer a
# question well would be found a dozen times over.
_RUN = 8
_MADE_UP_WORDS = 200_000


@dataclass(frozen=True, slots=True)
class Question:
    """A question, and which documents answer it, by number; none where nobody knows."""

    text: str
    answers: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Texts:
    """Runs of words from a stream, joined until a text has 400 characters, and some whole passages.

    Attributes:
        words: The stream.
        passages: The last of the texts, as they are.
        questions: Their answers are numbers of `passages`.
    """

    words: Sequence[str]
    passages: Sequence[str]
    questions: Sequence[Question]

    @classmethod
    def made_up(cls, seed: int) -> "Texts":
        """Common words, the n-th as frequent as 1/n (Zipf 1949)."""
        rng = np.random.default_rng([seed, 1])
        share = 1 / np.arange(1, len(COMMON_WORDS) + 1)
        words = rng.choice(rng.permutation(COMMON_WORDS), _MADE_UP_WORDS, p=share / share.sum())
        stream = words.tolist()
        starts = rng.integers(0, _MADE_UP_WORDS - _RUN, 1_000)
        questions = [Question(" ".join(stream[s : s + _RUN]), {}) for s in starts.tolist()]
        return cls(stream, (), questions)

    @classmethod
    def of(cls, folders: Sequence[Path], max_passages: int) -> "Texts":
        """The passages of test collections, and runs of words from those that answer nothing.

        Args:
            folders: In BEIR's form.
            max_passages: Most passages to take as they are; questions to the others are left out.

        Raises:
            DatasetError: One is no test collection.
        """
        words: list[str] = []
        passages: list[str] = []
        questions: list[Question] = []
        for folder in folders:
            dataset = load_dataset(folder)
            relevant = {d for of in dataset.qrels.values() for d, grade in of.items() if grade > 0}
            number_of = {}
            for document in dataset.documents:
                cut = f"{document.title} {document.text}".split()
                if document.id not in relevant:
                    words += cut
                number_of[document.id] = len(passages)
                passages.append(" ".join(cut))
            for query, text in dataset.queries.items():
                judged = dataset.qrels[query].items()  # some judge what is not in the corpus
                grades = {number_of[d]: grade for d, grade in judged if d in number_of}
                if grades and max(grades) < max_passages:
                    questions.append(Question(text, grades))
        order = np.random.default_rng(0).permutation(len(questions))
        return cls(words, passages[:max_passages], [questions[i] for i in order])

    def joined(self, block: int, count: int) -> list[str]:
        """So many texts of runs; the same for the same block."""
        rng = np.random.default_rng([2, block])
        return [self._joined(rng) for _ in range(count)]

    def _joined(self, rng: np.random.Generator) -> str:
        runs: list[str] = []
        num_chars = 0
        while num_chars < MIN_CHARS:
            start = int(rng.integers(0, max(1, len(self.words) - _RUN)))
            run = " ".join(self.words[start : start + _RUN])
            runs.append(run)
            num_chars += len(run) + 1
        return " ".join(runs)
