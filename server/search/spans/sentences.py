"""Where sentences stand in a text of any script: Unicode's rules by ICU, and what they lack.

ICU ends a sentence at each line break and after each full stop before a capital. So lines that were
broken to a width are joined first, and sentences that end in an abbreviation, an initial or the
number of a list are joined after.
"""

import re
import unicodedata
from collections.abc import Iterator

import numpy as np
from icu4py.breakers import SentenceBreaker
from icu4py.locale import Locale

MAX_SENTENCE_CHARS = 480
"""Longest sentence, in characters; longer ones are cut where they can be."""

MAX_CASELESS_CHARS = 240
"""The same where most letters have no case, as in Chinese or Thai: those say more each."""

_LOCALE = Locale("en")  # of no consequence: no language's own rules are asked for
_HALF_CHARACTER = re.compile("[\ud800-\udfff]")
# A line break and the white space that the next line begins with, which is not the text's last.
_LINE_BREAK = re.compile(r"(?:\r\n|[\r\n])[^\S\r\n]*+(?!\s|\Z)")
# Lines that were broken to a width are at least so long; headings and items are mostly not.
_MIN_BROKEN_LINE = 40
_GOES_ON = frozenset(",-\u2010\u2013\u2014'\u2019\u201d\"%&/")
_MARKER = r"(?:\(?\d{1,3}|\(?[A-Za-z]|\(?[ivxlcIVXLC]{1,5})[.)]"
_LIST_MARKER = re.compile(_MARKER + r"\s")
_MARKER_ALONE = re.compile(r"\W{0,3}" + _MARKER + r"\s*")
# What stands before a full stop that ends no sentence: an initial, or an abbreviation that a name
# or a number follows.
_UNFINISHED = re.compile(
    r"(?:^|[\s(\[\"'\u201c\u2018.\-])"
    r"(?:[^\W\d_]|Dr|Mr|Mrs|Ms|Mme|Mlle|Prof|St|Ste|Gen|Col|Maj|Capt|Cpt|Lt|Sgt|Cmdr|Adm|Rev|Fr|Hon|"
    r"Gov|Sen|Rep|Pres|Messrs|Mt|Ft|vs|v|cf|ca|approx|No|Nos|Nr|Fig|Figs|Eq|Eqs|Vol|Ch|Sec|Art|pp|p|"
    r"Op|ed|eds|trans|al|e\.g|i\.e|z\.B|d\.h|bzw|Abs|Bd|Hr|Sra|Sr|Dra|"
    r"Jan|Feb|Mar|Apr|Jun|Jul|Aug|Sep|Sept|Oct|Nov|Dec)\.[)\]]?\s*$"
)
_UNFINISHED_CHARS = 16
# Where a sentence that is too long is cut, the best places first; a part keeps what it ends with.
_CUTS = tuple(
    re.compile(pattern)
    for pattern in (
        r"[\r\n]+",
        r"[;:\uff1b\uff1a](?:\s+|(?<=[\uff1b\uff1a]))",
        r"[,\u3001\uff0c](?:\s+|(?<=[\u3001\uff0c]))",
        r"\s+",
    )
)


def sentences(text: str) -> list[tuple[int, int]]:
    """Where the sentences of a text stand: first character, one past the last.

    They are in order, do not overlap, hold every character but white space between them, begin and
    end with none, and none is longer than `MAX_SENTENCE_CHARS`.

    Args:
        text: Any text; halves of characters are read as signs.
    """
    found: list[tuple[int, int]] = []
    for start, end in _joined(text, _boundaries(text)):
        found += _parts(text, start, end)
    return found


def _boundaries(text: str) -> list[int]:
    """Where ICU has sentences end, in characters, from 0 to the length of the text."""
    read = _LINE_BREAK.sub(lambda found: _unbroken(text, found), text)
    if not read.isascii():
        read = _HALF_CHARACTER.sub("\ufffd", read)
    ends = [end for _, end in SentenceBreaker(read, _LOCALE).segments()]
    if not read.isascii() and max(read, default="") > "\uffff":
        # ICU counts in UTF-16, where characters beyond the first plane are two.
        is_wide = np.frombuffer(read.encode("utf-32-le"), np.uint32) > 0xFFFF
        units = np.arange(1, len(read) + 1) + np.cumsum(is_wide)
        ends = (np.searchsorted(units, ends) + 1).tolist()
    return [0, *ends]


