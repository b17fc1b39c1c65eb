"""Texts to token ids: Hugging Face `tokenizers`, and the core where it can tell the same quicker.

Of the library there is one instance a thread, never reconfigured after it was loaded.
"""

import hashlib
import json
import re
import threading
from collections import OrderedDict
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from twopass._core import Texts, WordPiece
from twopass.engines.base.model import ModelSpec
from twopass.engines.base.sequences import Int32s, PairTemplate, Ragged
from twopass.engines.errors import ModelError
from twopass.engines.model.folder import ModelFolder
from twopass.engines.model.tokenizing.boundaries import TokenBoundaries
from twopass.engines.model.tokenizing.prefixed import PrefixedTokenizer
from twopass.engines.model.tokenizing.settings import TokenizerSettings
from twopass.engines.model.tokenizing.special_tokens import without_spelling
from twopass.engines.model.tokenizing.templates import pair_template, probe_of, single_template
from twopass.engines.model.tokenizing.tokenizer_file import (
    named_ids,
    read_tokenizer,
    with_bos_and_eos,
)

# Characters that surely hold one token more than asked for, in nearly every text: what is longer is
# first tried on a beginning of this many characters a token. English has 4 to 5.
_CHARS_PER_TOKEN = 16
_WORDS = re.compile(r".*\S(?=[ \n\t])", re.DOTALL)
_WORDS_BEFORE_SPACES = re.compile(r".*\S(?= )", re.DOTALL)
_NO_SETTINGS = TokenizerSettings()
# Words beyond ASCII that are remembered, of 200 bytes at most: 10 MB if all are.
_KEPT_WORDS = 16_384
# Prefixes whose tokenizers are kept: a model has two, but requests may bring instructions.
_KEPT_PREFIXES = 256
# Characters of several planes that have no meaning, and one that ends no word.
_ODD_TEXT = "\uffff\U0010fffe \U000e0fff\ue000"


def load_tokenizer(folder: ModelFolder) -> "HuggingFaceTokenizer":
    """Loads the tokenizer of a model folder, with all that its files say of it.

    Raises:
        ModelError: It is damaged, or is what no model reads.
    """
    shares_queries = folder.decoder is not None
    return HuggingFaceTokenizer(
        folder.tokenizer, folder.tokenizer_settings, shares_queries=shares_queries
    )


def with_room_for_prefixes(spec: ModelSpec, tokenizer: "HuggingFaceTokenizer") -> ModelSpec:
    """An encoder's specification whose longest query fits beside its prefix, which is never cut.

    Raises:
        ModelError: A prefix leaves no room for a text.
    """
    for name, prefix in (("query", spec.query_prefix), ("passage", spec.passage_prefix)):
        after = tokenizer.after(prefix)
        room = spec.max_seq_len - after.single.num_tokens - after.num_prefix_tokens
        if room < 1:
            raise ModelError(
                f"{spec.id}: {name}_prefix has {spec.max_seq_len - room:,} tokens with the special "
                f"ones, which leaves no room for a text in max_seq_len, {spec.max_seq_len:,}; "
                "shorten it"
            )
        if name == "query":
            spec = replace(spec, max_query_tokens=min(spec.max_query_tokens, room))
    return spec


