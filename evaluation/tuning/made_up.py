"""Questions cut out of documents, for a collection of which nothing is judged yet.

A title, a heading or a sentence becomes the question, and is taken out of its document, which is
then the one right answer. Such questions are worded as the documents are: they favour search by
words and tell little of how people ask. They are for a first choice, until people have judged.
"""

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from twopass.client import Document
from twopass.evaluation.datasets import Dataset

_MIN_WORDS = 3
_MAX_WORDS = 40
_MIN_SENTENCE_WORDS = 6
# What is left of a document has to say something.
_MIN_LEFT = 20
_HEADING = re.compile(r"^#{1,6}[ \t]+(\S.*?)[ \t#]*$", re.MULTILINE)
_SENTENCE_END = re.compile(r"(?<=[.!?。！？।؟])[\"'”’)\]]*\s+|\n{2,}|(?<=[。！？])")  # noqa: RUF001


@dataclass(frozen=True, slots=True)
class Question:
    """A question and its document without it.

    Attributes:
        text: The question.
        kind: What it was: "title", "heading" or "sentence".
        document: The document that answers it.
    """

    text: str
    kind: str
    document: Document


@dataclass(frozen=True, slots=True)
class MadeUp:
    """A small collection with questions.

    Attributes:
        documents: Its documents, those that are asked for without their questions.
        questions: The questions.
    """

    documents: tuple[Document, ...]
    questions: tuple[Question, ...]

    def kinds(self) -> dict[str, int]:
        """How many questions are of each kind."""
        return dict(Counter(question.kind for question in self.questions).most_common())

    def dataset(self, collection: str) -> Dataset:
        """The questions as a test collection of one relevant document each."""
        by_id = {_digest(question.text)[:16]: question for question in self.questions}
        return Dataset(
            collection,
            (),
            {name: question.text for name, question in by_id.items()},
            {name: {question.document.id: 1} for name, question in by_id.items()},
            collection=collection,
        )


def made_up(documents: Iterable[Document], num_questions: int, num_documents: int) -> MadeUp:
    """Draws documents, and cuts questions out of some.

    Which are drawn follows from their ids, so that the same collection asks the same.

    Args:
        documents: What there is.
        num_questions: Most questions.
        num_documents: Most documents, those without a question included.
    """
    drawn = sorted(documents, key=lambda document: _digest(document.id))[:num_documents]
    cut = [question for document in drawn if (question := cut_question(document)) is not None]
    # What is asked twice has more than one answer.
    times = Counter(question.text.casefold() for question in cut)
    questions = [one for one in cut if times[one.text.casefold()] == 1][:num_questions]
    without = {question.document.id: question.document for question in questions}
    return MadeUp(tuple(without.get(document.id, document) for document in drawn), tuple(questions))


def cut_question(document: Document) -> Question | None:
    """Takes the question out of a document; None where it holds none, or would be left empty."""
    title, text = document.title.strip(), document.text
    if _is_question(title):
        left = text.lstrip()
        left = left[len(title) :].lstrip() if left.startswith(title) else text
        return _question(title, "title", replace(document, title="", text=left))
    headings = [found for found in _HEADING.finditer(text) if _is_question(found[1])]
    if headings:
        found = headings[_pick(document.id, len(headings))]
        left = text[: found.start()] + text[found.end() :].lstrip("\n")
        return _question(found[1], "heading", replace(document, text=left))
    spans = [
        span
        for span in _sentences(text)
        if _MIN_SENTENCE_WORDS <= _num_words(text[slice(*span)]) <= _MAX_WORDS
    ]
    if spans:
        start, end = spans[_pick(document.id, len(spans))]
        left = text[:start].rstrip() + " " + text[end:].lstrip()
        sentence = " ".join(text[start:end].split())
        return _question(sentence, "sentence", replace(document, text=left.strip()))
    return None


def _question(text: str, kind: str, document: Document) -> Question | None:
    return Question(text, kind, document) if _num_words(document.text) >= _MIN_LEFT else None


def _is_question(text: str) -> bool:
    return _MIN_WORDS <= _num_words(text) <= _MAX_WORDS


def _num_words(text: str) -> int:
    """Words of a text; of scripts without spaces two characters count as one."""
    spaceless = sum("\u2e80" <= character <= "\u9fff" for character in text)
    return len(text.split()) + spaceless // 2


def _sentences(text: str) -> Sequence[tuple[int, int]]:
    """Where sentences begin and end."""
    starts = [0, *(found.end() for found in _SENTENCE_END.finditer(text))]
    ends = [*starts[1:], len(text)]
    return [(start, end) for start, end in zip(starts, ends, strict=True) if end > start]


def _pick(name: str, count: int) -> int:
    return int(_digest(name)[:8], 16) % count


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
