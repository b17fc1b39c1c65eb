"""Hard negatives: passages that the first pass finds but that don't answer the question."""

from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from twopass.client import Client, Document, Fields, Retrieve, RetrieveMode
from twopass.training.near_duplicates import fingerprint, is_near_duplicate
from twopass.training.pairs import Source

Advance = Callable[[int], None]

_IDS_ONLY = Fields(text=False, metadata=False)


@dataclass(frozen=True, slots=True)
class MiningOptions:
    """How widely negatives are searched for.

    Attributes:
        dense: Nearest passages by embedding to consider, for each question.
        lexical: Best passages by BM25 to consider, for each question.
        concurrency: Questions under way at once.
    """

    dense: int = 30
    lexical: int = 15
    concurrency: int = 4


@dataclass(frozen=True, slots=True)
class Group:
    """A question and the passages that a reranker has to order for it.

    Attributes:
        query: The question.
        source: Name of the file that the question is from.
        passages: Numbers of passages; the first one answers, the others are not known to.
        similarity: The first pass's cosine of each passage. A passage that the dense search did not
            find gets the cosine of the last one found, an upper bound of its own.
    """

    query: str
    source: str
    passages: tuple[int, ...]
    similarity: tuple[float, ...]


def mine(
    client: Client,
    source: Source,
    passages: list[str],
    options: MiningOptions,
    indexed: Advance,
    searched: Advance,
) -> list[Group]:
    """Indexes the passages of a source, and searches each of its questions among them.

    Near duplicates of an answer are no negatives, and neither are other answers to the same
    question.

    Args:
        client: Client of a server, on which a new collection is created.
        source: The pairs.
        passages: The source's passages, each once; groups refer to them by number.
        options: How widely to search.
        indexed: Called with the number of passages indexed so far.
        searched: Called with 1 after each question.
    """
    collection = "train-" + "".join(c if c.isalnum() else "-" for c in source.name.lower())
    client.create_collection(collection)
    client.upsert(
        collection,
        (Document(id=str(number), text=text) for number, text in enumerate(passages)),
        chunk_size=64,
        on_progress=lambda done: indexed(done.num_documents),
    )
    number_of = {text: number for number, text in enumerate(passages)}
    prints = [fingerprint(text) for text in passages]
    answers: dict[str, set[int]] = {}
    for pair in source.pairs:
        answers.setdefault(pair.query, set()).add(number_of[pair.positive])

    def group(number: int) -> Group:
        pair = source.pairs[number]
        dense = _found(client, collection, pair.query, "dense", options.dense)
        lexical = _found(client, collection, pair.query, "lexical", options.lexical)
        given = dict.fromkeys(number_of[text] for text in pair.negatives)
        negatives = [
            candidate
            for candidate in dict.fromkeys([*given, *dense, *lexical])
            if not any(is_near_duplicate(prints[candidate], prints[a]) for a in answers[pair.query])
        ]
        members = (number_of[pair.positive], *negatives)
        least = min(dense.values(), default=0.0)
        searched(1)
        return Group(pair.query, source.name, members, tuple(dense.get(m, least) for m in members))

    with ThreadPoolExecutor(options.concurrency) as threads:
        groups = list(threads.map(group, range(len(source.pairs))))
    client.delete_collection(collection)
    return groups


def _found(
    client: Client, collection: str, query: str, mode: RetrieveMode, k: int
) -> Mapping[int, float]:
    """Passages found, best first, with their dense score, or 0 for those without one."""
    hits = client.search(
        collection,
        query,
        top_n=k,
        retrieve=Retrieve(mode=mode, k=k),
        rerank=False,
        fields=_IDS_ONLY,
        timeout=120,
    ).hits
    return {int(hit.id): hit.dense_score or 0.0 for hit in hits}