class HuggingFaceTokenizer:
    """Reads `tokenizer.json`; implements `TextTokenizer`.

    Texts never yield special tokens: a passage that spells out "[SEP]" is text like any other.

    Attributes:
        boundaries: Where texts may be cut before they are tokenised.
        vocabulary_size: One more than the highest id of a token.
    """

    prefix = ""
    num_prefix_tokens = 0

    def __init__(
        self,
        file: Path,
        settings: TokenizerSettings = _NO_SETTINGS,
        *,
        control: Collection[str] = (),
        shares_queries: bool = False,
    ) -> None:
        """Loads the tokenizer.

        Args:
            file: `tokenizer.json`.
            settings: What the files beside it say.
            control: Added tokens that texts must not yield either, though none is marked special.
            shares_queries: Whether the engine computes once what pairs of one query begin with:
                then token types tell where the passage begins, though the model reads none.

        Raises:
            ModelError: The file is missing, can't be read as a tokenizer, or has token types or a
                place for a text that are unknown.
        """
        content = read_tokenizer(file, settings, control)
        try:
            self.fingerprint = _fingerprint(content)
            of_texts = without_spelling(content)
            self.vocabulary_size = 1 + max(token_id for _, token_id in named_ids(content))
            self._names = _names_of_special(content, of_texts)
            self._json = json.dumps(of_texts, sort_keys=True)
            tokenizer = self._load()
            self.boundaries = TokenBoundaries(content)
            self._wordpiece = _wordpiece(of_texts)
        except Exception as error:  # the Rust library raises bare Exception
            raise ModelError(f"{file}: not a tokenizer ({error})") from error
        self.pad_id = _pad_id(content)
        self._pairs: PairTemplate | ModelError
        try:
            probe = probe_of(tokenizer, content)
            self.single = with_bos_and_eos(
                single_template(tokenizer, probe, has_types=settings.has_types), content, settings
            )
            _require_unknown(tokenizer)
        except ModelError as error:
            raise ModelError(f"{file}: {error}") from error
        try:
            pairs = pair_template(tokenizer, probe, has_types=settings.has_types)
            if shares_queries:
                pairs = replace(pairs, passage_type=1, num_query_separators=len(pairs.separator))
            self._pairs = pairs
        except ModelError as error:
            self._pairs = ModelError(f"{file}: {error}")
        self._of_thread = threading.local()
        self._known_words: dict[str, Int32s] = {}
        self._after: OrderedDict[str, PrefixedTokenizer] = OrderedDict()
        self._after_lock = threading.Lock()

    @property
    def template(self) -> PairTemplate:
        """Where special tokens go in a pair.

        Raises:
            ModelError: The tokenizer makes no pairs that are understood; encoders need none.
        """
        if isinstance(self._pairs, ModelError):
            raise self._pairs
        return self._pairs

    def after(self, prefix: str) -> "HuggingFaceTokenizer | PrefixedTokenizer":
        """The tokenizer of texts that stand after a prefix; see `TextTokenizer`."""
        if not prefix:
            return self
        with self._after_lock:
            if (known := self._after.get(prefix)) is not None:
                self._after.move_to_end(prefix)
                return known
        made = PrefixedTokenizer(self, prefix)
        with self._after_lock:
            self._after[prefix] = made
            if len(self._after) > _KEPT_PREFIXES:
                self._after.popitem(last=False)
        return made

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises texts without special tokens; a row is cut after `max_tokens` tokens."""
        if self._wordpiece is None:
            return Ragged.from_rows(self._encode_by_library(texts, max_tokens))
        rows, left = self.encode_quickly(texts, max_tokens)
        if not left:
            return rows
        whole = Ragged.from_rows(self._encode_by_library([texts[row] for row in left], max_tokens))
        into = np.array(left, np.int32)
        return rows.with_parts(into, np.zeros_like(into), whole, max_tokens)

    @property
    def is_quick(self) -> bool:
        """Whether the core tokenises text of ASCII."""
        return self._wordpiece is not None

    def encode_quickly(self, texts: Sequence[str], max_tokens: int) -> tuple[Ragged, list[int]]:
        """Tokenises texts by the core, but those of little but foreign words; see `engines.base`.

        The library tells the tokens of the foreign words of others, once for each word.
        """
        assert self._wordpiece is not None
        cut = texts if isinstance(texts, Texts) else list(texts)
        token_ids, offsets, words, foreign = self._wordpiece.cut(cut, max_tokens)
        rows = Ragged(token_ids, offsets)
        if words:
            into, positions, foreign_words = zip(*words, strict=True)
            parts = Ragged.from_rows(self._ids_of_words(foreign_words))
            rows = rows.with_parts(
                np.array(into, np.int32), np.array(positions, np.int32), parts, max_tokens
            )
        return rows, foreign

    def _ids_of_words(self, words: Sequence[str]) -> list[Int32s]:
        """The tokens of words, each tokenised alone; those that came lately are remembered."""
        known = self._known_words
        if len(known) > _KEPT_WORDS:
            known = self._known_words = {}
        if new := [word for word in dict.fromkeys(words) if word not in known]:
            # Another thread may put the same in, or go on with a dictionary that was left behind.
            found = self._encode(new)
            known.update(
                (word, np.array(ids, np.int32)) for word, ids in zip(new, found, strict=True)
            )
        return [known[word] for word in words]

    def _encode_by_library(self, texts: Sequence[str], max_tokens: int) -> list[list[int]]:
        max_chars = max_tokens * _CHARS_PER_TOKEN
        beginnings = [self._beginning(text, max_chars) for text in texts]
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

    def pieces(self, text: str, max_chars: int) -> list[str]:
        """Parts of a text whose tokens joined are its own; see `Tokenizer`."""
        return self.boundaries.pieces(text, max_chars)

    def token(self, token_id: int) -> str:
        """What a token is called in the vocabulary; "" for an id that no token has."""
        name: str = self._tokenizer().id_to_token(token_id) or ""
        return self._names.get(name, name)

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that tokens stand for; see `Tokenizer`."""
        text: str = self._tokenizer().decode(list(token_ids), skip_special_tokens=skip_special)
        if not skip_special:
            for hidden, name in self._names.items():
                text = text.replace(hidden, name)
        return text

    def _encode(self, texts: Sequence[str]) -> list[list[int]]:
        encodings = self._tokenizer().encode_batch_fast(list(texts), add_special_tokens=False)
        return [encoding.ids for encoding in encodings]

    def _tokenizer(self) -> RustTokenizer:
        tokenizer = getattr(self._of_thread, "tokenizer", None)
        if tokenizer is None:
            tokenizer = self._of_thread.tokenizer = self._load()
        return tokenizer

    def _beginning(self, text: str, max_chars: int) -> str:
        """The text up to its last end of a word within `max_chars`; all of it where there is none.

        The tokens of the beginning are those of the text: it ends where a new token surely begins.
        Within a run of white space none need begin: byte-level BPE has tokens for whole runs.
        """
        if len(text) <= max_chars or not self.boundaries.at_spaces:
            return text
        pattern = _WORDS if self.boundaries.at_white_space else _WORDS_BEFORE_SPACES
        words = pattern.match(text, 0, max_chars)
        return words[0] if words else text

    def _load(self) -> RustTokenizer:
        tokenizer = RustTokenizer.from_str(self._json)
        tokenizer.encode_special_tokens = True
        return tokenizer


def _require_unknown(tokenizer: RustTokenizer) -> None:
    """Refuses a tokenizer that fails at characters its vocabulary lacks."""
    try:
        tokenizer.encode_batch_fast([_ODD_TEXT], add_special_tokens=False)
    except Exception as error:  # the Rust library raises bare Exception
        raise ModelError(
            f"it fails at characters that its vocabulary lacks ({error}); it needs a token for "
            "what is unknown"
        ) from error


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


def _names_of_special(content: Mapping[str, Any], of_texts: Mapping[str, Any]) -> dict[str, str]:
    """What special tokens are called, by the names that no text spells."""
    names = {token_id: token for token, token_id in named_ids(content)}
    hidden = {token_id: token for token, token_id in named_ids(of_texts)}
    return {
        token: names[token_id] for token_id, token in hidden.items() if token != names[token_id]
    }


def _fingerprint(content: Mapping[str, Any]) -> str:
    """Of all that decides token ids, in the form in which collections have it."""
    return hashlib.sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()[:16]


def _pad_id(content: Mapping[str, Any]) -> int:
    ids = dict(named_ids(content))
    return ids.get("[PAD]") or ids.get("<pad>") or 0
