"""Where a tokenizer puts special tokens, read off texts that it has encoded.

So any post-processor will do: what it makes counts, not how it is written.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from tokenizers import Encoding
from tokenizers import Tokenizer as RustTokenizer

from twopass.engines.base.sequences import PairTemplate, SingleTemplate
from twopass.engines.errors import ModelError

# Entries of the vocabulary tried as texts where "a" has no token.
_MOST_PROBES = 64


def probe_of(tokenizer: RustTokenizer, content: Mapping[str, Any]) -> str:
    """A short text that has a token.

    Args:
        tokenizer: The tokenizer.
        content: Its `tokenizer.json`.

    Raises:
        ModelError: Nothing tried has one.
    """
    probe = next((text for text in _probes(content) if _ids(tokenizer, text)), None)
    if probe is None:
        raise ModelError(f"no text has a token: tried 'a' and {_MOST_PROBES} of the vocabulary")
    return probe


def single_template(tokenizer: RustTokenizer, probe: str, *, has_types: bool) -> SingleTemplate:
    """What stands around a single text.

    Args:
        tokenizer: The tokenizer; its special tokens may have any name.
        probe: A text that has a token.
        has_types: Whether the model reads token types; where not, those of the tokenizer are none.

    Raises:
        ModelError: The text does not stay whole, or token types are not 0 and then 1.
    """
    single = tokenizer.encode(probe)
    first, end = _range_of(single, 0)
    types = _types(single, has_types)
    return SingleTemplate(
        prefix=tuple(single.ids[:first]),
        suffix=tuple(single.ids[end:]),
        num_zero_types=_num_zero_types(types, end) if any(types) else None,
    )


def pair_template(tokenizer: RustTokenizer, probe: str, *, has_types: bool) -> PairTemplate:
    """What stands around two texts; arguments are those of `single_template`.

    Raises:
        ModelError: Both do not stand whole and in their order in what it makes, or token types are
            not those of a first and a second part.
    """
    pair = tokenizer.encode(probe, probe)
    first, end = _range_of(pair, 0)
    start, last = _range_of(pair, 1)
    if start < end:
        raise ModelError("its post-processor puts the second text of a pair before the first")
    types = _types(pair, has_types)
    passage_type = types[start]
    num_query = types.index(1) if passage_type else len(types)
    if any(types) and not (passage_type and end <= num_query <= start and all(types[num_query:])):
        raise ModelError(
            f"its post-processor gives a pair the token types {types}; 0 up to the first text and "
            "1 from the second on are supported"
        )
    return PairTemplate(
        prefix=tuple(pair.ids[:first]),
        separator=tuple(pair.ids[end:start]),
        suffix=tuple(pair.ids[last:]),
        passage_type=passage_type,
        num_query_separators=num_query - end if passage_type else 1,
    )


def _num_zero_types(types: list[int], end: int) -> int:
    """How many tokens at the beginning of a single text are of type 0, where others are of 1."""
    num_zeros = types.index(1)
    if not all(types[num_zeros:]) or num_zeros >= end:
        raise ModelError(
            f"its post-processor gives a text the token types {types}; one of 0 and 1 for the text "
            "and all after it is supported"
        )
    return num_zeros


def _types(encoding: Encoding, has_types: bool) -> list[int]:
    types: list[int] = encoding.type_ids
    if not has_types:
        return [0] * len(types)
    if not set(types) <= {0, 1}:
        raise ModelError(f"its post-processor gives the token types {types}; 0 and 1 are supported")
    return types


def _range_of(encoding: Encoding, text: int) -> tuple[int, int]:
    """Where the tokens of a text stand: the first, and one past the last."""
    places = [i for i, number in enumerate(encoding.sequence_ids) if number == text]
    if not places or places[-1] - places[0] != len(places) - 1:
        raise ModelError("its post-processor does not keep each text whole")
    return places[0], places[-1] + 1


def _ids(tokenizer: RustTokenizer, text: str) -> list[int]:
    ids: list[int] = tokenizer.encode(text, add_special_tokens=False).ids
    return ids


def _probes(content: Mapping[str, Any]) -> Iterator[str]:
    """Short texts, one of which surely has a token."""
    yield from "a1"
    vocabulary = content["model"]["vocab"]
    pieces = (entry if isinstance(entry, str) else entry[0] for entry in vocabulary)
    plain = (piece.strip("▁#") for piece in pieces)
    yield from islice((piece for piece in plain if piece), _MOST_PROBES)
