"""Texts to token ids: Hugging Face `tokenizers`, and the core where it can tell the same quicker.

Of the library there is one instance a thread, never reconfigured after it was loaded.
"""

import hashlib
import json
import re
import threading
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from twopass._core import WordPiece
from twopass.engines.base import Int32s, PairTemplate, Ragged
from twopass.engines.errors import ModelError

# Characters that surely hold one token more than asked for, in nearly every text: what is longer is
# first tried on a beginning of this many characters a token. English has 4 to 5.
_CHARS_PER_TOKEN = 16
_WORDS = re.compile(r".*\S(?=[ \n\t])", re.DOTALL)


class HuggingFaceTokenizer:
    """Reads `tokenizer.json`; implements `engines.base.Tokenizer`.

    Texts never yield special tokens: a passage that spells out "[SEP]" is text like any other.
    """

    def __init__(self, file: Path, *, control: Collection[str] = ()) -> None:
        """Loads the tokenizer.

        Args:
            file: `tokenizer.json`.
            control: Added tokens that texts must not yield either, though none is marked special.

        Raises:
            ModelError: The file can't be read as a tokenizer, or its pair template is unknown.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            # Truncation and padding are ours: what is stored must be whole and unpadded.
            content["truncation"] = content["padding"] = None
            for token in content.get("added_tokens") or ():
                token["special"] = token["special"] or token["content"] in control
            self._json = json.dumps(content, sort_keys=True)
            tokenizer = self._load()
        except Exception as error:  # the Rust library raises bare Exception
            raise ModelError(f"{file}: not a tokenizer ({error})") from error
        self.fingerprint = hashlib.sha256(self._json.encode()).hexdigest()[:16]
        self.template = _pair_template(tokenizer, file)
        self._wordpiece = _wordpiece(content)
        self.pad_id = tokenizer.token_to_id("[PAD]") or tokenizer.token_to_id("<pad>") or 0
        self._of_thread = threading.local()

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts without special tokens; a row is cut after `max_tokens` tokens."""
        if self._wordpiece is None:
            return Ragged.from_rows(self._encode_by_library(texts, max_tokens))
        token_ids, offsets, words, foreign = self._wordpiece.cut(list(texts), max_tokens)
        if not words and not foreign:
            return Ragged(token_ids, offsets)
        rows = [row.tolist() for row in np.split(token_ids, offsets[1:-1])]
        ids_of_words = self._encode([word for _, _, word in words])
        # From the last on, so that the places of those before stay true.
        for (row, position, _), ids in zip(reversed(words), reversed(ids_of_words), strict=True):
            rows[row][position:position] = ids
        whole = self._encode_by_library([texts[row] for row in foreign], max_tokens)
        for row, ids in zip(foreign, whole, strict=True):
            rows[row] = ids
        return Ragged.from_rows([row[:max_tokens] for row in rows])

    def _encode_by_library(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        beginnings = [_beginning(text, max_tokens * _CHARS_PER_TOKEN) for text in texts]
        rows = self._encode(beginnings)
        # A beginning that holds too few tokens (long runs of spaces, say) is tokenised whole.
        short = [
            i
            for i, row in enumerate(rows)
            if len(row) < max_tokens and len(beginnings[i]) < len(texts[i])
        ]
        if short:
            for i, row in zip(short, self._encode([texts[i] for i in short]), strict=True):
                rows[i] = row
        return [row[:max_tokens] for row in rows]

    def places(self, text: str) -> Int32s:
        """Where each token stands in the text, in code points, int32 `[num_tokens, 2]`."""
        encoding = self._tokenizer().encode(text, add_special_tokens=False)
        return np.array(encoding.offsets, np.int32).reshape(-1, 2)

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer().encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _tokenizer(self) -> RustTokenizer:
        tokenizer = getattr(self._of_thread, "tokenizer", None)
        if tokenizer is None:
            tokenizer = self._of_thread.tokenizer = self._load()
        return tokenizer

    def _load(self) -> RustTokenizer:
        tokenizer = RustTokenizer.from_str(self._json)
        tokenizer.encode_special_tokens = True
        return tokenizer


def _wordpiece(content: Mapping[str, Any]) -> WordPiece | None:
    """The core's tokenizer where `tokenizer.json` describes uncased BERT's; None elsewhere."""
    model, normalizer = content["model"], content.get("normalizer") or {}
    is_uncased_bert = (
        (model.get("type"), model.get("continuing_subword_prefix")) == ("WordPiece", "##")
        and model.get("max_input_chars_per_word") == WordPiece.max_word_chars
        and normalizer.get("type") == "BertNormalizer"
        and normalizer["clean_text"]
        and normalizer["lowercase"]
        and content.get("pre_tokenizer") == {"type": "BertPreTokenizer"}
        # Special tokens in a text are text, so that they need not be looked for; others would be.
        and all(token["special"] for token in content.get("added_tokens") or ())
        and model["unk_token"] in model["vocab"]
    )
    if not is_uncased_bert:
        return None
    vocabulary = model["vocab"]
    return WordPiece(list(vocabulary.items()), vocabulary[model["unk_token"]])


def _beginning(text: str, max_chars: int) -> str:
    """The text up to its last end of a word within `max_chars`; all of it where there is none.

    Pre-tokenisers split where white space begins, so the tokens of the beginning are those of the
    text. Within a run of white space they need not split: byte-level BPE has tokens for whole runs.
    """
    if len(text) <= max_chars:
        return text
    words = _WORDS.match(text, 0, max_chars)
    return words[0] if words else text


def _pair_template(tokenizer: RustTokenizer, file: Path) -> PairTemplate:
    """Reads the template off an encoded pair, so any post-processor will do."""
    pair = tokenizer.encode("a", "a")
    where = [i for i, sequence in enumerate(pair.sequence_ids) if sequence is not None]
    first = [i for i in where if pair.sequence_ids[i] == 0]
    second = [i for i in where if pair.sequence_ids[i] == 1]
    if not first or not second:
        raise ModelError(f"{file}: its post-processor makes no pairs of a query and a passage")
    ids = pair.ids
    return PairTemplate(
        prefix=tuple(ids[: first[0]]),
        separator=tuple(ids[first[-1] + 1 : second[0]]),
        suffix=tuple(ids[second[-1] + 1 :]),
    )
