"""Four documents, and a question that one of them answers."""

from haystack import Document

QUESTION = "How do I parse a date?"
ANSWER = Document(
    id="strptime",
    content="datetime.strptime parses a date from a string by a format.",
    meta={"module": "datetime", "year": 2003},
)
OTHERS = (
    Document(id="palm", content="Dates grow on palms.", meta={"module": "botany", "year": 1753}),
    Document(id="sleep", content="time.sleep waits for some seconds.", meta={"module": "time"}),
    Document(id="json", content="json.loads parses a document.", meta={"module": "json"}),
)
DOCUMENTS = [*OTHERS, ANSWER]
