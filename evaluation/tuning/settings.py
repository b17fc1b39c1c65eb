"""How a collection can be searched, and which of those ways are compared."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from twopass import client
from twopass.client import Rerank, Retrieve, RetrieveMode, Truncation
from twopass.evaluation.blends import BLENDS
from twopass.index.fusion import ConvexFusion, Fusion, ReciprocalRankFusion

DEPTHS = (10, 20, 50, 100)
"""How many candidates are reranked, and found, in the ways that are compared by default."""

MODES: tuple[RetrieveMode, ...] = ("lexical", "dense", "hybrid")

FUSIONS: tuple[Fusion, ...] = (
    ReciprocalRankFusion(60),
    *(ConvexFusion(alpha) for alpha in (0.5, 0.7, 0.8, 0.85, 0.9, 0.95)),
)
"""Fusions of the ways that are compared by default."""

WEIGHTS = BLENDS[:-1]
"""Blends that are compared: all but 1, which reads candidates and does not heed what was read."""


@dataclass(frozen=True, slots=True)
class Reader:
    """A reranker, and what it reads of a passage that is too long for it.

    Attributes:
        model: Its id on the server.
        truncation: "truncate": the beginning alone; "max_window": the whole in windows.
    """

    model: str
    truncation: Truncation = "truncate"


@dataclass(frozen=True, slots=True)
class Settings:
    """One way of searching a collection.

    Attributes:
        mode: How candidates are found.
        k: How many are found, by either list.
        fusion: How "hybrid" joins both lists; None with the other modes.
        depth: How many candidates are reranked; 0 for none.
        reader: Who reranks; None for nobody.
        blend: Weight of the first pass in the order of the reranked; 0 where nobody reranks.
    """

    mode: RetrieveMode
    k: int
    fusion: Fusion | None = None
    depth: int = 0
    reader: Reader | None = None
    blend: float = 0.0

    @property
    def cost(self) -> "Settings":
        """What decides its time: the settings without their fusion and blend."""
        return Settings(self.mode, self.k, None, self.depth, self.reader)

    @property
    def series(self) -> str:
        """What it has in common with settings that differ in numbers alone."""
        if self.reader is None:
            return self.mode
        windows = ", in windows" if self.reader.truncation == "max_window" else ""
        return f"{self.mode} + {self.reader.model}{windows}"

    def told(self) -> str:
        """All of it in one line for people."""
        parts = [f"{self.mode}, k {self.k}"]
        if self.fusion is not None:
            parts.append(fusion_name(self.fusion))
        if self.reader is None:
            parts.append("not reranked")
        else:
            windows = " in windows" if self.reader.truncation == "max_window" else ""
            parts.append(f"{self.depth} reranked by {self.reader.model}{windows}")
            parts.append(f"blend {self.blend:g}")
        return ", ".join(parts)

    def as_json(self) -> dict[str, Any]:
        """All of it by the names of a request's fields."""
        return {
            "mode": self.mode,
            "k": self.k,
            "fusion": None if self.fusion is None else fusion_name(self.fusion),
            "rerank": self.reader is not None,
            "depth": self.depth if self.reader else None,
            "reranker": self.reader.model if self.reader else None,
            "truncation": self.reader.truncation if self.reader else None,
            "blend": self.blend if self.reader else None,
        }

    def retrieve(self) -> Retrieve:
        """The first pass as a client asks for it."""
        return Retrieve(self.mode, self.k, None if self.fusion is None else asked(self.fusion))

    def rerank(self) -> Rerank | bool:
        """The second pass as a client asks for it, whatever the collection's defaults."""
        if self.reader is None:
            return False
        return Rerank(
            depth=self.depth,
            model=self.reader.model,
            blend=self.blend,
            truncation=self.reader.truncation,
            min_score=0.0,
            enabled=True,
        )


def asked(fusion: Fusion) -> client.ReciprocalRankFusion | client.ConvexFusion:
    """A fusion as a client asks for it."""
    if isinstance(fusion, ReciprocalRankFusion):
        return client.ReciprocalRankFusion(fusion.k)
    assert isinstance(fusion, ConvexFusion)
    return client.ConvexFusion(fusion.alpha)


def fusion_name(fusion: Fusion) -> str:
    """A fusion by its kind and its number, such as "convex 0.9"."""
    if isinstance(fusion, ReciprocalRankFusion):
        return f"rrf {fusion.k}"
    assert isinstance(fusion, ConvexFusion)
    return f"convex {fusion.alpha:g}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Grid:
    """Which ways are compared.

    Attributes:
        modes: How candidates are found.
        ks: How many are found.
        fusions: How both lists are joined.
        depths: How many are reranked; those above k are left out.
        readers: Who reranks.
        weights: Weights of the first pass among the reranked.
    """

    modes: Sequence[RetrieveMode] = MODES
    ks: Sequence[int] = DEPTHS
    fusions: Sequence[Fusion] = FUSIONS
    depths: Sequence[int] = DEPTHS
    readers: Sequence[Reader] = ()
    weights: Sequence[float] = WEIGHTS

    @property
    def most(self) -> int:
        """The greatest k."""
        return max(self.ks)

    def first_passes(self) -> Iterator[Settings]:
        """Every first pass, without a second."""
        for mode in self.modes:
            for k in sorted(set(self.ks)):
                for fusion in self.fusions if mode == "hybrid" else (None,):
                    yield Settings(mode, k, fusion)

    def with_way(self, way: Settings) -> "Grid":
        """The grid, widened by the numbers of one more way."""

        def wider(known: Sequence[Any], *more: Any) -> tuple[Any, ...]:
            return tuple(dict.fromkeys((*known, *(one for one in more if one is not None))))

        reader = way.reader
        return Grid(
            modes=wider(self.modes, way.mode),
            ks=tuple(sorted(wider(self.ks, way.k))),
            fusions=wider(self.fusions, way.fusion),
            depths=tuple(sorted(wider(self.depths, way.depth if reader else None))),
            readers=wider(self.readers, reader),
            weights=tuple(sorted(wider(self.weights, way.blend if reader else None))),
        )
