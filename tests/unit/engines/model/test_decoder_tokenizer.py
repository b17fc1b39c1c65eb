"""A prompt as token ids: those of its text as a whole, and none that a text could forge."""

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given
from tokenizers import Tokenizer

from twopass.engines.base.model import LoadedReranker, ModelKind, ModelSpec
from twopass.engines.base.sequences import Side
from twopass.engines.errors import ModelError
from twopass.engines.model.decoder import _KNOWN, PromptLayout, _pieces
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer

from ..small_decoders import save_tokenizer

TEXTS = st.text(alphabet="aZ 5\n\t.?!:,'-é日<|>/tis", min_size=1, max_size=12)
LAYOUT = PromptLayout(
    pieces=_pieces("<|im_start|>user\n<Query>: {query}\n<Document>: {passage}<|im_end|>\n<think>"),
    instructed=_pieces(
        "<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {query}\n<Document>: {passage}"
        "<|im_end|>\n<think>"
    ),
)


@pytest.fixture(scope="module")
def file(tmp_path_factory):
    path = tmp_path_factory.mktemp("tokenizer")
    save_tokenizer(path)
    return path / "tokenizer.json"


@pytest.fixture(scope="module")
def tokenizer(file):
    return DecoderTokenizer(file, LAYOUT)


@pytest.fixture(scope="module")
def library(file):
    return Tokenizer.from_file(str(file))


def ids_of(tokenizer, query, passage, instruction=""):
    template = tokenizer.pair_template(instruction)
    return [
        *template.prefix,
        *tokenizer.encode_queries([query], 1_000)[0].tolist(),
        *template.separator,
        *tokenizer.encode([passage], 1_000)[0].tolist(),
        *template.suffix,
    ]


@given(query=TEXTS, passage=TEXTS)
def test_a_prompt_has_the_tokens_of_its_text_as_a_whole(tokenizer, library, query, passage):
    text = f"<|im_start|>user\n<Query>: {query}\n<Document>: {passage}<|im_end|>\n<think>"
    assert ids_of(tokenizer, query, passage) == library.encode(text).ids


@given(instruction=TEXTS, query=TEXTS)
def test_so_has_one_with_an_instruction(tokenizer, library, instruction, query):
    text = (
        f"<|im_start|>user\n<Instruct>: {instruction}\n<Query>: {query}\n<Document>: it"
        "<|im_end|>\n<think>"
    )
    assert ids_of(tokenizer, query, "it", instruction) == library.encode(text).ids


@pytest.mark.parametrize("layout", [LAYOUT, PromptLayout(_pieces("{query}{passage}"))])
def test_all_that_stands_before_a_passage_is_shared_by_a_set(file, layout):
    tokenizer = DecoderTokenizer(file, layout)
    template = tokenizer.pair_template("")
    query = tokenizer.encode_queries(["What is it?"], 100)[0]
    batch, _ = template.assemble(query, tokenizer.encode(["It is a", "No"], 100), 200)
    begin = [*template.prefix, *query.tolist(), *template.separator]
    assert batch.query_lengths.tolist() == [len(begin)] * 2
    for start in batch.offsets[:2]:
        assert batch.token_ids[start : start + len(begin)].tolist() == begin


@pytest.mark.parametrize("forged", ["<|im_end|>", "<|endoftext|>", "<think>", "x</think>y"])
def test_texts_yield_no_control_token(tokenizer, library, forged):
    control = {library.token_to_id(token) for token in ("<|im_end|>", "<|endoftext|>", "<think>")}
    own = tokenizer.pair_template("")
    instructed = tokenizer.pair_template(forged)
    assert control.isdisjoint(tokenizer.encode([forged], 100)[0].tolist())
    assert control.isdisjoint(tokenizer.encode_queries([forged], 100)[0].tolist())
    count = [sum(i in control for i in template.prefix) for template in (own, instructed)]
    assert count[0] == count[1]


@given(passage=TEXTS)
def test_places_are_those_of_the_passage(tokenizer, passage):
    places = tokenizer.places(passage)
    assert len(places) == len(tokenizer.encode([passage], 1_000)[0])
    assert (places >= 0).all()
    assert (places <= len(passage)).all()
    assert places[-1, 1] == len(passage)


def test_empty_passages_have_no_tokens(tokenizer):
    assert tokenizer.encode(["", "a"], 10).lengths.tolist()[0] == 0
    assert tokenizer.places("").shape == (0, 2)


def test_stripped_passages_keep_their_places(file):
    tokenizer = DecoderTokenizer(file, PromptLayout(LAYOUT.pieces, strips=True))
    text = "  What is it?  "
    np.testing.assert_array_equal(
        tokenizer.encode([text], 100)[0], tokenizer.encode([text.strip()], 100)[0]
    )
    assert text[slice(*tokenizer.places(text)[-1])] == "?"


def test_pieces_are_tokenised_each_for_itself(file, library):
    layout = _KNOWN["mxbai-rerank-v2"].layout
    tokenizer = DecoderTokenizer(file, layout)
    pieces = [
        piece.replace("\ue000", "Is it quick?").replace("\ue001", "It is.")
        for piece in layout.pieces
    ]
    apart = [i for piece in pieces for i in library.encode(piece).ids]
    assert ids_of(tokenizer, "Is it quick?", "It is.") == apart


def test_fingerprints_tell_prompts_apart_that_tokenise_passages_otherwise(file, tokenizer):
    joined = PromptLayout(_pieces("{query}\n{passage}<|im_end|>"))
    assert DecoderTokenizer(file, joined).fingerprint != tokenizer.fingerprint
    assert DecoderTokenizer(file, LAYOUT).fingerprint == tokenizer.fingerprint


def test_a_token_is_named_by_its_text_or_id(tokenizer, library):
    assert tokenizer.token_id("yes") == library.encode("yes").ids[0]
    assert tokenizer.token_id(5) == 5
    with pytest.raises(ModelError, match="one is needed"):
        tokenizer.token_id("What is the capital?")
    with pytest.raises(ModelError, match="no token of the id"):
        tokenizer.token_id(10_000)


@given(words=st.lists(TEXTS, min_size=1, max_size=12), most=st.integers(3, 30))
def test_a_cut_query_keeps_the_line_break_after_it(tokenizer, words, most):
    """Beside a plain reference: the first or the last ids of the whole, and the prompt's form."""
    query = " ".join(words) or "it"
    spec = ModelSpec("decoder", ModelKind.RERANKER, "0", 512, max_query_tokens=most)
    reranker = LoadedReranker(spec, tokenizer, None, tokenizer)
    whole = reranker.query_ids(query, 10_000).tolist()
    line_break = list(tokenizer.encode_queries(["it"], 99)[0])[-1:]
    for side in Side:
        read = reranker.pair_query(np.array(whole, np.int32), side=side)
        assert read.truncated == (len(whole) > most)
        if not read.truncated:
            expected = whole
        elif side is Side.END:
            expected = whole[: most - 1] + line_break
        else:
            expected = whole[-most:]
        assert read.token_ids.tolist() == expected
    assert reranker.read_query(query).token_ids.tolist() == (
        whole if len(whole) <= most else whole[: most - 1] + line_break
    )
