"""Questions, each with a document that answers it and the words that do."""

import json
from dataclasses import dataclass
from pathlib import Path

from twopass.client import Document
from twopass.evaluation.datasets import Dataset, DatasetError, Part, load_dataset


@dataclass(frozen=True, slots=True)
class Question:
    """A question and a document that answers it.

    Attributes:
        id: The question's id.
        text: The question.
        document: The first relevant document whose text holds an answer.
        answers: What counts as the answer, each folded.
    """

    id: str
    text: str
    document: Document
    answers: tuple[str, ...]

    def is_answered_by(self, parts: list[str]) -> bool:
        """Whether one of these parts of the document's text holds an answer whole."""
        return any(answer in folded(part) for part in parts for answer in self.answers)

    @property
    def is_development(self) -> bool:
        """Whether settings may be chosen by it."""
        return Part.DEVELOPMENT.has(self.id)


@dataclass(frozen=True, slots=True)
class Questions:
    """The questions of a test collection.

    Attributes:
        dataset: The test collection.
        asked: The questions whose answer stands in a document.
        num_unanswered: Those left out, since no relevant document has the words of an answer.
    """

    dataset: Dataset
    asked: tuple[Question, ...]
    num_unanswered: int


def load_questions(folder: Path, max_questions: int | None = None) -> Questions:
    """Reads a test collection and its `answers.jsonl`, of rows `{"_id", "answers": [text]}`.

    Raises:
        DatasetError: A file is missing or malformed.
    """
    dataset = load_dataset(folder)
    answers = _answers(folder / "answers.jsonl")
    documents = {document.id: document for document in dataset.documents}
    asked: list[Question] = []
    num_unanswered = 0
    for query_id, text in dataset.queries.items():
        if query_id not in answers or len(asked) == max_questions:
            continue
        relevant = [
            documents[document_id]
            for document_id, grade in dataset.qrels[query_id].items()
            if grade > 0 and document_id in documents
        ]
        found = [
            question
            for document in relevant
            if (question := Question(query_id, text, document, answers[query_id])).is_answered_by(
                [document.text]
            )
        ]
        asked += found[:1]
        num_unanswered += not found
    if not asked:
        raise DatasetError(f"{folder}: no question has an answer in a relevant document")
    return Questions(dataset, tuple(asked), num_unanswered)


def folded(text: str) -> str:
    """A text as answers are compared: without case, and with single spaces."""
    return " ".join(text.casefold().split())


def _answers(file: Path) -> dict[str, tuple[str, ...]]:
    if not file.is_file():
        raise DatasetError(f"{file}: there is no such file; it tells the words that answer")
    found = {}
    with file.open(encoding="utf-8") as lines:
        for number, line in enumerate(lines, 1):
            try:
                row = json.loads(line)
                words = tuple(filter(None, map(folded, row["answers"])))
                found[row["_id"]] = words
            except (ValueError, KeyError, TypeError, AttributeError) as error:
                raise DatasetError(
                    f"{file}:{number}: not an object with _id and answers ({error!r})"
                ) from error
    return {query_id: words for query_id, words in found.items() if words}