def _unbroken(text: str, found: re.Match[str]) -> str:
    """A line break as spaces, where the sentence goes on behind it."""
    start, end = found.span()
    last = start - 1
    while last >= 0 and text[last] in " \t":
        last -= 1
    before = text[last] if last >= 0 else "\n"
    if not (before.isalnum() or before in _GOES_ON):
        return found[0]
    line = last - max(text.rfind("\n", 0, last), text.rfind("\r", 0, last))
    is_caseless = unicodedata.category(before) == unicodedata.category(text[end]) == "Lo"
    is_wide = line >= (_MIN_BROKEN_LINE // 2 if is_caseless else _MIN_BROKEN_LINE)
    begins = text[end].isalnum() or text[end] in "(\"'\u201c\u2018"
    if text[end].islower() or (is_wide and begins and not _LIST_MARKER.match(text, end)):
        return " " * len(found[0])
    return found[0]


def _joined(text: str, boundaries: list[int]) -> Iterator[tuple[int, int]]:
    """Sentences by their boundaries, those joined that ICU parts though they are one."""
    start = 0
    for boundary in boundaries[1:]:
        end = boundary
        while end > start and (text[end - 1].isspace() or _opens(text[end - 1])):
            end -= 1
        opening = text[end:boundary]
        # An opening bracket after a full stop belongs to what follows.
        begins = next((end + i for i, c in enumerate(opening) if _opens(c)), boundary)
        if boundary < len(text) and not _is_finished(text, start, begins):
            continue
        if begins > start:
            yield start, begins
        start = begins
    if start < len(text):
        yield start, len(text)


def _opens(character: str) -> bool:
    return unicodedata.category(character) in ("Ps", "Pi")


def _is_finished(text: str, start: int, end: int) -> bool:
    """Whether a sentence may end here, where ICU ends one."""
    tail = text[max(start, end - _UNFINISHED_CHARS) : end]
    stripped = tail.rstrip()
    if not stripped or "\n\n" in tail:
        return bool(stripped) or end - start > _UNFINISHED_CHARS
    if end - start <= _UNFINISHED_CHARS and _MARKER_ALONE.fullmatch(text, start, end):
        return False
    if "\n" in tail[len(stripped) :] or not stripped.endswith((".", ".)", ".]")):
        return True
    return _UNFINISHED.search(tail) is None


def _parts(text: str, start: int, end: int) -> Iterator[tuple[int, int]]:
    """A sentence without white space around it, in parts that are short enough."""
    start, end = _stripped(text, start, end)
    most = MAX_SENTENCE_CHARS
    if end - start > MAX_CASELESS_CHARS:
        sample = text[start : start + MAX_SENTENCE_CHARS]
        num_caseless = sum(unicodedata.category(c) == "Lo" for c in sample)
        most = MAX_CASELESS_CHARS if 2 * num_caseless > len(sample) else MAX_SENTENCE_CHARS
    while end - start > most:
        # Parts of about equal length, rather than whole ones and a rest.
        remaining = end - start
        aim = -(-remaining // -(-remaining // most))
        cut = _cut(text, start + aim // 2, start + aim, start + most)
        first, last = _stripped(text, start, cut)
        if first < last:
            yield first, last
        start, _ = _stripped(text, cut, end)
    if start < end:
        yield start, end


def _cut(text: str, earliest: int, aim: int, latest: int) -> int:
    """Where to cut: behind a place of the best kind near the aim, else between any characters."""
    for places in _CUTS:
        ends = [found.end() for found in places.finditer(text, earliest, latest)]
        if ends:
            return min(ends, key=lambda end: abs(end - aim))
    cut = aim
    while cut > earliest and unicodedata.category(text[cut])[0] == "M":
        cut -= 1  # a letter keeps its marks
    return cut if cut > earliest else aim


def _stripped(text: str, start: int, end: int) -> tuple[int, int]:
    while start < end and text[start].isspace():
        start += 1
    while end > start and text[end - 1].isspace():
        end -= 1
    return start, end
