"""What callers send: messages written once, before anything is measured."""

import json
import random
from collections.abc import Sequence
from dataclasses import dataclass

from twopass.benchmarks.workload import CandidateTexts, Texts
from twopass.v1 import rerank_pb2, search_pb2

_PASSAGE_TOKENS = 100
COLLECTION = "frontend"
# Where texts have words beyond ASCII, one passage in so many has one, as English web pages do.
_ODD_SHARE = 5
_ODD_WORDS = ("café", "naïve", "it\u2019s", "\u201cquoted\u201d", "Zürich", "\u2013")
# Requests that take turns. So many passages are more than the server's cache is given room for, so
# that each is new to it; the few of a case that comes again are always there.
_NUM_REQUESTS, _NUM_AGAIN = 64, 4
_SEED = 22


@dataclass(frozen=True, slots=True)
class Case:
    """One kind of request.

    Attributes:
        name: In the table.
        wire: "grpc" or "http".
        rpc: Path of the rpc, or of the endpoint.
        num_pairs: Pairs of a request.
        odd: Whether some passages have words beyond ASCII.
        again: Whether the server has seen the passages before.
    """

    name: str
    wire: str
    rpc: str
    num_pairs: int
    odd: bool = False
    again: bool = False


_RERANK = "/twopass.v1.RerankService/Rerank"
_SEARCH = "/twopass.v1.SearchService/Search"
CASES: tuple[Case, ...] = (
    Case("Rerank 40", "grpc", _RERANK, 40),
    Case("Rerank 100", "grpc", _RERANK, 100),
    Case("Rerank 100, accents", "grpc", _RERANK, 100, odd=True),
    Case("Rerank 100, again", "grpc", _RERANK, 100, again=True),
    Case("Search 40", "grpc", _SEARCH, 40),
    Case("Search 100", "grpc", _SEARCH, 100),
    Case("HTTP rerank 40", "http", "/v2/rerank", 40),
    Case("HTTP rerank 100", "http", "/v2/rerank", 100),
)


def case_named(name: str) -> Case:
    """The case of a name.

    Raises:
        ValueError: There is none.
    """
    for case in CASES:
        if case.name == name:
            return case
    raise ValueError(f"no case is called {name!r}; there are {', '.join(c.name for c in CASES)}")


def bodies(case: Case, caller: int) -> list[bytes]:
    """The messages that one caller sends in turn.

    Args:
        case: What they ask.
        caller: Its number: no two send the same passages, unless they are to come again.
    """
    texts = Texts(_SEED)
    count, first = (_NUM_AGAIN, 0) if case.again else (_NUM_REQUESTS, caller * _NUM_REQUESTS)
    return [_body(case, texts, number) for number in range(first, first + count)]


def documents(count: int) -> list[str]:
    """The texts of the collection that searches are made of."""
    return Texts(_SEED).passages(0, count, _PASSAGE_TOKENS)


def _body(case: Case, texts: Texts, number: int) -> bytes:
    if case.rpc == _SEARCH:
        return search_pb2.SearchRequest(
            collection=COLLECTION,
            query=texts.query(number),
            top_n=10,
            retrieve=search_pb2.RetrieveOptions(k=case.num_pairs),
            fallback=search_pb2.Fallback.FALLBACK_FORBID,
        ).SerializeToString()
    sent = texts.candidates(number, case.num_pairs, _PASSAGE_TOKENS)
    passages = _with_odd_words(sent.passages, number) if case.odd else sent.passages
    if case.wire == "http":
        return json.dumps({"query": sent.query, "documents": passages}).encode()
    return _rerank_request(sent, passages).SerializeToString()


def _rerank_request(sent: CandidateTexts, passages: Sequence[str]) -> rerank_pb2.RerankRequest:
    candidates = [
        rerank_pb2.Candidate(id=f"document-{i}", text=text) for i, text in enumerate(passages)
    ]
    return rerank_pb2.RerankRequest(query=sent.query, candidates=candidates)


def _with_odd_words(passages: Sequence[str], number: int) -> list[str]:
    chance = random.Random(number)  # noqa: S311  # the same every time
    odd = []
    for i, passage in enumerate(passages):
        words = passage.split()
        if i % _ODD_SHARE == 0:
            words[chance.randrange(len(words))] = chance.choice(_ODD_WORDS)
        odd.append(" ".join(words))
    return odd
