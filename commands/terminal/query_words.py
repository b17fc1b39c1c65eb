"""The part of a passage that a query's words stand in, and those words marked.

What is marked helps a reader's eye and decides nothing: the order of hits comes from the server.
Words match by their letters without case and accents, whatever their endings; in scripts without
spaces, by pairs of characters.
"""

import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from itertools import pairwise

from rich.text import Text

_MARK = "bold"
_WORD = re.compile(r"[^\W_]+")
# Chinese, Japanese, Thai, Lao, Burmese, Khmer: the blocks of the scripts without spaces.
_SPACELESS = re.compile(
    "[\u0e01-\u0eff\u1000-\u109f\u1780-\u17ff\u3041-\u30ff\u31f0-\u31ff\u3400-\u4dbf\u4e00-\u9fff"
    "\uf900-\ufaff\U00020000-\U000323af]+"
)
_HIRAGANA = re.compile("[\u3041-\u309f]")
# Words of a question that stand in any passage.
_QUESTION_WORDS = (
    "a about an and are as at be been by can could did do does for from had has have how "
    "i if in into is it its me my of on or our shall should so than that the their them "
    "then there these they this those to us was we were what when where which who whom "
    "whose why will with would you your"
)
_COMMON = frozenset(_QUESTION_WORDS.split())
# Shorter words match whole: "cat" is no form of "cart".
_MIN_STEM = 4
_MAX_ENDING = 3


@dataclass(frozen=True, slots=True)
class QueryWords:
    """The words of a query that are worth marking.

    Attributes:
        words: Folded words.
        pairs: Neighbouring characters of scripts without spaces.
    """

    words: Collection[str]
    pairs: Collection[str]

    @classmethod
    def of(cls, texts: Iterable[str]) -> "QueryWords":
        """The words of a question and of required or optional words."""
        words: set[str] = set()
        pairs: set[str] = set()
        for text in texts:
            for run in _SPACELESS.findall(text):
                pairs.update(a + b for a, b in pairwise(run) if _is_within_a_word(a, b))
            words.update(map(_folded, _WORD.findall(_SPACELESS.sub(" ", text))))
        return cls((words - _COMMON) or words, pairs)

    def marked(self, text: str) -> Text:
        """The text with the query's words in bold."""
        marked = Text(text)
        for start, end in self.places(text):
            marked.stylize(_MARK, start, end)
        return marked

    def places(self, text: str) -> list[tuple[int, int]]:
        """Where the query's words stand in a text: first character, and one past the last."""
        known: dict[str, bool] = {}
        found = []
        for word in _WORD.finditer(text):
            if word[0] not in known:
                folded = _folded(word[0])
                known[word[0]] = any(_is_form(folded, wanted) for wanted in self.words)
            if known[word[0]]:
                found.append(word.span())
        if self.pairs:
            found += [
                (at, at + 2) for at in range(len(text) - 1) if text[at : at + 2] in self.pairs
            ]
        return sorted(found)

    def excerpt(self, text: str, most: int) -> tuple[int, int]:
        """The stretch of at most so many characters that holds the most of the query's words.

        It begins and ends at words. Of stretches with equally many distinct words, the first.
        """
        if len(text) <= most:
            return 0, len(text)
        places = self.places(text)
        best, best_count = 0, 0
        for first, (start, _) in enumerate(places):
            within = [text[a:b].casefold() for a, b in places[first:] if b <= start + most * 3 // 4]
            if len(set(within)) > best_count:
                best, best_count = start, len(set(within))
        start = max(0, min(best - most // 8, len(text) - most))
        return _whole_words(text, start, start + most)


def _is_within_a_word(first: str, second: str) -> bool:
    """Whether neighbours may be of one word: in Japanese, endings and particles stand last."""
    return not _HIRAGANA.match(first) or bool(_HIRAGANA.match(second))


def _whole_words(text: str, start: int, end: int) -> tuple[int, int]:
    """Moves the ends of a stretch to spaces, where there is one near."""
    near = (end - start) // 4
    if start and not text[start - 1].isspace():
        space = text.find(" ", start, start + near)
        start = start if space < 0 else space + 1
    if end < len(text) and not text[end].isspace():
        space = text.rfind(" ", end - near, end)
        end = end if space < 0 else space
    return start, end


def _folded(word: str) -> str:
    """A word without case and accents."""
    decomposed = unicodedata.normalize("NFKD", word.casefold())
    return "".join(c for c in decomposed if not unicodedata.combining(c))


def _is_form(word: str, wanted: str) -> bool:
    """Whether two folded words are the same but for their endings."""
    if word == wanted:
        return True
    shorter, longer = sorted((word, wanted), key=len)
    shared = 0
    while shared < len(shorter) and word[shared] == wanted[shared]:
        shared += 1
    stem = max(_MIN_STEM, len(shorter) - 1)
    return shared >= stem and len(longer) - shared <= _MAX_ENDING
