"""Which shapes of packed batches are captured as CUDA graphs: a step up in three sizes.

A graph computes one shape for ever, so a batch is filled up to the next that there is: its tokens
and its sequences to a step of each, its longest sequence to a step that its padding keeps to.
"""

from collections.abc import Iterator
from dataclasses import dataclass

# What one launch may give results for: a row of static outputs is kept for each.
_MAX_SEQUENCES = 2_048
# Products are fastest at multiples of eight rows in 16 bits.
_TOKEN_GRAIN = 8
# Lengths of requests as they come: passages, then queries, then long passages. Of each, a few to
# many at once; 40 and 100 are what is reranked most.
_USUAL_LENGTHS = (128, 64, 32, 16, 256, 512)
_USUAL_COUNTS = (1, 2, 4, 8, 16, 32, 40, 64, 100, 128, 256)
# Of web passages; full batches of these under load.
_MEAN_TOKENS = 80


@dataclass(frozen=True, slots=True)
class Steps:
    """Sizes that are prepared: so many in every doubling.

    Attributes:
        per_octave: How many, a power of two; a size grows by one in so many at most.
        grain: What all are multiples of, a power of two.
    """

    per_octave: int
    grain: int = 1

    def up(self, size: int) -> int:
        """The smallest that holds a size, at least 1."""
        below = 1 << max(0, (size - 1).bit_length() - 1)  # the last power of two before it
        step = max(self.grain, below // self.per_octave)
        return -(-size // step) * step


@dataclass(frozen=True, slots=True)
class GraphKey:
    """The shape that one graph computes.

    Attributes:
        tokens: Tokens of all sequences, padding among them.
        sequences: Sequences, those of padding and empty ones among them.
        longest: Tokens that no sequence exceeds.
    """

    tokens: int
    sequences: int
    longest: int


@dataclass(frozen=True, slots=True)
class GraphSteps:
    """The steps of one engine's graphs.

    Attributes:
        max_tokens: Most tokens of a launch that a graph computes.
        max_longest: The longest sequence that the model takes, in tokens.
        tokens: Steps of the number of tokens.
        sequences: Steps of the number of sequences.
        longest: Steps of the longest sequence.
    """

    max_tokens: int
    max_longest: int
    tokens: Steps
    sequences: Steps
    longest: Steps

    @classmethod
    def for_attention(cls, max_tokens: int, max_longest: int, *, is_packed: bool) -> "GraphSteps":
        """The steps that waste little.

        Where attention is packed too, what is beyond a sequence's end costs it next to nothing, so
        that sequences and lengths have few steps. Where it is padded it costs the product of both:
        steps are fine, and large batches, which take longer to compute than to launch, are left to
        run as they are.
        """
        if is_packed:
            return cls(max_tokens, max_longest, Steps(8, _TOKEN_GRAIN), Steps(1), Steps(1, 16))
        return cls(
            max_tokens // 4, max_longest, Steps(8, _TOKEN_GRAIN), Steps(8), Steps(8, _TOKEN_GRAIN)
        )

    @property
    def max_sequences(self) -> int:
        """Most sequences of a key."""
        return _MAX_SEQUENCES

    def key(self, num_tokens: int, num_sequences: int, longest: int) -> GraphKey | None:
        """The graph that computes a batch, or None where none is to.

        Args:
            num_tokens: Of all sequences.
            num_sequences: At least 1.
            longest: Tokens of the longest sequence, at most `max_longest`.
        """
        if not 0 < num_tokens <= self.max_tokens:
            return None
        tokens = min(self.tokens.up(num_tokens), self.max_tokens)
        longest = min(self.longest.up(longest), self.max_longest)
        num_padding = -(-(tokens - num_tokens) // longest)  # sequences that hold padding
        sequences = self.sequences.up(num_sequences + num_padding)
        return None if sequences > _MAX_SEQUENCES else GraphKey(tokens, sequences, longest)

    def usual(self) -> list[GraphKey]:
        """Keys to be captured at start, each once, what is used most first.

        The first is the largest, whose memory the others' graphs share.
        """
        found = dict.fromkeys(
            key for shape in self._usual_shapes() if (key := self.key(*shape)) is not None
        )
        return list(found)

    def _usual_shapes(self) -> Iterator[tuple[int, int, int]]:
        mixed = [min(length, self.max_longest) for length in (256, 512, 128)]
        for longest in mixed:
            yield self.max_tokens, -(-self.max_tokens // min(longest, _MEAN_TOKENS)), longest
        for length in _USUAL_LENGTHS:
            for count in _USUAL_COUNTS:
                if length <= self.max_longest:
                    yield count * length, count, length
        for part in (2, 4, 8):
            num_tokens = self.max_tokens // part
            for longest in mixed:
                yield num_tokens, -(-num_tokens // min(longest, _MEAN_TOKENS)), longest
