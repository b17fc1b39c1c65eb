"""Tokenizers of every kind that model folders bring, trained on a few sentences.

Unlike vocabularies written by hand they have merges and pieces across the places where texts meet:
" How" and "?\\n" are one token each.
"""

from collections.abc import Callable
from pathlib import Path

from tokenizers import (
    AddedToken,
    Regex,
    Tokenizer,
    decoders,
    models,
    normalizers,
    pre_tokenizers,
    processors,
    trainers,
)

QWEN = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
CORPUS = [
    "query: How does the second pass read a passage? It reads both together.",
    "passage: The first pass finds candidates; the second pass puts the best ones on top.",
    "title: none | text: How long is a passage? A passage has 240 tokens, or fewer.",
    "Instruct: Given a query, retrieve passages\nQuery: what is a window?\n\nA window is a part.",
    "<s> and </s> are tokens, [SEP] and [CLS] too, <pad> <unk> <mask> [PAD] [UNK] [MASK].",
    "How naïve: caf\u00e9 and \u00dcber, \u4eac\u90fd is a city. HOW? What's new: 1,024 \u00b5m.",
] * 8
ANGLES = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
BRACKETS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]

Write = Callable[[Path], Path]


def _wordpiece(pre_tokenizer: object, normalizer: object) -> Tokenizer:
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    # Pieces of special tokens are in the vocabulary of a corpus that spells them.
    trainer = trainers.WordPieceTrainer(vocab_size=400, special_tokens=BRACKETS)
    tokenizer.train_from_iterator(CORPUS, trainer)
    ids = {token: tokenizer.token_to_id(token) for token in BRACKETS}
    tokenizer.post_processor = processors.BertProcessing(
        ("[SEP]", ids["[SEP]"]), ("[CLS]", ids["[CLS]"])
    )
    return tokenizer


def bert() -> Tokenizer:
    """Uncased BERT's, which the core cuts for."""
    return _wordpiece(pre_tokenizers.BertPreTokenizer(), normalizers.BertNormalizer())


def mpnet() -> Tokenizer:
    """MPNet's: uncased BERT's pieces, RoBERTa's special tokens."""
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer()
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = [*ANGLES[:4], "[UNK]"]
    tokenizer.train_from_iterator(
        CORPUS, trainers.WordPieceTrainer(vocab_size=400, special_tokens=special)
    )
    tokenizer.add_special_tokens([AddedToken("<mask>", lstrip=True, normalized=False)])
    ids = {token: tokenizer.token_to_id(token) for token in ANGLES}
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=False
    )
    return tokenizer


def cased_words() -> Tokenizer:
    """WordPiece whose pre-tokeniser leaves "[SEP]" whole, and an NFKC that makes it of others."""
    return _wordpiece(pre_tokenizers.WhitespaceSplit(), normalizers.NFKC())


def word_level() -> Tokenizer:
    """One token a word."""
    tokenizer = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.Lowercase()
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    trainer = trainers.WordLevelTrainer(special_tokens=[*BRACKETS, "[sep]"])
    tokenizer.train_from_iterator(CORPUS, trainer)
    return tokenizer


def _template(tokenizer: Tokenizer, single: str, pair: str) -> Tokenizer:
    tokens = [token for token in ("<s>", "</s>") if token in single + pair]
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single,
        pair=pair,
        special_tokens=[(token, tokenizer.token_to_id(token)) for token in tokens],
    )
    return tokenizer


def gpt2() -> Tokenizer:
    """Byte-level BPE as RoBERTa has it."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    _train_bytes(tokenizer, ANGLES)
    ids = {token: tokenizer.token_to_id(token) for token in ANGLES}
    tokenizer.post_processor = processors.RobertaProcessing(
        ("</s>", ids["</s>"]), ("<s>", ids["<s>"]), add_prefix_space=False
    )
    return tokenizer


def modernbert() -> Tokenizer:
    """Byte-level BPE after NFC, with runs of spaces as added tokens that are not special."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    _train_bytes(tokenizer, BRACKETS)
    tokenizer.add_tokens([AddedToken("  "), AddedToken("   "), AddedToken("|||IP|||")])
    ids = [(token, tokenizer.token_to_id(token)) for token in ("[CLS]", "[SEP]")]
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B [SEP]", special_tokens=ids
    )
    return tokenizer


