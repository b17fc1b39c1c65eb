"""What TEI's operations are asked, and what they answer."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import TypeAlias

from twopass.engines.base.sequences import Float32s, Int32s

Text: TypeAlias = str | Sequence[int]
"""A text, or the token ids that the model is to read, special ones included."""


class TruncationDirection(StrEnum):
    """The side at which a text is cut that is too long: right cuts its end, left its beginning."""

    RIGHT = "right"
    LEFT = "left"


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsToEmbed:
    """Texts of which each gets an embedding.

    Attributes:
        inputs: The texts.
        model: Id of the encoder; "" for the default.
        truncate: Whether texts that are too long are cut; they are refused otherwise.
        direction: Where they are cut.
        prompt_name: Which of the model's prompts stands before each; None for none.
        dimensions: How many components of each embedding are kept; None for all.
        normalize: Whether embeddings of which components are left out get length 1 again. Whole
            ones always have it.
        is_of_many: Whether they are some of many, such as those of a stream, for none of which
            somebody waits: what is searched and ranked meanwhile goes first.
        component_bytes: Bytes that a component takes in the answer, as an upper bound.
    """

    inputs: Sequence[Text]
    model: str = ""
    truncate: bool = True
    direction: TruncationDirection = TruncationDirection.RIGHT
    prompt_name: str | None = None
    dimensions: int | None = None
    normalize: bool = True
    is_of_many: bool = False
    component_bytes: int = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SentencesToCompare:
    """A sentence and others that are compared with it; for the rest see `TextsToEmbed`."""

    source_sentence: str
    sentences: Sequence[str]
    model: str = ""
    truncate: bool = True
    direction: TruncationDirection = TruncationDirection.RIGHT
    prompt_name: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsToRank:
    """A query, and texts that are put in the order of their relevance to it.

    Attributes:
        query: The question.
        texts: The texts.
        model: Id of the reranker; "" for the default.
        truncate: Whether query and texts that are too long are cut; they are refused otherwise.
        direction: Where they are cut.
        raw_scores: Whether scores are the model's logits; they lie between 0 and 1 otherwise.
        top_n: How many of the best are returned; 0 for all.
    """

    query: str
    texts: Sequence[str]
    model: str = ""
    truncate: bool = True
    direction: TruncationDirection = TruncationDirection.RIGHT
    raw_scores: bool = False
    top_n: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsToClassify:
    """Texts and pairs of texts, each of which gets a score for each label.

    Attributes:
        inputs: One text, or the two of a pair, for each.
        model: Id of the reranker; "" for the default.
        truncate: Whether what is too long is cut; it is refused otherwise.
        direction: Where it is cut.
        raw_scores: Whether scores are the model's logits; they lie between 0 and 1 otherwise.
    """

    inputs: Sequence[Sequence[str]]
    model: str = ""
    truncate: bool = True
    direction: TruncationDirection = TruncationDirection.RIGHT
    raw_scores: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class TextsToTokenize:
    """Texts of which the tokens are asked for.

    Attributes:
        inputs: The texts.
        model: Id of a model; "" for the default.
        add_special_tokens: Whether those are told too that the model reads around a text.
        prompt_name: Which of the model's prompts stands before each; None for none.
        token_bytes: Bytes that a token takes in the answer beside its text, as an upper bound.
    """

    inputs: Sequence[str]
    model: str = ""
    add_special_tokens: bool = True
    prompt_name: str | None = None
    token_bytes: int = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class IdsToDecode:
    """Token ids of which the texts are asked for.

    Attributes:
        ids: Those of each text.
        model: Id of a model; "" for the default.
        skip_special_tokens: Whether special tokens are left out of the texts.
    """

    ids: Sequence[Sequence[int]]
    model: str = ""
    skip_special_tokens: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Cuts:
    """What was not read whole.

    Attributes:
        query: Whether the query was cut.
        num_documents: Texts beside a query that were cut.
        num_texts: Texts on their own that were cut.
    """

    query: bool = False
    num_documents: int = 0
    num_texts: int = 0

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """Those of them that there are, as every dialect over HTTP tells them."""
        told = (
            ("x-twopass-query-truncated", int(self.query)),
            ("x-twopass-documents-truncated", self.num_documents),
            ("x-twopass-texts-truncated", self.num_texts),
        )
        return tuple((name, str(count)) for name, count in told if count)


NOTHING_CUT = Cuts()


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What an answer took.

    Attributes:
        compute_type: The kind of device, and whether it is used well; after TEI's "gpu+optimized".
        num_chars: Characters of all texts; of a pair those of both, and of token ids their number.
        num_tokens: Tokens that the model read.
        total: Seconds since the call came.
        tokenize: Seconds of tokenising.
        queue: Seconds in which nothing of the request was in the engine.
        inference: Seconds in which something was.
        cuts: What was cut to fit the model.
    """

    compute_type: str
    num_chars: int
    num_tokens: int
    total: float
    tokenize: float
    queue: float
    inference: float
    cuts: Cuts = NOTHING_CUT

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """As both wires tell it beside an answer: times in whole milliseconds."""
        total = _milliseconds(self.total)
        return (
            *self.cuts.headers,
            ("x-compute-type", self.compute_type),
            ("x-compute-time", total),
            ("x-compute-characters", str(self.num_chars)),
            ("x-compute-tokens", str(self.num_tokens)),
            ("x-total-time", total),
            ("x-tokenization-time", _milliseconds(self.tokenize)),
            ("x-queue-time", _milliseconds(self.queue)),
            ("x-inference-time", _milliseconds(self.inference)),
        )


