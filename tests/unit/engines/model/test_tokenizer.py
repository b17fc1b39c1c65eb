import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from tokenizers import Tokenizer as RustTokenizer

from twopass._core import assemble_pairs
from twopass.engines.base.model import ModelKind, ModelSpec
from twopass.engines.base.sequences import PairTemplate, Ragged, SingleTemplate
from twopass.engines.errors import ModelError
from twopass.engines.model import tokenizer as module
from twopass.engines.model.folder import open_model
from twopass.engines.model.locating import locate
from twopass.engines.model.tokenizer import (
    HuggingFaceTokenizer,
    load_tokenizer,
    with_room_for_prefixes,
)
from twopass.engines.model.tokenizing.special_tokens import without_spelling

from ..small_tokenizers import byte_level, metaspace
from ..trained_tokenizers import KINDS, write

CLS, SEP, UNKNOWN = 101, 102, 100


class Whole:
    """The reference: every text tokenised to its end, then cut.

    What special tokens become in a text is for `test_special_tokens.py`: they have other names here
    too.
    """

    def __init__(self, file: Path) -> None:
        content = without_spelling(json.loads(file.read_text(encoding="utf-8")))
        self._tokenizer = RustTokenizer.from_str(json.dumps(content))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        self._tokenizer.encode_special_tokens = True

    def encode(self, text: str, max_tokens: int) -> list[int]:
        return self._tokenizer.encode(text, add_special_tokens=False).ids[:max_tokens]


def rows(ragged: Ragged) -> list[list[int]]:
    return [ragged[i].tolist() for i in range(len(ragged))]


@pytest.fixture(scope="module")
def bert_file() -> Path:
    return locate("twopass-minilm-l6") / "tokenizer.json"


@pytest.fixture(scope="module")
def tokenizer(bert_file: Path) -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(bert_file)


@pytest.fixture(scope="module")
def bert(tokenizer, bert_file) -> tuple[HuggingFaceTokenizer, Whole]:
    """The shipped models' tokenizer, with its reference."""
    return tokenizer, Whole(bert_file)


@pytest.fixture(scope="module", params=["shipped", "byte-level", "metaspace", *KINDS])
def family(request, bert_file, tmp_path_factory) -> tuple[HuggingFaceTokenizer, Whole]:
    """A tokenizer of each family, with its reference."""
    file = tmp_path_factory.mktemp("tokenizer") / "tokenizer.json"
    if request.param in KINDS:
        write(request.param, file)
    elif request.param == "shipped":
        file = bert_file
    else:
        {"byte-level": byte_level, "metaspace": metaspace}[request.param](file)
    return HuggingFaceTokenizer(file), Whole(file)


def test_pairs_have_the_ids_that_transformers_gave_them(tokenizer, golden):
    template = tokenizer.template
    special = (template.prefix, template.separator, template.suffix)
    for (query, passage), expected in zip(golden.pairs, golden.pair_ids, strict=True):
        query_ids, passage_ids = tokenizer.encode([query, passage], 512)
        assembled = assemble_pairs(
            query_ids,
            passage_ids,
            np.array([0, len(passage_ids)], np.int32),
            *(np.array(tokens, np.int32) for tokens in special),
            512,
        )
        assert assembled[0].tolist() == expected


@pytest.mark.parametrize("max_tokens", [1, 2, 3, 4, 5, 100])
def test_rows_are_cut_after_max_tokens(tokenizer, max_tokens):
    whole = tokenizer.encode(["one two three four", "five"], 100)
    assert whole.lengths.tolist() == [4, 1]
    cut = tokenizer.encode(["one two three four", "five"], max_tokens)
    assert rows(cut) == [row[:max_tokens] for row in rows(whole)]


def test_an_empty_text_has_no_tokens(tokenizer):
    assert rows(tokenizer.encode(["", " \n\t", "a"], 9)) == [[], [], [1037]]
    assert len(tokenizer.encode([], 9)) == 0


