"""What is the same for a reader becomes the same text: forms of characters, case, accents.

`normalised` is for a whole text, before words are cut; `folded` for a word.
"""

import hashlib
import re
import unicodedata

MAX_TERM_BYTES = 200
"""Longest term, in bytes of UTF-8; a longer word becomes its beginning and a hash."""

_NUM_KEPT = 32

# Default_Ignorable_Code_Point, and the skin tones of emoji: a thumb is a thumb.
_IGNORABLE = re.compile(
    "[\u00ad\u034f\u061c\u115f\u1160\u17b4\u17b5\u180b-\u180f\u200b-\u200f\u202a-\u202e\u2060-\u206f"
    "\u3164\ufe00-\ufe0f\ufeff\uffa0\ufff0-\ufff8\U0001bca0-\U0001bca3\U0001d173-\U0001d17a"
    "\U0001f3fb-\U0001f3ff\U000e0000-\U000e0fff]+"
)
# NFKC would write them as letters of the word before: Docker™ as DockerTM.
_MARKS_OF_TRADE = re.compile("[\u2120\u2122]")
# Thai and Lao AM is one letter to dictionaries, two after NFKC, with a tone mark before or between.
_THAI_AM = re.compile("\u0e4d([\u0e48-\u0e4b]?)\u0e32")
_LAO_AM = re.compile("\u0ecd([\u0ec8-\u0ecb]?)\u0eb2")
# An abbreviation's mark before its last letter, the apostrophe or quotation mark of a keyboard.
_HEBREW_MARK = re.compile("(?<=[\u05d0-\u05ea])[\"'\u05f3\u05f4\u2019\u201d](?=[\u05d0-\u05ea])")

# Letters with a stroke, and ligatures, which Unicode does not decompose.
_LETTERS = {
    "ł": "l", "ø": "o", "đ": "d", "ð": "d", "ħ": "h", "ŧ": "t", "ı": "i", "ĸ": "k", "ŋ": "ng",
    "æ": "ae", "œ": "oe", "þ": "th", "ɓ": "b", "ɗ": "d", "ƙ": "k", "ƴ": "y", "ɨ": "i", "ʉ": "u",
    "ƀ": "b", "ɖ": "d", "ɛ": "e", "ɔ": "o", "ꜳ": "aa", "ȼ": "c", "ɉ": "j", "ɍ": "r", "ɏ": "y",
    "ƶ": "z", "ⱥ": "a", "ⱦ": "t", "ꞓ": "c", "ꝑ": "p", "ꝗ": "q", "ꜱ": "s", "ʀ": "r",
    # Arabic: what keyboards of other languages, and habits, write in the place of a letter.
    "ى": "ي", "ی": "ي", "ې": "ي", "ک": "ك", "ڪ": "ك", "ة": "ه", "ہ": "ه", "ۀ": "ه", "ە": "ه",
    "ٱ": "ا", "ـ": "",
    # Yiddish: two letters in one.
    "װ": "וו", "ױ": "וי", "ײ": "יי",
}  # fmt: skip

# Signs above and below letters that a reader may leave out, in every script that has such. Signs
# that are vowels or change a consonant (Devanagari, Thai, kana, …) are letters, and stay.
_SIGNS = re.compile(
    "[\u0300-\u036f\u0483-\u0489\u0591-\u05bd\u05bf\u05c1\u05c2\u05c4\u05c5\u05c7\u0610-\u061a"
    "\u064b-\u065f\u0670\u06d6-\u06dc\u06df-\u06e4\u06e7\u06e8\u06ea-\u06ed\u0711\u0730-\u074a"
    "\u07eb-\u07f3\u0816-\u0819\u081b-\u0823\u0825-\u0827\u0829-\u082d\u0859-\u085b\u0898-\u089f\u08ca-\u08ff"
    "\u093c\u0951-\u0954\u135d-\u135f\u1ab0-\u1aff\u1cd0-\u1cf9\u1dc0-\u1dff\u20d0-\u20f0\ufb1e\ufe20-\ufe2f]+"
)

# й is a letter that nobody writes as и, and so are its like; ё is written as е every day.
_FOLDED_CYRILLIC = {"ё": "е", "ѐ": "е", "ѝ": "и"}


def marks(first: int, end: int) -> str:
    """Returns the combining marks of some code points, as ranges of a regular expression's set."""
    found: list[list[int]] = []
    for code in range(first, end):
        if unicodedata.category(chr(code))[0] == "M":
            if found and found[-1][1] == code - 1:
                found[-1][1] = code
            else:
                found.append([code, code])
    return "".join(f"{chr(start)}-{chr(last)}" for start, last in found)


def normalised(text: str) -> str:
    """Returns a text in the form in which words are cut.

    Compatible forms become one (NFKC: full width, ligatures, subscripts, composed accents),
    invisible characters go, so that what they stood between is joined.
    """
    if text.isascii():
        return text
    text = _MARKS_OF_TRADE.sub(" ", _IGNORABLE.sub("", text))
    text = unicodedata.normalize("NFKC", text)
    text = _THAI_AM.sub("\\1\u0e33", text)
    text = _LAO_AM.sub("\\1\u0eb3", text)
    return _HEBREW_MARK.sub("", text)


class _Folding(dict[int, str]):
    """What each character becomes; filled as characters are met."""

    def __missing__(self, code: int) -> str:
        self[code] = folded = _fold(chr(code))
        return folded


def _fold(character: str) -> str:
    if (digit := unicodedata.decimal(character, None)) is not None:
        return str(digit)
    if "\u0400" <= character <= "\u052f":
        lower = character.casefold()
        return _SIGNS.sub("", _FOLDED_CYRILLIC.get(lower, lower))
    plain = _SIGNS.sub("", unicodedata.normalize("NFKD", character)).casefold()
    plain = _SIGNS.sub("", unicodedata.normalize("NFKD", plain))
    return unicodedata.normalize("NFC", "".join(_LETTERS.get(letter, letter) for letter in plain))


_FOLDING = _Folding()


def folded(word: str) -> str:
    """Returns a word of a normalised text without case and accents, digits as 0 to 9."""
    return word.lower() if word.isascii() else word.translate(_FOLDING)


def bounded(term: str) -> str:
    """Returns a term, or where it is too long to be one its beginning and a hash of it."""
    if 4 * len(term) <= MAX_TERM_BYTES or len(term.encode()) <= MAX_TERM_BYTES:
        return term
    digest = hashlib.blake2b(term.encode(), digest_size=12).hexdigest()
    return f"{term[:_NUM_KEPT]}~{digest}"