@dataclass(frozen=True, slots=True, eq=False)
class Embeddings:
    """The embeddings of texts, in their order.

    Attributes:
        vectors: float32 `[num_texts, width]`.
        lengths: Tokens of each text that the model read, int32 `[num_texts]`.
        cost: What they took.
    """

    vectors: Float32s
    lengths: Int32s
    cost: Cost


@dataclass(frozen=True, slots=True, eq=False)
class TokenEmbeddings:
    """The embeddings of the tokens of texts, special tokens included.

    Attributes:
        vectors: float32 `[num_tokens, width]`, text after text; not normalised.
        offsets: int32 `[num_texts + 1]`; text `i` has the rows `offsets[i]:offsets[i + 1]`.
        cost: What they took.
    """

    vectors: Float32s
    offsets: Int32s
    cost: Cost


@dataclass(frozen=True, slots=True, eq=False)
class Similarities:
    """How similar each sentence is to the source sentence: their cosine.

    Attributes:
        scores: float32 `[num_sentences]`.
        cost: What they took.
    """

    scores: Float32s
    cost: Cost


@dataclass(frozen=True, slots=True, eq=False)
class Ranks:
    """Texts in the order of their relevance, the best first; equal ones in the order given.

    Attributes:
        order: Their places in the request, int32 `[num_ranks]`.
        scores: Their scores, in this order, float32 `[num_ranks]`.
        cost: What they took.
    """

    order: Int32s
    scores: Float32s
    cost: Cost


@dataclass(frozen=True, slots=True)
class Prediction:
    """The score of a label."""

    score: float
    label: str


@dataclass(frozen=True, slots=True)
class Predictions:
    """The scores of all labels for each text or pair, in the order given.

    Attributes:
        results: For each, the labels with the highest score first.
        cost: What they took.
    """

    results: Sequence[Sequence[Prediction]]
    cost: Cost


@dataclass(frozen=True, slots=True)
class Token:
    """A token of a text.

    Attributes:
        id: In the vocabulary.
        text: The part of the text; of a special token its name.
        special: Whether it is one of those around the text.
        start: The first byte of the part in the UTF-8 of prompt and text; None for special tokens.
        stop: One past its last byte; None for special tokens.
    """

    id: int
    text: str
    special: bool
    start: int | None = None
    stop: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Info:
    """A model and its limits.

    Attributes:
        model_id: Its id.
        model_sha: Its revision.
        model_dtype: The type it is computed in: "float32", "float16", "bfloat16" or "int8".
        pooling: Of an encoder, how it makes an embedding; None for a reranker.
        labels: Of a reranker, the names of what it tells apart.
        max_concurrent_requests: Most calls under way.
        max_input_length: Most tokens of a text or a pair that are read, special ones included.
        max_batch_tokens: Tokens of a batch beyond which a larger one gains nothing.
        max_client_batch_size: Most texts of one request.
        auto_truncate: Whether texts are cut where a request over HTTP does not say.
        tokenization_workers: How many texts are tokenised at once.
        version: The version of TEI whose interface this is.
        docker_label: What the server is.
    """

    model_id: str
    model_sha: str
    model_dtype: str
    pooling: str | None
    labels: tuple[str, ...]
    max_concurrent_requests: int
    max_input_length: int
    max_batch_tokens: int
    max_client_batch_size: int
    auto_truncate: bool
    tokenization_workers: int
    version: str
    docker_label: str

    @property
    def id2label(self) -> Mapping[str, str]:
        """The names of a reranker's labels by their numbers, as `config.json` has them."""
        return {str(number): label for number, label in enumerate(self.labels)}

    @property
    def label2id(self) -> Mapping[str, int]:
        """The numbers of a reranker's labels by their names."""
        return {label: number for number, label in enumerate(self.labels)}


def _milliseconds(seconds: float) -> str:
    return str(max(0, int(seconds * 1000)))
