"""What a model is to the server: what its folder says, its tokenizer, its engine."""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import TypeAlias

import numpy as np

from twopass.engines.base.engine import Engine
from twopass.engines.base.sequences import Int32s, PairTemplate, Side
from twopass.engines.base.tokenizer import Prompt, TextTokenizer, Tokenizer
from twopass.engines.model.calibration import Calibration

# How encoders that are told what a query is for read it: E5-mistral, GTE-Qwen2, Qwen3-Embedding.
_INSTRUCTED = re.compile(r"(Instruct: ).*(\nQuery:\s*)", re.DOTALL)


class ModelKind(StrEnum):
    """What a model computes."""

    ENCODER = "encoder"
    RERANKER = "reranker"


@dataclass(frozen=True, slots=True)
class ModelSpec:
    """What a model's folder says of it, beside its weights.

    Attributes:
        id: The name requests use.
        kind: Encoder or reranker.
        revision: What the model is known by, 64 hexadecimal digits: a digest over everything that
            decides what it computes; see `engines.model.identity`.
        max_seq_len: Tokens it was made for, special tokens included.
        max_query_tokens: Most tokens of a query that are read, without special ones.
        max_passage_tokens: Of a passage, as many are read at once, in one pair; None for all that
            the sequence has room for. Rerankers only.
        query_prefix: Text put before every query (e5, bge); encoders only.
        passage_prefix: Text put before every passage; encoders only.
        prompts: Texts that requests may ask to have put before theirs, by name; encoders only.
        poolings: How token vectors are made into an embedding, in the words of
            `engines.model.pooling`; encoders only.
        labels: Names of what the head tells apart, in order; rerankers only.
        relevant_label: Of two labels the one of relevant pairs, 0 or 1; None where there is one.
        calibration: From logit to score; rerankers only.
        answer_threshold: The score from which on a passage is taken for an answer; None where none
            was chosen. Rerankers only.
        blend: Default weight of the first-pass score in the order, 0 to 1; rerankers only.
        weights_sha256: sha256 of the file of weights, hexadecimal; of several files, that of their
            digests, sorted.
        legacy_revision: What servers before this revision knew the model by, where they read its
            folder to the same meaning: the sha256 of its weights. None where they did not.
        read_anew: How they read it otherwise, for a message; empty where they did not.
        other_names: Other spellings under which the server was told to load it.
    """

    id: str
    kind: ModelKind
    revision: str
    max_seq_len: int
    max_query_tokens: int
    max_passage_tokens: int | None = None
    query_prefix: str = ""
    passage_prefix: str = ""
    prompts: Mapping[str, str] = field(default_factory=dict, hash=False)
    poolings: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    relevant_label: int | None = None
    calibration: Calibration = field(default_factory=Calibration)
    answer_threshold: float | None = None
    blend: float = 0.0
    weights_sha256: str = ""
    legacy_revision: str | None = None
    read_anew: str = ""
    other_names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class PairQuery:
    """A query as a reranker reads it before each passage.

    Attributes:
        token_ids: The query's, without special tokens, int32 `[num_tokens]`.
        template: What stands around query and passage; a decoder's holds the instruction.
        truncated: Whether the query was cut.
    """

    token_ids: Int32s
    template: PairTemplate
    truncated: bool = False

    @property
    def num_tokens(self) -> int:
        """Tokens of a pair beside the passage's."""
        return self.template.num_pair_tokens + len(self.token_ids)


@dataclass(frozen=True, slots=True)
class LoadedReranker:
    """A reranker ready to serve: what it is, its tokenizer, its engine.

    Attributes:
        prompt: Of a decoder: what stands around query and passage. None where they are joined by
            the tokenizer's template.
    """

    spec: ModelSpec
    tokenizer: Tokenizer
    engine: Engine
    prompt: Prompt | None = None

    @property
    def takes_instruction(self) -> bool:
        """Whether a request may say by an instruction what makes a passage relevant."""
        return self.prompt is not None and self.prompt.takes_instruction

    def query_ids(self, query: str, max_tokens: int) -> Int32s:
        """The first token ids of a query, with the white space beside it in a decoder's prompt."""
        encode = self.tokenizer.encode if self.prompt is None else self.prompt.encode_queries
        return encode([query], max_tokens)[0]

    def pair_query(
        self, query_ids: Int32s, instruction: str = "", side: Side = Side.END
    ) -> PairQuery:
        """A query with what stands around it and a passage, cut where it is too long.

        Args:
            query_ids: From `query_ids`; to be cut at its start, all of them.
            instruction: What makes a passage relevant; "" for the model's own. Only where
                `takes_instruction`.
            side: Where it is cut.
        """
        most, ids = self.spec.max_query_tokens, query_ids
        before, after = ((), ()) if self.prompt is None else self.prompt.beside_query
        if (is_cut := len(ids) > most) and side is Side.END:
            kept = ids[: max(1, most - len(after))]
            ids = np.concatenate([kept, np.array(after, np.int32)])
        elif is_cut:
            kept = ids[-max(1, most - len(before)) :]
            ids = np.concatenate([np.array(before, np.int32), kept])
        template = self.tokenizer.template
        if self.prompt is not None:
            template = self.prompt.pair_template(instruction)
        return PairQuery(ids, template, is_cut)

    def read_query(self, query: str, instruction: str = "") -> PairQuery:
        """A query as the model reads it, its end cut where it is too long."""
        return self.pair_query(self.query_ids(query, self.spec.max_query_tokens + 1), instruction)


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """An encoder ready to serve: what it is, its tokenizer, its engine."""

    spec: ModelSpec
    tokenizer: TextTokenizer
    engine: Engine

    @property
    def takes_instruction(self) -> bool:
        """Whether a request may say by an instruction what a query is embedded for."""
        return _INSTRUCTED.fullmatch(self.spec.query_prefix) is not None

    def instructed(self, instruction: str) -> "LoadedEncoder":
        """The encoder that embeds queries under an instruction; "" gives this one.

        Passages are embedded as ever. Only where `takes_instruction`.
        """
        if not instruction:
            return self
        around = _INSTRUCTED.fullmatch(self.spec.query_prefix)
        assert around is not None
        prefix = f"{around[1]}{instruction}{around[2]}"
        return replace(self, spec=replace(self.spec, query_prefix=prefix))

    @property
    def query_tokenizer(self) -> TextTokenizer:
        """The tokenizer of queries, which stand after the model's prefix for queries."""
        return self.tokenizer.after(self.spec.query_prefix)

    @property
    def passage_tokenizer(self) -> TextTokenizer:
        """The tokenizer of passages, which stand after the model's prefix for passages."""
        return self.tokenizer.after(self.spec.passage_prefix)


LoadedModel: TypeAlias = LoadedReranker | LoadedEncoder
