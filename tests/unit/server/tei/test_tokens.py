import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.server.errors import InvalidRequestError
from twopass.server.request import Request
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token

from .conftest import ENCODER

# The operations are the same for every example.
PER_TEST = [HealthCheck.function_scoped_fixture]


async def tokenize(tei, *texts, **options):
    return await tei.tokens.tokenize(TextsToTokenize(inputs=texts, **options), Request())


async def decode(tei, *ids, **options):
    return await tei.tokens.decode(IdsToDecode(ids=ids, **options), Request())


async def test_tokens_have_their_text_and_their_place_in_bytes(tei):
    assert await tokenize(tei, "héllo 京!") == [
        [
            Token(101, "[CLS]", special=True),
            Token(7592, "héllo", special=False, start=0, stop=6),
            Token(1755, "京", special=False, start=7, stop=10),
            Token(999, "!", special=False, start=10, stop=11),
            Token(102, "[SEP]", special=True),
        ]
    ]


async def test_special_tokens_are_left_out_where_they_are_not_asked_for(tei):
    [with_them], [without] = (
        await tokenize(tei, "hello"),
        await tokenize(tei, "hello", add_special_tokens=False, model=ENCODER),
    )
    assert with_them[1:-1] == without


async def test_a_text_that_spells_a_special_token_has_none(tei):
    [tokens] = await tokenize(tei, "[SEP]", add_special_tokens=False)
    assert [token.text for token in tokens] == ["[", "SEP", "]"]


@settings(
    max_examples=50, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=99))
async def test_the_text_of_a_token_is_what_stands_at_its_place(tei, text):
    [tokens] = await tokenize(tei, text, add_special_tokens=False)
    for token in tokens:
        assert text.encode()[token.start : token.stop].decode() == token.text


async def test_tokens_beyond_what_the_model_reads_are_told_too(tei):
    [tokens] = await tokenize(tei, "a " * 1_000)
    assert len(tokens) == 1_002


async def test_token_ids_are_joined_to_their_text(tei):
    ids = [101, 7592, 1010, 2088, 999, 102]
    assert await decode(tei, ids, [7592]) == ["hello, world!", "hello"]
    assert await decode(tei, ids, skip_special_tokens=False) == ["[CLS] hello, world! [SEP]"]


async def test_ids_outside_the_vocabulary_and_no_ids_are_refused(tei):
    with pytest.raises(InvalidRequestError, match="token id 99999 given"):
        await decode(tei, [101, 99_999])
    with pytest.raises(EmptyInputError, match=r"^`ids` cannot be empty"):
        await decode(tei)
    with pytest.raises(EmptyInputError, match=r"`input_ids` cannot be empty"):
        await decode(tei, [101], [])
    with pytest.raises(EmptyInputError, match=r"`inputs` cannot be empty"):
        await tokenize(tei, "")
