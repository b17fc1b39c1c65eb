"""Tokenizers of every kind that the families use, with vocabularies of a few hundred entries."""

from collections.abc import Sequence

from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers
from transformers import (
    BertTokenizer,
    DebertaV2Tokenizer,
    MPNetTokenizer,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
    RobertaTokenizer,
    XLMRobertaTokenizer,
)

from .texts import CORPUS

MAX_LENGTH = 128
"""Tokens of a sequence, special ones included, that every small model takes."""

_PIECE_LETTERS = 4
_BERT_SPECIALS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
_ROBERTA_SPECIALS = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]


def bert(*, lower_case: bool = True) -> PreTrainedTokenizerBase:
    """WordPiece as BERT, ELECTRA, DistilBERT and NomicBERT have it."""
    return BertTokenizer(
        vocab=_word_pieces(_BERT_SPECIALS),
        do_lower_case=lower_case,
        model_max_length=MAX_LENGTH,
    )


def mpnet() -> PreTrainedTokenizerBase:
    """WordPiece with RoBERTa's special tokens."""
    vocabulary = _word_pieces(("<s>", "<pad>", "</s>", "[UNK]", "<mask>"))
    return MPNetTokenizer(vocab=vocabulary, model_max_length=MAX_LENGTH)


def roberta() -> PreTrainedTokenizerBase:
    """Byte-level BPE, whose pairs are `<s> query </s></s> passage </s>`."""
    vocabulary, merges = _byte_pairs(_ROBERTA_SPECIALS)
    return RobertaTokenizer(vocab=vocabulary, merges=merges, model_max_length=MAX_LENGTH)


def modernbert() -> PreTrainedTokenizerBase:
    """Byte-level BPE with BERT's special tokens, and without token types."""
    vocabulary, merges = _byte_pairs(_BERT_SPECIALS)
    tokenizer = Tokenizer(models.BPE(vocabulary, merges, unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    tokenizer.post_processor = BertTokenizer(vocab=vocabulary).backend_tokenizer.post_processor
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        model_max_length=MAX_LENGTH,
        model_input_names=["input_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )


def xlm_roberta() -> PreTrainedTokenizerBase:
    """Unigram over Metaspace, as XLM-RoBERTa and multilingual GTE have it."""
    return XLMRobertaTokenizer(
        vocab=_unigrams(("<s>", "<pad>", "</s>", "<unk>")), model_max_length=MAX_LENGTH
    )


def deberta() -> PreTrainedTokenizerBase:
    """Unigram with BERT's special tokens."""
    return DebertaV2Tokenizer(
        vocab=_unigrams(("[PAD]", "[CLS]", "[SEP]", "[UNK]")),
        unk_id=3,
        model_max_length=MAX_LENGTH,
    )


# Vocabularies are spelled out, not trained: trainers break ties at random.


def _words() -> list[str]:
    return sorted({word for text in CORPUS for word in text.split()})


def _letters() -> list[str]:
    return sorted({letter for word in _words() for letter in word + word.lower()})


def _word_pieces(specials: Sequence[str]) -> dict[str, int]:
    """Every letter, first or not, and words of at most four letters."""
    letters = _letters() + list("acdeinoruz")  # those without accents too
    short = {word.lower() for word in _words() if len(word) <= _PIECE_LETTERS}
    pieces = [*specials, *letters, *(f"##{letter}" for letter in letters), *sorted(short)]
    return {piece: number for number, piece in enumerate(dict.fromkeys(pieces))}


def _byte_pairs(specials: Sequence[str]) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Every byte, and the beginnings of words after a space, up to four letters."""
    merges: dict[tuple[str, str], None] = {}
    for word in _words():
        before = "Ġ"  # a space, as the byte-level alphabet writes it
        for letter in word[:_PIECE_LETTERS]:
            if not letter.isascii():
                break
            merges[before, letter] = None
            before += letter
    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    pieces = [*specials, *alphabet, *("".join(pair) for pair in merges)]
    return {piece: number for number, piece in enumerate(pieces)}, list(merges)


def _unigrams(specials: Sequence[str]) -> list[tuple[str, float]]:
    """Every letter, and words of at most four letters after a space."""
    short = [f"▁{word}" for word in _words() if len(word) <= _PIECE_LETTERS]
    pieces = [(piece, 0.0) for piece in specials] + [("▁", -3.0)]
    pieces += [(letter, -5.0 - number / 100) for number, letter in enumerate(_letters())]
    return pieces + [(piece, -4.0 - number / 100) for number, piece in enumerate(short)]
