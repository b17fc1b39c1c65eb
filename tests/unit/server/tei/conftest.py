"""TEI's operations on the shipped models."""

from collections.abc import Iterator

import pytest

from twopass.engines.base.engine import Precision
from twopass.engines.base.model import LoadedModel
from twopass.engines.loading import load_model
from twopass.server.config import ServerConfig
from twopass.server.models.passages import Limits
from twopass.server.models.registry import Models
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.scheduling.arbiter import Arbiter
from twopass.server.search.reranking import Reranking
from twopass.server.search.second_pass import SecondPass
from twopass.server.tei.operations import TeiOperations
from twopass.server.tei.served import TeiParts

MAX_TEXTS = 8
ENCODER, RERANKER = "all-MiniLM-L6-v2", "twopass-minilm-l3"


@pytest.fixture(scope="session")
def loaded() -> Iterator[list[LoadedModel]]:
    models = [load_model(n, num_threads=1, precision=Precision.F32) for n in (ENCODER, RERANKER)]
    yield models
    for model in models:
        model.engine.close()


@pytest.fixture(scope="session")
def tokenizing() -> Iterator[Tokenizing]:
    tokenizing = Tokenizing(1)
    yield tokenizing
    tokenizing.close()


def operations_on(
    models: list[LoadedModel], tokenizing: Tokenizing, **limits: int
) -> TeiOperations:
    held, arbiter = Models(models), Arbiter(max_queued_pairs=100)
    return TeiOperations(
        TeiParts(
            config=ServerConfig(),
            models=held,
            arbiter=arbiter,
            tokenizing=tokenizing,
            reranking=Reranking(held, arbiter, tokenizing, SecondPass(arbiter)),
            limits=Limits(
                max_candidates=MAX_TEXTS,
                max_documents=MAX_TEXTS,
                max_passage_bytes=4_000,
                max_query_bytes=4_000,
                **limits,
            ),
        )
    )


@pytest.fixture
def tei(loaded: list[LoadedModel], tokenizing: Tokenizing) -> TeiOperations:
    return operations_on(loaded, tokenizing)
