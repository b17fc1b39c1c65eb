"""Words, codes and names in scripts with spaces: each whole, in parts, and in pairs of parts.

`XR-2000/5` is xr, 2000 and 5, the pairs xr2000 and 2000.5, and xr2000.5. So a part finds the code,
another spelling of it (XR2000) too, and the same parts in the same order score above the same parts
elsewhere.
"""

import re
import unicodedata
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from twopass.index.words.analysis_folding import bounded, folded, marks

MAX_PARTS = 12
"""Most parts of a name without a separator; one with more (Base64, say) stays whole."""

MAX_BORDERS = 3
"""Most borders between letters and digits of such a name; one with more is a number in base 16."""

MAX_WHOLE = 12
"""Most parts of a code that is also a term as a whole."""


# In a query, what is beside the words that a reader sees counts less: a code has its parts, pairs
# and the whole, and must not outweigh the other words by so much. Measured on eight English test
# collections; a half and a quarter are as good as anything near them.
_BESIDE = 0.5
_SINGLE = 0.25

_W = rf"\w{marks(0x300, 0x1F000)}"
_CONNECTORS = r"-\u2010_./\\:@&'\u2019\u02bc+#=~\u00b7"
_EMOJI = "\u2190-\u21ff\u2300-\u23ff\u2600-\u27bf\u2b00-\u2bff\U0001f000-\U0001faff"

# A name may begin with a sign (.NET, @handle, #tag) and end with one (C++, C#, A+).
_CHUNK = (
    r"(?:(?<![^\s(\[\"',;])[.@#](?=[^\W\d_]))?"
    rf"[{_W}]+(?:(?:[{_CONNECTORS}]{{1,3}}|,(?=\d))[{_W}]+)*"
    r"(?:\+\+|[+#])?"
)
ANY_CHUNK = re.compile(rf"{_CHUNK}|[\U0001f1e6-\U0001f1ff]{{2}}|[{_EMOJI}]")
_ASCII_CHUNK = re.compile(_CHUNK.replace(_W, r"\w"), re.ASCII)

# The kinds of characters: U upper case, s the letter s, l another letter, d digit, K Hangul.
_PART = re.compile(r"U{2,}s(?![lsU])|U+(?=U[ls])|U?[ls]+|U+|d+|K+")
_BORDER = re.compile(r"(?<=[Uls])(?=d)|(?<=d)(?=[Uls])")
_SEGMENT = re.compile(r"[UlsdK]+")
_THOUSANDS = re.compile(r"(?<![\d.,'])\d{1,3}(?:(?:,\d{3})+|(?:'\d{3})+)(?![\d,'])")
# What makes a single letter another name: C++, C#, A+.
_NAMING_SIGN = re.compile(r"\+\+|#|\+$")
_ORDINAL = re.compile(r"\d+(?:st|nd|rd|th)")
_CLITICS = frozenset(("s", "re", "ve", "ll", "d", "m"))

# Particles that follow a Korean noun, longest first where one ends as another.
_PARTICLES = re.compile(
    "(?:에서는|에서도|으로는|으로도|까지는|까지도|에게서|이라는|이라고|입니다|"
    "에서|에게|에는|에도|으로|로는|로도|까지|부터|처럼|보다|한테|께서|이나|이며|이고|이다|라는|라고|"
    "은|는|이|가|을|를|의|에|로|와|과|도|만|나|며)$"
)


class _Kinds(dict[str, str]):
    """The kind of each character; filled as characters are met."""

    def __missing__(self, character: str) -> str:
        if "\uac00" <= character <= "\ud7a3" or "\u1100" <= character <= "\u11ff":
            kind = "K"
        elif (category := unicodedata.category(character))[0] == "N":
            kind = "d"
        elif category in ("Lu", "Lt"):
            kind = "U"
        elif category[0] == "L":
            kind = "s" if character == "s" else "l"
        elif category[0] == "M":
            kind = "m"
        else:
            kind = "-"
        self[character] = kind
        return kind


_KINDS = _Kinds()


def _shape(chunk: str) -> str:
    kinds = [_KINDS[character] for character in chunk]
    for place, kind in enumerate(kinds):
        if kind == "m":  # a sign is of the letter before it
            kinds[place] = kinds[place - 1] if place else "l"
    return "".join(kinds)


@dataclass(slots=True)
class _Segment:
    """What stands between two separators: its parts, and the separator before it."""

    separator: str
    parts: list[str]


def _segments(chunk: str, *, by_case: bool) -> Iterator[_Segment]:
    shape = _shape(chunk)
    end = 0
    for match in _SEGMENT.finditer(shape):
        start = match.start()
        separator = chunk[end:start]
        end = match.end()
        if end - start == 1 and (sign := _NAMING_SIGN.match(chunk, end)):
            end = sign.end()
            yield _Segment(separator, [chunk[start:end]])
            continue
        cuts = [0, *(b.start() for b in _BORDER.finditer(match[0])), end - start]
        if len(cuts) - 2 > MAX_BORDERS or _ORDINAL.fullmatch(chunk, start, end):
            parts = [chunk[start:end]]
        elif by_case or "K" in match[0]:
            pieces = match[0] if by_case else match[0].replace("U", "l")
            parts = [chunk[start + p.start() : start + p.end()] for p in _PART.finditer(pieces)]
            if len(parts) > MAX_PARTS:
                parts = [chunk[start:end]]
        else:
            parts = [chunk[start + a : start + b] for a, b in pairwise(cuts) if a < b]
        yield _Segment(separator, parts)