def qwen() -> Tokenizer:
    """Byte-level BPE of Qwen's and Llama 3's kind; no special token stands around texts but eos."""
    tokenizer = Tokenizer(models.BPE(ignore_merges=True))
    tokenizer.normalizer = normalizers.NFC()
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
        [
            pre_tokenizers.Split(Regex(QWEN), behavior="isolated"),
            pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
        ]
    )
    _train_bytes(tokenizer, [])
    tokenizer.add_special_tokens(["<|endoftext|>", "<|im_start|>", "<|im_end|>"])
    tokenizer.add_tokens(["<think>", "</think>"])
    end = tokenizer.token_to_id("<|endoftext|>")
    tokenizer.post_processor = processors.TemplateProcessing(
        single="$A <|endoftext|>", pair="$A $B:1", special_tokens=[("<|endoftext|>", end)]
    )
    return tokenizer


def _train_bytes(tokenizer: Tokenizer, special: list[str]) -> None:
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=special,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    tokenizer.train_from_iterator(CORPUS, trainer)


def llama() -> Tokenizer:
    """BPE over the whole text, a space in front, merges of any two pieces: special ones too."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence(
        [normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")]
    )
    # Trained without its special tokens, so that merges spell them out, as those that are made of
    # the pieces of a SentencePiece model do.
    sentences = [text for text in CORPUS if "<" not in text]
    trainer = trainers.BpeTrainer(vocab_size=500, max_token_length=12)
    tokenizer.normalizer, whole = normalizers.Replace(" ", "▁"), tokenizer.normalizer
    tokenizer.train_from_iterator([*sentences, *["<s>", "</s>", "<pad>", "<unk>"] * 200], trainer)
    tokenizer.normalizer = whole
    tokenizer.add_special_tokens(["<s>", "</s>", "<pad>", "<unk>"])
    return _template(tokenizer, "<s> $A", "<s> $A <s> $B:1")


def gemma() -> Tokenizer:
    """BPE over the whole text, without a space in front."""
    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True))
    tokenizer.normalizer = normalizers.Replace(" ", "▁")
    tokenizer.pre_tokenizer = pre_tokenizers.Split(" ", behavior="merged_with_previous")
    trainer = trainers.BpeTrainer(
        vocab_size=500, special_tokens=ANGLES, max_token_length=10, initial_alphabet=["▁"]
    )
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _template(tokenizer, "<s> $A </s>", "<s> $A </s> $B </s>")


def _unigram(pre_tokenizer: object, normalizer: object) -> Tokenizer:
    tokenizer = Tokenizer(models.Unigram())
    tokenizer.normalizer, tokenizer.pre_tokenizer = normalizer, pre_tokenizer
    trainer = trainers.UnigramTrainer(vocab_size=300, special_tokens=ANGLES, unk_token="<unk>")
    tokenizer.train_from_iterator(CORPUS, trainer)
    return _template(tokenizer, "<s> $A </s>", "<s> $A </s> </s> $B </s>")


def xlm_roberta() -> Tokenizer:
    """Unigram as XLM-RoBERTa has it: words first, then a mark before each."""
    words = pre_tokenizers.Sequence(
        [pre_tokenizers.WhitespaceSplit(), pre_tokenizers.Metaspace(prepend_scheme="always")]
    )
    steps = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    return _unigram(words, steps)


def t5() -> Tokenizer:
    """Unigram that cuts where a space was."""
    return _unigram(pre_tokenizers.Metaspace(prepend_scheme="always"), normalizers.NFKC())


def mistral() -> Tokenizer:
    """Unigram over the whole text, a mark before its beginning alone."""
    return _unigram(pre_tokenizers.Metaspace(prepend_scheme="first", split=False), None)


KINDS: dict[str, Callable[[], Tokenizer]] = {
    made.__name__: made
    for made in (
        bert,
        mpnet,
        cased_words,
        word_level,
        gpt2,
        modernbert,
        qwen,
        llama,
        gemma,
        xlm_roberta,
        t5,
        mistral,
    )
}


def write(kind: str, file: Path) -> Path:
    """Writes a tokenizer of a kind, as training runs leave it: with truncation and padding."""
    tokenizer = KINDS[kind]()
    tokenizer.enable_truncation(5)
    tokenizer.enable_padding(length=5)
    tokenizer.save(str(file))
    return file