odd_text = st.text(
    st.sampled_from("abAB .,!\n\t\r\u00a0\u3000\u200d\u0301éßİ東京🙂\U0010ffff\x01\ufffd[]</>")
    | st.characters(exclude_categories=["Cs"]),
    max_size=200,
)
spelled_out = st.lists(
    st.sampled_from(["[SEP]", "[CLS]", "[PAD]", "<s>", "</s>", "<pad>", " ", "ab", "a" * 17, "   "])
    | odd_text,
    max_size=20,
).map("".join)


@given(texts=st.lists(spelled_out, max_size=4), max_tokens=st.integers(1, 9))
@example(texts=["a" * 15 + " b"], max_tokens=1)  # one below, at and above the first cut
@example(texts=["a" * 16 + " b"], max_tokens=1)
@example(texts=["a" * 17 + " b"], max_tokens=1)
@example(texts=[" " * 500 + "ab ab ab"], max_tokens=2)
@example(texts=["ab" + " " * 500 + "ab"], max_tokens=2)
@example(texts=["x" + " " * 60 + "x"], max_tokens=3)  # a run of spaces is a word to byte-level BPE
@example(texts=["ab " * 200], max_tokens=9)
def test_tokenising_a_beginning_gives_the_ids_of_the_whole(family, texts, max_tokens):
    tokenizer, whole = family
    expected = [whole.encode(text, max_tokens) for text in texts]
    assert rows(tokenizer.encode(texts, max_tokens)) == expected


@given(st.lists(odd_text, min_size=1, max_size=5))
def test_a_text_is_tokenised_alike_alone_and_among_others(family, texts):
    tokenizer, _ = family
    alone = [rows(tokenizer.encode([text], 64))[0] for text in texts]
    assert rows(tokenizer.encode(texts, 64)) == alone


def test_the_core_cuts_for_uncased_bert_and_for_nobody_else(tokenizer, bert_file, tmp_path):
    assert tokenizer._wordpiece is not None
    for kind in ("bert", "mpnet"):
        assert HuggingFaceTokenizer(write(kind, tmp_path / kind))._wordpiece is not None
    for kind in set(KINDS) - {"bert", "mpnet"}:
        assert HuggingFaceTokenizer(write(kind, tmp_path / kind))._wordpiece is None
    assert HuggingFaceTokenizer(byte_level(tmp_path / "byte-level.json"))._wordpiece is None
    content = json.loads(bert_file.read_text(encoding="utf-8"))
    content["normalizer"]["lowercase"] = False
    cased = tmp_path / "cased.json"
    cased.write_text(json.dumps(content), encoding="utf-8")
    assert HuggingFaceTokenizer(cased)._wordpiece is None
    assert rows(HuggingFaceTokenizer(cased).encode(["SKY sky"], 9))[0][-1] == 3712


english = st.lists(
    st.from_regex(r"[A-Za-z0-9'.,;()%$#_-]{1,14}", fullmatch=True)
    | st.sampled_from(["café", "“quoted”", "\u2013", "naïve,", "Å", "x\u0301y", "\u00a0", "東京"]),
    max_size=60,
).map(" ".join)


@given(texts=st.lists(english, max_size=5), max_tokens=st.integers(0, 40))
@example(texts=["word " * 9 + "café", "café"], max_tokens=9)
def test_words_beyond_ascii_find_their_places_among_the_others(bert, texts, max_tokens):
    tokenizer, whole = bert
    expected = [whole.encode(text, max_tokens) for text in texts]
    assert rows(tokenizer.encode(texts, max_tokens)) == expected


def test_texts_of_little_but_foreign_words_are_left_and_others_are_whole(tokenizer):
    texts = ["plain", "東京は日本の首都です", "we met in a café by the river in old town", "東京"]
    quickly, left = tokenizer.encode_quickly(texts, 9)
    whole = rows(tokenizer.encode(texts, 9))
    assert tokenizer.is_quick
    assert left == [1, 3]
    assert rows(quickly) == [whole[0], [], whole[2], []]


