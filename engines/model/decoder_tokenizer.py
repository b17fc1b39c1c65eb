"""The prompt of a decoder as token ids: what stands around a query and a passage, and both.

A text is tokenised with the white space that stands beside it in the prompt, since byte-level
tokenizers join the two (a space and a word, "?" and a line break). So the ids of a prompt are those
that its text has as a whole, and those of a passage are the same whatever the query.
"""

import hashlib
import json
import re
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer as RustTokenizer

from twopass.engines.base.sequences import Int32s, PairTemplate, Ragged
from twopass.engines.errors import ModelError
from twopass.engines.model.decoder import INSTRUCTION, PASSAGE, QUERY, PromptLayout
from twopass.engines.model.tokenizer import HuggingFaceTokenizer

_SLOT = re.compile(f"([{QUERY}{PASSAGE}{INSTRUCTION}])")
_KEPT_TEMPLATES = 256
_CONTROL = re.compile(r"<\|.*\|>")


@dataclass(frozen=True, slots=True)
class _Part:
    """A part of a prompt: a fixed text, or a slot with the white space tokenised beside it."""

    text: str = ""
    slot: str = ""
    lead: str = ""
    tail: str = ""


class DecoderTokenizer:
    """The tokenizer of passages in a prompt, and the prompt itself.

    Implements `Tokenizer` and `Prompt`. Texts yield no token that the
    prompt is made of: a passage that spells out "<|im_end|>" or "</think>" is text like any other.
    """

    def __init__(self, file: Path, layout: PromptLayout) -> None:
        """Loads the tokenizer and compiles the prompt.

        Args:
            file: `tokenizer.json`.
            layout: The prompt.

        Raises:
            ModelError: The file can't be read as a tokenizer, or the prompt is none for it.
        """
        self._layout = layout
        plain = layout.pieces or layout.instructed
        assert plain is not None
        self._plain = _compiled(plain)
        self._instructed = _compiled(layout.instructed) if layout.instructed else None
        fixed = [part.text for part in (*self._plain, *(self._instructed or ()))]
        content = json.loads(file.read_text(encoding="utf-8"))
        content["truncation"] = content["padding"] = None
        control = [
            token["content"]
            for token in content.get("added_tokens") or ()
            if _CONTROL.fullmatch(token["content"]) or any(token["content"] in t for t in fixed)
        ]
        self._texts = HuggingFaceTokenizer(file, control=control)
        # Of the fixed texts alone: there special tokens are meant.
        self._fixed = RustTokenizer.from_str(json.dumps(content))
        self._lock = threading.Lock()
        self.takes_instruction = self._instructed is not None
        self._passage = _slot(self._plain, PASSAGE)
        query = _slot(self._plain, QUERY)
        # Spaces are part of the words beside them, so that a cut query brings its own.
        self.beside_query = self._ids_of(query.lead.strip(" ")), self._ids_of(query.tail.strip(" "))
        self.pad_id = self._texts.pad_id
        beside = f"{self._texts.fingerprint}{self._passage.lead!r}{layout.strips}{sorted(control)}"
        self.fingerprint = hashlib.sha256(beside.encode()).hexdigest()[:16]
        self._template_of = lru_cache(_KEPT_TEMPLATES)(self._made_template)
        self.template = self.pair_template("")

    def encode(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises passages; a row is cut after `max_tokens` tokens."""
        return self._encode(texts, self._passage, max_tokens)

    def places(self, text: str) -> Int32s:
        """Where each token of a passage stands in it, int32 `[num_tokens, 2]`."""
        if not (stripped := self._stripped(text)):
            return np.zeros((0, 2), np.int32)
        lead = len(self._passage.lead)
        before = len(text) - len(text.lstrip()) if self._layout.strips else 0
        places = self._texts.places(self._passage.lead + stripped) - lead
        return np.maximum(places, 0) + np.int32(before)

    def pieces(self, text: str, max_chars: int) -> list[str]:  # noqa: ARG002  # a protocol's
        """The passage itself: the first words of a prompt's part are not as those of a text."""
        return [text]

    @property
    def vocabulary_size(self) -> int:
        """One more than the highest id of a token."""
        return self._texts.vocabulary_size

    def token(self, token_id: int) -> str:
        """What a token is called in the vocabulary; "" for an id that no token has."""
        return self._texts.token(token_id)

    def decode(self, token_ids: Sequence[int], *, skip_special: bool) -> str:
        """The text that tokens stand for, among them those of the prompt."""
        return self._texts.decode(token_ids, skip_special=skip_special)

    def encode_queries(self, texts: Sequence[str], max_tokens: int) -> Ragged:
        """Tokenises queries; a row is cut after `max_tokens` tokens."""
        return self._encode(texts, _slot(self._plain, QUERY), max_tokens)

    def num_instruction_tokens(self, instruction: str, max_tokens: int) -> int:
        """Tokens of an instruction, counted up to `max_tokens`."""
        return len(self._texts.encode([instruction], max_tokens)[0])

    def pair_template(self, instruction: str) -> PairTemplate:
        """What stands around query and passage under an instruction; "" for the model's own."""
        with self._lock:  # the library's tokenizer of fixed texts is one for all threads
            template: PairTemplate = self._template_of(instruction)
        return template

    def token_id(self, token: str | int) -> int:
        """The id of a token given by its text or its id.

        Raises:
            ModelError: The text is not one token, or there is no such id.
        """
        if isinstance(token, int):
            if not 0 <= token < self._fixed.get_vocab_size(with_added_tokens=True):
                raise ModelError(f"the vocabulary has no token of the id {token}")
            return token
        known: int | None = self._fixed.token_to_id(token)
        if known is not None:
            return known
        ids: list[int] = self._fixed.encode(token, add_special_tokens=False).ids
        if len(ids) != 1:
            raise ModelError(f"{token!r} is {len(ids)} tokens of this tokenizer, one is needed")
        return ids[0]

    def _ids_of(self, fixed: str) -> tuple[int, ...]:
        return tuple(self._fixed.encode(fixed, add_special_tokens=False).ids) if fixed else ()

    def _made_template(self, instruction: str) -> PairTemplate:
        instruction = instruction or self._layout.instruction
        parts = self._plain
        if instruction:
            assert self._instructed is not None, "a caller asks takes_instruction first"
            parts = self._instructed
        around: list[list[int]] = [[]]
        for part in parts:
            if part.slot in (QUERY, PASSAGE):
                around.append([])
            elif part.slot == INSTRUCTION:
                around[-1] += self._encode([instruction], part, _NO_LIMIT)[0].tolist()
            else:
                around[-1] += self._ids_of(part.text)
        prefix, separator, suffix = map(tuple, around)
        # All that stands before the passages of a set is computed once.
        return PairTemplate(prefix, separator, suffix, num_query_separators=len(separator))

    def _encode(self, texts: Sequence[str], slot: _Part, max_tokens: int) -> Ragged:
        stripped = [self._stripped(text) for text in texts]
        within = [f"{slot.lead}{text}{slot.tail}" if text else "" for text in stripped]
        return self._texts.encode(within, max_tokens)

    def _stripped(self, text: str) -> str:
        return text.strip() if self._layout.strips else text


_NO_LIMIT = 1 << 20


def _slot(parts: Sequence[_Part], slot: str) -> _Part:
    return next(part for part in parts if part.slot == slot)


def _compiled(pieces: Sequence[str]) -> tuple[_Part, ...]:
    """The parts of a prompt.

    White space before a slot is tokenised with its text, and after it where more follows in the
    piece. After a passage it is not, since a passage may be cut: where its end would be joined with
    what follows, as "." with a line break, the two stay apart.
    """
    parts: list[_Part] = []
    for piece in pieces:
        cut = _SLOT.split(piece)  # fixed, slot, fixed, …, fixed
        fixed, slots = cut[::2], cut[1::2]
        for i, slot in enumerate(slots):
            before, after = fixed[i], fixed[i + 1]
            kept = before.rstrip()
            tail = ""
            if slot != PASSAGE and after.strip():
                tail = after[: len(after) - len(after.lstrip())]
                fixed[i + 1] = after[len(tail) :]
            if kept:
                parts.append(_Part(text=kept))
            parts.append(_Part(slot=slot, lead=before[len(kept) :], tail=tail))
        if fixed[-1]:
            parts.append(_Part(text=fixed[-1]))
    return tuple(parts)