def _without_thousands(chunk: str) -> str:
    """1,000,000 and 1'000'000 are the number 1000000."""
    return _THOUSANDS.sub(lambda number: re.sub("[,']", "", number[0]), chunk)


def _joined_apostrophes(segments: list[_Segment]) -> list[_Segment]:
    """Of don't one segment, of John's and we'll the first; O'Neill and l'école stay two."""
    kept: list[_Segment] = []
    for segment in segments:
        if kept and segment.separator in ("'", "\u2019", "\u02bc"):
            right = "".join(segment.parts).lower()
            if right in _CLITICS:
                continue
            if right == "t" and kept[-1].parts[-1][-1] in "nN":
                kept[-1].parts[-1] += segment.parts[0]
                continue
        kept.append(segment)
    return kept


def chunks(text: str) -> list[str]:
    """Returns the words of a normalised text, and codes with all their parts, in order."""
    return (_ASCII_CHUNK if text.isascii() else ANY_CHUNK).findall(text)


def atoms(chunk: str) -> tuple[str, ...]:
    """Returns the smallest parts of a chunk in order, whatever its case: one for each position."""
    if chunk.isascii() and chunk.isalpha():
        return (bounded(chunk.lower()),)
    segments = _joined_apostrophes(list(_segments(_without_thousands(chunk), by_case=False)))
    if not segments:
        return (chunk,) if "_" not in chunk else ()
    found: list[str] = []
    for segment in segments:
        for part in segment.parts:
            plain = folded(part)
            if _KINDS[part[0]] == "K":
                found += plain
            elif plain:
                found.append(bounded(plain))
    return tuple(found)


def terms(chunk: str, stem: Callable[[str], str]) -> tuple[str, ...]:
    """Returns the distinct terms of a chunk: parts, pairs of adjacent parts, and the whole.

    Args:
        chunk: One of `chunks`.
        stem: What removes a word's endings.
    """
    if chunk.isascii() and chunk.isalpha() and (chunk.islower() or chunk.istitle()):
        return (bounded(stem(chunk.lower())),)
    return tuple(weights(chunk, stem))


def weights(chunk: str, stem: Callable[[str], str]) -> dict[str, float]:
    """Returns the terms of a chunk, and how much each counts in a query; see `terms`."""
    segments = _joined_apostrophes(list(_segments(_without_thousands(chunk), by_case=True)))
    if not segments:  # an emoji, or underscores
        return {chunk: 1.0} if "_" not in chunk else {}
    found: dict[str, float] = {}
    parts: list[tuple[str, str]] = []
    if _is_abbreviation(segments):
        _add(found, "".join(segment.parts[0] for segment in segments), stem, 1.0)
    for segment in segments:
        whole = "".join(segment.parts)
        is_single = len(whole) == 1 and len(segments) > 1
        _add(found, whole, stem, _SINGLE if is_single else 1.0)
        separator = segment.separator
        for part in segment.parts:
            parts.append((separator, part))
            separator = ""
            if len(part) > 1 and len(segment.parts) > 1:
                _add(found, part, stem, _BESIDE)
    for pair in pairwise(parts):
        _add(found, _joined(pair), stem, _BESIDE)
    if 2 < len(parts) <= MAX_WHOLE and len(segments) > 1:
        _add(found, _joined(parts), stem, _BESIDE)
    first, last = segments[0].parts[0], "".join(segments[-1].parts)
    if chunk[0] in ".@#":
        found.setdefault(bounded(folded(chunk[0] + first)), _BESIDE)
    if chunk[-1] in "+#" and last[-1] not in "+#":
        found.setdefault(bounded(folded(last) + chunk[len(chunk.rstrip("+#")) :]), _BESIDE)
    return found


def _is_abbreviation(segments: list[_Segment]) -> bool:
    """Whether it is letters with dots between: U.S., e.g."""
    return {segment.separator for segment in segments[1:]} == {"."} and all(
        len(segment.parts[0]) == 1 == len(segment.parts) and segment.parts[0].isalpha()
        for segment in segments
    )


def _joined(parts: Sequence[tuple[str, str]]) -> str:
    """Parts in a row as one term: xr2000, at&t, and 2000.5, since 20005 is another number."""
    whole = parts[0][1]
    for separator, part in parts[1:]:
        if "&" in separator:
            whole += "&"
        elif _KINDS[whole[-1]] == "d" and _KINDS[part[0]] == "d":
            whole += "."
        whole += part
    return whole


def _add(found: dict[str, float], word: str, stem: Callable[[str], str], weight: float) -> None:
    """Adds the terms of a part, or of parts that were joined."""
    plain = folded(word)
    if not plain:
        return
    if not plain.isalpha() and not any(_KINDS[c] == "m" for c in plain):
        found.setdefault(bounded(plain), weight)
        return
    if _KINDS[plain[0]] == "K":
        found.setdefault(bounded(plain), weight)
        if len(plain) > 2:
            for pair in map("".join, pairwise(plain)):
                found.setdefault(pair, weight * _BESIDE)
        if (noun := _PARTICLES.sub("", plain, count=1)) and noun != plain:
            found.setdefault(bounded(noun), weight)
        return
    found.setdefault(bounded(stem(plain)), weight)
    if not word.isascii():
        # Endings are removed as they are written, and as one writes who leaves accents out.
        found.setdefault(bounded(folded(stem(word.lower()))), weight)