def test_words_beyond_ascii_are_remembered_and_no_more_than_a_number_of_them(bert, monkeypatch):
    tokenizer, whole = bert
    monkeypatch.setattr(module, "_KEPT_WORDS", 3)
    texts = [f"one {chr(0x00E0 + i)}{chr(0x00E1 + i)} two three four" for i in range(20)]
    for text in (*texts, *texts):
        assert rows(tokenizer.encode([text], 9)) == [whole.encode(text, 9)]
        assert len(tokenizer._known_words) <= 4


def test_a_lone_surrogate_is_an_error_and_no_crash(tokenizer):
    with pytest.raises(UnicodeEncodeError):
        tokenizer.encode(["fine", "\ud800"], 9)


@pytest.mark.parametrize("text", ["[SEP]", "[CLS] a [SEP] b", "a[PAD]b", "x [MASK]", "[UNK]"])
def test_special_tokens_spelled_out_are_text_like_any_other(tokenizer, text):
    (ids,) = rows(tokenizer.encode([text], 64))
    assert not {0, CLS, SEP, 103} & set(ids)
    assert len(ids) >= 3  # brackets and letters, each a token of its own


def test_a_word_that_no_vocabulary_holds_is_unknown(tokenizer):
    assert rows(tokenizer.encode(["\U0010ffff", "a" * 101], 9)) == [[UNKNOWN], [UNKNOWN]]


def test_template_is_read_off_the_post_processor(tokenizer, tmp_path):
    assert tokenizer.template == PairTemplate((CLS,), (SEP,), (SEP,))
    roberta = HuggingFaceTokenizer(byte_level(tmp_path / "tokenizer.json"))
    assert roberta.template == PairTemplate((0,), (2, 2), (2,), passage_type=0)
    assert (tokenizer.pad_id, roberta.pad_id) == (0, 1)


def test_the_shipped_tokenizer_has_the_fingerprint_that_collections_have_stored():
    for name in ("twopass-minilm-l6", "twopass-minilm-l3", "all-MiniLM-L6-v2"):
        assert load_tokenizer(open_model(name)).fingerprint == "7e5dd88cf8824701"


def test_equal_files_have_equal_fingerprints_and_other_vocabularies_others(
    tokenizer, bert_file, tmp_path
):
    content = json.loads(bert_file.read_text(encoding="utf-8"))
    content["truncation"] = None  # how a file was cut when it was saved changes no id
    same = tmp_path / "same.json"
    same.write_text(json.dumps(content, indent=1), encoding="utf-8")
    assert HuggingFaceTokenizer(same).fingerprint == tokenizer.fingerprint
    other = HuggingFaceTokenizer(byte_level(tmp_path / "other.json"))
    assert other.fingerprint != tokenizer.fingerprint


def test_threads_may_share_a_tokenizer(tokenizer):
    texts = [f"thread {i} counts {'word ' * i}" for i in range(40)]
    expected = rows(tokenizer.encode(texts, 64))
    together = threading.Barrier(8)

    def encode(_: int) -> list[list[int]]:
        together.wait()
        return rows(tokenizer.encode(texts, 64))

    with ThreadPoolExecutor(8) as threads:
        assert all(ids == expected for ids in threads.map(encode, range(8)))


@pytest.mark.parametrize("content", ["", "{", "[]", '{"model": 3}'], ids=repr)
def test_a_file_that_is_no_tokenizer_is_named(tmp_path, content):
    file = tmp_path / "tokenizer.json"
    file.write_text(content, encoding="utf-8")
    with pytest.raises(ModelError, match=r"tokenizer\.json: not a tokenizer"):
        HuggingFaceTokenizer(file)


