"""What several engines of one model are as one, and which of them fit together."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Self

from twopass.engines.base.engine import Engine, EngineInfo, Layout, PaddedLayout, token_width_of

# Kernels of the engine cpu that round alike, so that their outputs are equal bit for bit; see
# docs/models.md. What is not listed may give its own bits.
_ALIKE = frozenset({"avx2", "neon", "neon_dotprod"})


@dataclass(frozen=True, slots=True)
class Class:
    """What has to be equal for the outputs of two engines to be equal as far as they promise it.

    Attributes:
        engine: The engine's name.
        precision: Its precision.
        kernels: Its instruction set, or what stands for all that round alike; else the GPU's name.
    """

    engine: str
    precision: str
    kernels: str

    @classmethod
    def of(cls, info: EngineInfo) -> Self:
        """The class of an engine."""
        is_alike = info.engine == "cpu" and info.device in _ALIKE
        return cls(info.engine, info.precision, "avx2" if is_alike else info.device)

    def __str__(self) -> str:
        return f"{self.engine} {self.precision} ({self.kernels})"


@dataclass(frozen=True, slots=True)
class Promise:
    """What a fleet has promised to those who feed it, and every member has to keep.

    Attributes:
        max_seq_len: Longest sequence in tokens.
        output_width: Numbers for each sequence.
        token_width: Components of a token's vector; members that give others compute none of these.
    """

    max_seq_len: int
    output_width: int
    token_width: int

    @classmethod
    def of(cls, engine: Engine) -> Self:
        """What an engine can promise."""
        return cls(engine.info.max_seq_len, engine.output_width, token_width_of(engine))

    def problem(self, engine: Engine) -> str:
        """Why an engine can't keep it; empty where it can."""
        if engine.output_width != self.output_width:
            return f"output_width {engine.output_width}, {self.output_width} is needed"
        if engine.info.max_seq_len < self.max_seq_len:
            return (
                f"max_seq_len {engine.info.max_seq_len:,} tokens, at least {self.max_seq_len:,} "
                "are needed"
            )
        return ""


def info_of(infos: Sequence[EngineInfo], max_seq_len: int) -> EngineInfo:
    """The figures of several engines as one.

    A batch goes to one member whole, so its bounds are those that suit all of them. As many batches
    are under way as the members take together. The speed that is measured of the fleet is that of
    all members, so a batch may take its share of the time alone.

    Args:
        infos: Of each engine, at least one.
        max_seq_len: What the fleet has promised.
    """
    max_batch_tokens = min(info.max_batch_tokens for info in infos)
    return EngineInfo(
        engine=_joined((info.engine for info in infos), "+"),
        precision=_joined((info.precision for info in infos), "+"),
        device=_joined((info.device for info in infos), ", "),
        max_seq_len=max_seq_len,
        layout=_layout_of(infos),
        max_batch_tokens=max_batch_tokens,
        max_in_flight=sum(info.max_in_flight for info in infos),
        batch_seconds=min(info.batch_seconds for info in infos) / len(infos),
        min_batch_tokens=min(max(info.min_batch_tokens for info in infos), max_batch_tokens),
        has_graphs=all(info.has_graphs for info in infos),
    )


def _layout_of(infos: Sequence[EngineInfo]) -> Layout:
    """Padded where any engine pads: one that does not is served well by rows of like lengths."""
    padded = [info.layout for info in infos if isinstance(info.layout, PaddedLayout)]
    return padded[0] if padded else infos[0].layout


def _joined(names: Iterable[str], separator: str) -> str:
    return separator.join(sorted(set(names)))
