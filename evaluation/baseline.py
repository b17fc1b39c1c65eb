"""What was measured once, kept query by query, for later measurements to be compared with.

Beside the values stand digests of the queries with their judgements and of the corpus: values of a
query whose text or judgements have changed are no longer comparable.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from twopass.evaluation.comparison import ways_of
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.measures import Evaluation

_FORMAT = 1
_DIGITS = 16

MEASURES = ("ndcg", "mrr", "recall", "average_precision")
"""The measures that are kept, as `Quality` names them."""


class BaselineError(Exception):
    """A baseline can't be read, or nothing can be compared with it; the message says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MeasuredSet:
    """What was measured on one test collection.

    Attributes:
        name: The collection's name.
        corpus: Digest of its documents; "" where a running server has them.
        num_candidates: Most candidates found for a query, the k of recall and average precision.
        queries: Digest of each query's text and judgements, by query id.
        values: The values of each measure by query id, by way of searching, as `ways_of` names it.
        search_ms: Median time of a search in the server, in milliseconds, by mode.
    """

    name: str
    corpus: str
    num_candidates: int
    queries: Mapping[str, str]
    values: Mapping[str, Mapping[str, Mapping[str, float]]]
    search_ms: Mapping[str, float]


def measured_set(dataset: Dataset, evaluations: Sequence[Evaluation]) -> MeasuredSet:
    """What was measured on a test collection.

    Args:
        dataset: The test collection.
        evaluations: Its evaluations, one for each mode; none before anything is measured.
    """
    values = {
        way: {measure: dict(getattr(quality, f"{measure}_of")) for measure in MEASURES}
        for one in evaluations
        for way, quality in ways_of(one).items()
    }
    return MeasuredSet(
        name=dataset.name,
        corpus=_corpus_digest(dataset),
        num_candidates=evaluations[0].num_candidates if evaluations else 0,
        queries={query: _query_digest(dataset, query) for query in dataset.queries},
        values=values,
        search_ms={one.mode: one.search_ms for one in evaluations},
    )


def write_baseline(file: Path, sets: Sequence[MeasuredSet]) -> None:
    """Writes a baseline; the file has the old one or the new one, whatever happens.

    Raises:
        BaselineError: The file can't be written.
    """
    content = {
        "format": _FORMAT,
        "twopass": version("twopass"),
        "sets": [asdict(each) for each in sets],
    }
    beside = file.with_name(f"{file.name}.new")
    try:
        beside.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        beside.replace(file)
    except OSError as error:
        raise BaselineError(f"{file}: can't be written ({error.strerror})") from error


def read_baseline(file: Path) -> dict[str, MeasuredSet]:
    """Reads a baseline: what was measured on each test collection, by its name.

    Raises:
        BaselineError: The file can't be read, or is not in the form that `write_baseline` writes.
    """
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
        found = content["format"]
        if found != _FORMAT:
            raise BaselineError(
                f"{file}: in form {found!r}, this twopass reads form {_FORMAT}; make it anew with "
                "--save-baseline"
            )
        sets = [_read_set(each) for each in content["sets"]]
    except OSError as error:
        raise BaselineError(
            f"{file}: {error.strerror}; `twopass eval --save-baseline` makes one"
        ) from error
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise BaselineError(f"{file}: not what `twopass eval --save-baseline` writes") from error
    return {each.name: each for each in sets}


def _read_set(content: dict[str, Any]) -> MeasuredSet:
    read = MeasuredSet(**content)
    for by_measure in read.values.values():
        for measure in MEASURES:
            if not all(isinstance(value, float | int) for value in by_measure[measure].values()):
                raise TypeError(measure)
    return read


def _query_digest(dataset: Dataset, query: str) -> str:
    judged = sorted(dataset.qrels[query].items())
    return _digest(json.dumps([dataset.queries[query], judged], ensure_ascii=False))


def _corpus_digest(dataset: Dataset) -> str:
    if dataset.collection:
        return ""
    documents = sorted((each.id, each.title, each.text) for each in dataset.documents)
    return _digest(json.dumps(documents, ensure_ascii=False))


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:_DIGITS]
