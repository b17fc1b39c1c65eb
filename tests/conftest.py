"""What all tests share: the shipped models, loaded once, and the numbers torch gave for them."""

import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import hypothesis
import numpy as np
import pytest
from numpy.typing import NDArray

import twopass.server
from twopass.engines.base.model import LoadedEncoder, LoadedReranker
from twopass.engines.errors import EngineUnavailableError
from twopass.engines.gpu.device_kind import require_driver
from twopass.engines.loading import load_model

# Need a browser, or Helm, in environments of their own: `make page`, `make chart`.
collect_ignore = ["page", "deploy"]

# A busy machine is no reason to fail: no example has a time limit.
hypothesis.settings.register_profile("untimed", deadline=None)
hypothesis.settings.load_profile("untimed")


def pytest_configure() -> None:
    """Leaves tables as wide as they have to be, though pytest-xdist tells its workers a width."""
    os.environ.pop("COLUMNS", None)


def pytest_report_header() -> str:
    """Says which code is tested: the tree, or what is installed."""
    return f"twopass.server: {Path(twopass.server.__file__).resolve().parent}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skips what needs a GPU where there is none, and says so."""
    try:
        require_driver()
    except EngineUnavailableError as error:
        for item in items:
            if item.get_closest_marker("gpu"):
                item.add_marker(pytest.mark.skip(reason=str(error)))


@dataclass(frozen=True, slots=True)
class Golden:
    """What transformers and torch computed of the shipped models; see golden/make_golden.py.

    Attributes:
        pairs: Every query with every passage, query by query.
        pair_ids: Each pair's token ids, special ones included, cut at 512.
        logits: Of each pair, float32.
        texts: The queries, then the passages.
        embeddings: Of each text, float32 `[num_texts, 384]`.
    """

    pairs: list[tuple[str, str]]
    pair_ids: list[list[int]]
    logits: NDArray[np.float32]
    texts: list[str]
    embeddings: NDArray[np.float32]


@pytest.fixture(scope="session")
def golden() -> Golden:
    file = Path(__file__).parent / "golden" / "golden.json"
    content = json.loads(file.read_text(encoding="utf-8"))
    queries, passages = content["queries"], content["passages"]
    return Golden(
        pairs=[(query, passage) for query in queries for passage in passages],
        pair_ids=content["pair_ids"],
        logits=np.array(content["logits"], np.float32),
        texts=queries + passages,
        embeddings=np.array(content["embeddings"], np.float32),
    )


@pytest.fixture(scope="session")
def reranker() -> Iterator[LoadedReranker]:
    """The shipped reranker."""
    model = load_model("twopass-minilm-l6", num_threads=0)
    assert isinstance(model, LoadedReranker)
    yield model
    model.engine.close()


@pytest.fixture(scope="session")
def encoder() -> Iterator[LoadedEncoder]:
    """The shipped encoder."""
    model = load_model("all-MiniLM-L6-v2", num_threads=0)
    assert isinstance(model, LoadedEncoder)
    yield model
    model.engine.close()
