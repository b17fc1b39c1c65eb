"""Whether every document is found by its words, and by those alone, after a crash."""

import random
from collections.abc import Iterator, Sequence

from twopass.client import Client, Document, Fields, Prefix, Retrieve, SearchHit, WordClauses

from .documents import word_of
from .ledger import Findings

_BY_WORDS, _BY_BOTH = Retrieve("lexical"), Retrieve("hybrid")
_NOTHING = Fields(text=False, metadata=False)
_MAX_TOP_N = 2_048
# Words of one query, each of another document.
_WORDS_OF_QUERY = 40
_NUM_HYBRID = 3


def examine_words(
    client: Client,
    collection: str,
    dimension: int,
    documents: Sequence[Document],
    gone: Sequence[tuple[str, int]],
    drawn: random.Random,
) -> Findings:
    """Searches a collection to which nobody writes for the word of every document.

    Args:
        client: Of the server.
        collection: Its name.
        dimension: Components of its vectors.
        documents: All that it holds.
        gone: Id and version of documents that were replaced or deleted, or never written.
        drawn: For the documents that are searched by words and vectors together.
    """
    findings = Findings(num_documents=len(documents))
    there = [(document.id, int(document.metadata["version"])) for document in documents]
    for some in _batches(there):
        found = _ids(_searched(client, collection, _words(some)))
        wanted = [name for name, _ in some]
        findings.missing += [f"{name} by its own word" for name in sorted({*wanted} - {*found})]
        findings.phantom += [f"{name} by words of others" for name in _surplus(found, wanted)]
    for some in _batches(gone):
        hits = _searched(client, collection, _words(some))
        findings.phantom += [f"{hit.id} by a word of what is gone: {some}" for hit in hits]
    everything = _ids(_searched(client, collection, "version"))
    if sorted(everything) != sorted(name for name, _ in there):
        findings.other.append(
            f"{len(everything)} hits for a word of all {len(there)} documents, or others"
        )
    for name, version in drawn.sample(there, min(_NUM_HYBRID, len(there))):
        vector = [drawn.gauss(0, 1) for _ in range(dimension)]
        _check_hybrid(client, collection, name, version, vector, findings)
        others = sorted({known for known, _ in there} - {name})
        _check_clauses(client, collection, (name, version), others, vector, findings)
    return findings


def _check_hybrid(
    client: Client,
    collection: str,
    name: str,
    version: int,
    vector: Sequence[float],
    findings: Findings,
) -> None:
    """Asks for a document's word beside a vector that is near to none."""
    hits = _searched(client, collection, word_of(name, version), _BY_BOTH, vector)
    by_words = [hit.id for hit in hits if hit.lexical_rank is not None]
    if by_words != [name]:
        findings.other.append(f"the word of {name} led a search by both to {by_words}")
    if len({hit.id for hit in hits}) != len(hits):
        findings.other.append("a search by both found a document twice")


def _check_clauses(
    client: Client,
    collection: str,
    document: tuple[str, int],
    others: Sequence[str],
    vector: Sequence[float],
    findings: Findings,
) -> None:
    """Asks for what holds a phrase and a prefix of one document, and for what does not."""
    name, version = document
    word = word_of(name, version)
    phrase = f"version {version} {word}"
    holding = WordClauses(required=[phrase, Prefix(word[:-3])])
    lacking = WordClauses(excluded=[phrase])
    asked = (("the phrase", holding, [name]), ("all but the phrase", lacking, others))
    for what, clauses, expected in asked:
        for mode in ("lexical", "dense", "hybrid"):
            retrieve = Retrieve(mode, nprobe=2, words=clauses)
            given = None if mode == "lexical" else vector
            found = sorted(_ids(_searched(client, collection, "version", retrieve, given)))
            if found != list(expected):
                findings.other.append(
                    f"{what} of {name} led a {mode} search to {len(found)} documents, "
                    f"not {len(expected)}, or to others"
                )


def _searched(
    client: Client,
    collection: str,
    words: str,
    retrieve: Retrieve = _BY_WORDS,
    vector: Sequence[float] | None = None,
) -> Sequence[SearchHit]:
    return client.search(
        collection,
        words,
        vector=vector,
        top_n=_MAX_TOP_N,
        retrieve=retrieve,
        rerank=False,
        fields=_NOTHING,
    ).hits


def _batches(versions: Sequence[tuple[str, int]]) -> Iterator[Sequence[tuple[str, int]]]:
    for first in range(0, len(versions), _WORDS_OF_QUERY):
        yield versions[first : first + _WORDS_OF_QUERY]


def _words(versions: Sequence[tuple[str, int]]) -> str:
    return " ".join(word_of(name, version) for name, version in versions)


def _ids(hits: Sequence[SearchHit]) -> list[str]:
    return [hit.id for hit in hits]


def _surplus(found: Sequence[str], wanted: Sequence[str]) -> list[str]:
    """What was found that is not wanted, and what was found twice."""
    rest = list(found)
    for name in wanted:
        if name in rest:
            rest.remove(name)
    return rest