def test_a_tokenizer_without_pairs_has_none_to_give_and_reads_single_texts(tmp_path):
    file = byte_level(tmp_path / "tokenizer.json")
    content = json.loads(file.read_text(encoding="utf-8"))
    content["post_processor"]["pair"] = content["post_processor"]["single"]
    file.write_text(json.dumps(content), encoding="utf-8")
    tokenizer = HuggingFaceTokenizer(file)
    assert tokenizer.single == SingleTemplate((0,), (2,))
    with pytest.raises(ModelError, match=r"tokenizer\.json: .*keep each text whole"):
        _ = tokenizer.template


def test_the_longest_query_leaves_room_for_its_prefix(tmp_path):
    tokenizer = HuggingFaceTokenizer(write("gpt2", tmp_path / "tokenizer.json"))
    spec = ModelSpec(
        id="e5",
        kind=ModelKind.ENCODER,
        revision="0",
        max_seq_len=20,
        max_query_tokens=17,
        query_prefix="query: ",
    )
    # 20 less <s>, </s>, "query" and ":".
    assert with_room_for_prefixes(spec, tokenizer).max_query_tokens == 16
    longer = replace(spec, max_seq_len=256)
    assert with_room_for_prefixes(longer, tokenizer).max_query_tokens == 17
    with pytest.raises(ModelError, match=r"e5: passage_prefix has \d+ tokens .* max_seq_len, 20;"):
        with_room_for_prefixes(replace(spec, passage_prefix="How? " * 20), tokenizer)


@given(text=st.text(st.characters(exclude_categories=["Cs"]), max_size=60))
@example(text="naïve  café 🙂 日本語 [SEP] x")
def test_every_token_has_its_place_in_the_text(family, text):
    tokenizer, _ = family
    places = tokenizer.places(text)
    ids = tokenizer.encode([text], 1_000)[0]
    assert places.shape == (len(ids), 2)
    assert (places[:, 0] <= places[:, 1]).all()
    assert (np.diff(places[:, 0]) >= 0).all()
    assert places.min(initial=0) >= 0
    assert places.max(initial=0) <= len(text)  # in code points, not bytes


@given(
    text=st.text(st.sampled_from("ab  \n\u0301éﬁ日🙂_.'1▁"), max_size=60),
    max_chars=st.integers(1, 20),
)
@example(text="a \u0301b", max_chars=2)
def test_the_pieces_of_a_text_have_its_tokens_together(family, text, max_chars):
    tokenizer, _ = family
    pieces = tokenizer.pieces(text, max_chars)
    assert "".join(pieces) == text
    together = tokenizer.encode(pieces, 1_000).token_ids
    np.testing.assert_array_equal(together, tokenizer.encode([text], 1_000).token_ids)


def test_a_long_text_is_cut_into_pieces_at_spaces(tokenizer):
    pieces = tokenizer.pieces("word " * 1_000, 100)
    assert len(pieces) > 50
    assert max(map(len, pieces)) <= 100


def test_the_place_of_a_word_is_where_it_stands(tokenizer):
    text = "Über naïve 🙂 sky"
    (start, end) = tokenizer.places(text)[-1]
    assert text[start:end] == "sky"


@pytest.mark.parametrize("kind", KINDS)
def test_token_ids_are_joined_to_the_text_that_the_library_makes_of_them(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    tokenizer, library = HuggingFaceTokenizer(file), RustTokenizer.from_file(str(file))
    library.no_truncation()
    library.no_padding()
    ids = library.encode("Hello, world! How are you?").ids
    for skip_special in (True, False):
        expected = library.decode(ids, skip_special_tokens=skip_special)
        assert tokenizer.decode(ids, skip_special=skip_special) == expected


@pytest.mark.parametrize("kind", KINDS)
def test_every_token_has_the_name_that_the_library_gives_it(kind, tmp_path):
    file = write(kind, tmp_path / "tokenizer.json")
    tokenizer, library = HuggingFaceTokenizer(file), RustTokenizer.from_file(str(file))
    ids = range(tokenizer.vocabulary_size)
    assert [tokenizer.token(id_) for id_ in ids] == [library.id_to_token(id_) or "" for id_ in ids]
    assert tokenizer.token(tokenizer.vocabulary_size) == ""
