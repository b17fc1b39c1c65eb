"""Documents change while others search: every score is compared with one that is computed anew."""

import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from twopass.benchmarks.words import COMMON_WORDS
from twopass.client import Client, Document, Fields, Retrieve
from twopass.commands.key_file import add_key
from twopass.server.edge.keys import ApiKey, ScoreSharing, make_key
from twopass.server.local import LocalServer

_COLLECTION = "changing"
_NUM_DOCUMENTS = 400
_NUM_QUERIES = 30
_NUM_TEXTS = 2_000
_SEARCHERS = 3
_K = 20
_UPDATES_OF_A_CALL = 10


@dataclass(slots=True)
class Compared:
    """What was compared.

    Attributes:
        num_updates: Documents replaced, deleted, put back, or given other metadata.
        num_answers: Answers whose scores were all compared.
        num_scores: Scores compared.
        num_cached: How many of them came from the cache.
        num_stale: How many were another than the one computed anew.
    """

    num_updates: int = 0
    num_answers: int = 0
    num_scores: int = 0
    num_cached: int = 0
    num_stale: int = 0


class _Updates:
    """Random changes. Texts come again, so that a document is often what it or another was."""

    def __init__(self, seed: int) -> None:
        self._chance = random.Random(seed)  # noqa: S311
        self._texts = [
            " ".join(self._chance.choices(COMMON_WORDS, k=self._chance.randint(4, 30)))
            for _ in range(_NUM_TEXTS)
        ]

    def document(self, number: int) -> Document:
        version = self._chance.randrange(1_000)
        return Document(
            str(number), self._chance.choice(self._texts), metadata={"version": version}
        )

    def all(self) -> list[Document]:
        return [self.document(number) for number in range(_NUM_DOCUMENTS)]

    def some(self) -> tuple[list[Document], list[str]]:
        """Documents to be written, and ids of others to be deleted."""
        numbers = self._chance.sample(range(_NUM_DOCUMENTS), _UPDATES_OF_A_CALL)
        num_deleted = self._chance.randrange(4)
        return [self.document(n) for n in numbers[num_deleted:]], list(
            map(str, numbers[:num_deleted])
        )


def compare(folder: Path, num_updates: int) -> Compared:
    """Makes so many updates while searchers compare scores; then compares whole answers."""
    keys = folder / "keys.toml"
    secrets = {}
    for name in ScoreSharing:
        made = make_key()
        add_key(keys, ApiKey(name=name, sha256=made.sha256, score_cache=name))
        secrets[name] = made.secret
    flags = ("--keys", str(keys))
    with (
        LocalServer(None, flags=flags) as server,
        Client(server.target, api_key=secrets[ScoreSharing.SHARED], timeout=60) as client,
        Client(server.target, api_key=secrets[ScoreSharing.OFF], timeout=60) as anew,
    ):
        updates, found, done = _Updates(0), Compared(), threading.Event()
        queries = [document.text for document in updates.all()[:_NUM_QUERIES]]
        client.create_collection(_COLLECTION)
        client.upsert(_COLLECTION, updates.all())
        lock = threading.Lock()

        def search_on(seed: int) -> None:
            chance = random.Random(seed)  # noqa: S311
            while not done.is_set():
                one = _of_one_answer(client, anew, chance.choice(queries))
                with lock:
                    _add(found, one)

        with ThreadPoolExecutor(_SEARCHERS) as searchers:
            searching = [searchers.submit(search_on, seed) for seed in range(_SEARCHERS)]
            try:
                while found.num_updates < num_updates:
                    written, deleted = updates.some()
                    client.upsert(_COLLECTION, written)
                    if deleted:
                        client.delete(_COLLECTION, deleted)
                    found.num_updates += len(written) + len(deleted)
            finally:
                done.set()
            for each in searching:
                each.result()
        _add(found, _of_whole_answers(client, anew, queries))
    return found


def _of_one_answer(client: Client, anew: Client, query: str) -> Compared:
    """Compares the logits of hits with those of their texts, scored by a key without a cache."""
    answer = client.search(
        _COLLECTION, query, retrieve=Retrieve(k=_K), top_n=_K, fields=Fields(text=True)
    )
    texts = [hit.text for hit in answer.hits]
    scored = {hit.index: hit.logit for hit in anew.rerank(query, texts).hits} if texts else {}
    stale = sum(hit.logit != scored[i] for i, hit in enumerate(answer.hits))
    return Compared(0, 1, len(texts), answer.num_cached, stale)


def _of_whole_answers(client: Client, anew: Client, queries: Sequence[str]) -> Compared:
    """Compares answers, hit by hit, while nothing changes."""
    found = Compared()
    for query in queries:
        for _ in range(2):
            answer, other = (
                each.search(_COLLECTION, query, retrieve=Retrieve(k=_K), top_n=_K)
                for each in (client, anew)
            )
            stale = sum(a != b for a, b in zip(answer.hits, other.hits, strict=True))
            _add(found, Compared(0, 1, len(answer.hits), answer.num_cached, stale))
            assert other.num_cached == 0
    return found


def _add(found: Compared, more: Compared) -> None:
    found.num_answers += more.num_answers
    found.num_scores += more.num_scores
    found.num_cached += more.num_cached
    found.num_stale += more.num_stale
