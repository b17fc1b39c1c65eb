"""Hugging Face `tokenizers`: one instance a thread, never reconfigured after it was loaded."""

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

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

    def __init__(self, file: Path) -> None:
        """Loads the tokenizer.

        Raises:
            ModelError: The file can't be read as a tokenizer, or its pair template is unknown.
        """
        try:
            content = json.loads(file.read_text(encoding="utf-8"))
            # Truncation and padding are ours: what is stored must be whole and unpadded.
            content["truncation"] = content["padding"] = None
            self._json = json.dumps(content, sort_keys=True)
            tokenizer = self._load()
        except Exception as error:  # the Rust library raises bare Exception
            raise ModelError(f"{file}: not a tokenizer ({error})") from error
        self.fingerprint = hashlib.sha256(self._json.encode()).hexdigest()[:16]
        self.template = _pair_template(tokenizer, file)
        self.pad_id = tokenizer.token_to_id("[PAD]") or tokenizer.token_to_id("<pad>") or 0
        self._of_thread = threading.local()

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts without special tokens; a row is cut after `max_tokens` tokens."""
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
        return Ragged.from_rows([row[:max_tokens] for row in rows])

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
