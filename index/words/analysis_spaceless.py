"""Words of scripts that are written without spaces: Chinese, Japanese, Thai, Lao, Khmer, Burmese.

Dictionaries say where words end (ICU's), and where they are wrong, or cut a query otherwise than a
text, overlapping pairs of characters still meet.
"""

import functools
import re
from collections.abc import Iterator, Sequence
from itertools import pairwise

from icu4py.breakers import WordBreaker
from icu4py.locale import Locale

from twopass.index.words.analysis_folding import marks

_HAN = (
    "\u2e80-\u2fdf\u3005\u3007\u3021-\u3029\u3031-\u3035\u3038-\u303c\u3105-\u312f\u31a0-\u31bf\u3400-\u4dbf"
    "\u4e00-\u9fff\uf900-\ufaff\U00016fe0-\U00018cff\U0001b170-\U0001b2fb\U00020000-\U000323af"
)
_KANA = (
    "\u3041-\u3096\u3099\u309a\u309d-\u309f\u30a1-\u30fa\u30fc-\u30ff\u31f0-\u31ff"
    "\U0001b000-\U0001b16f"
)
# Without their digits, which are numbers as everywhere.
_SOUTH_EAST_ASIAN = (
    "\u0e01-\u0e3a\u0e40-\u0e4e\u0e81-\u0ebd\u0ec0-\u0ece\u0edc-\u0edf\u1000-\u103f\u104c-\u108f\u109a-\u109d"
    "\u1780-\u17d3\u17d7\u17dc\u17dd\u1950-\u1974\u1980-\u19c9\u1a20-\u1a7c\u1aa7\u1b00-\u1b4c\ua980-\ua9c0"
    "\ua9e0-\ua9ef\ua9fa-\ua9fe\uaa60-\uaa7f\uaa80-\uaadd"
)

SPACELESS = _HAN + _KANA + _SOUTH_EAST_ASIAN
"""Characters of these scripts, as a part of a regular expression's set."""

_RUN = re.compile(f"[{SPACELESS}]+")
_LINE_BREAK = re.compile(f"(?<=[{SPACELESS}])\r?\n(?=[{SPACELESS}])")
_HAN_CHARACTER = re.compile(f"[{_HAN}]")
# A pair across the ends of words tells less than a word.
_BESIDE = 0.5
_LOCALE = Locale("en")  # of no consequence: ICU takes a dictionary by the script
# Chinese, Japanese, Thai, Lao, Khmer, Burmese.
_EVERY_DICTIONARY = "\u6771\u30ab\u30fc\u0e01\u0e81\u1780\u1000"

# A letter with the signs that belong to it: half of one is nothing that a reader looks for.
_MARKS = marks(0xE00, 0xAAE0)
_LETTER = re.compile(f"[{SPACELESS}][{_MARKS}]*")
_MARK = re.compile(f"[{_MARKS}]")


def unwrapped(text: str) -> str:
    """Returns a normalised text without line breaks inside of what has no spaces.

    Lines of such scripts are broken anywhere, within words too, as in the text of a PDF.
    """
    return _LINE_BREAK.sub("", text) if "\n" in text else text


def runs(text: str) -> list[str]:
    """Returns the pieces of a normalised text that are of these scripts."""
    return _RUN.findall(text)


def without_runs(text: str) -> str:
    """Returns a normalised text with a space in the place of each such piece."""
    return _RUN.sub(" ", text)


def alternating(text: str) -> Iterator[tuple[str, str]]:
    """Yields what stands before each run, and the run; last what follows them all, and ""."""
    end = 0
    for match in _RUN.finditer(text):
        yield text[end : match.start()], match[0]
        end = match.end()
    yield text[end:], ""


def letters(run: str) -> list[str]:
    """Returns the letters of a run, each with its signs, in order."""
    return _LETTER.findall(run)


def terms(in_runs: Sequence[str]) -> list[str]:
    """Returns the words of a document's runs, all pairs of letters, and each Han character."""
    # One call for all runs: a call costs as much as cutting twenty characters.
    together = "\n".join(in_runs)
    pairs = [pair for run in in_runs for pair in _pairs(run)]
    elsewhere = {"\n", *pairs}
    found = [word for word in _words(together) if word not in elsewhere]
    found = [word for word in found if not _HAN_CHARACTER.fullmatch(word)]
    return found + pairs + _HAN_CHARACTER.findall(together)


def weights(run: str) -> dict[str, float]:
    """Returns what to look for of a query's run, each with how much it counts.

    Those are words, and pairs that are none; all are `terms` of any text with the same run.
    """
    found = dict.fromkeys(_pairs(run), _BESIDE)
    found.update(dict.fromkeys(_words(run), 1.0))
    return found


def _words(text: str) -> Iterator[str]:
    _read_dictionaries()
    return iter(WordBreaker(text, _LOCALE))


@functools.cache
def _read_dictionaries() -> None:
    """Has ICU read every dictionary, in 3 ms, before it cuts the first text.

    It reads one when it first meets the script, and the dictionaries read so far decide where signs
    belong that stand beside letters of another script. So the first texts of a process would be cut
    otherwise than the same texts later.
    """
    list(WordBreaker(_EVERY_DICTIONARY, _LOCALE))


def _pairs(run: str) -> list[str]:
    if _MARK.search(run):
        return list(map("".join, pairwise(letters(run))))
    return [run[start : start + 2] for start in range(len(run) - 1)]
