import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.index.errors import StoppedError
from twopass.server.errors import InvalidRequestError, OverloadedError, ResponseTooLargeError
from twopass.server.http.bodies import encode
from twopass.server.http.dialects.tei_bodies import TOKEN_BYTES
from twopass.server.request import BytesInFlight, Request
from twopass.server.tei import tokens as tokens_module
from twopass.server.tei.errors import EmptyInputError
from twopass.server.tei.servicers.tokenize import _TOKEN_BYTES, _encode_response
from twopass.server.tei.types import IdsToDecode, TextsToTokenize, Token

from .conftest import ENCODER, operations_on

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


@settings(max_examples=50, deadline=None, suppress_health_check=PER_TEST)
@given(text=st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=99))
async def test_no_answer_is_larger_than_what_its_tokens_are_counted_as(tei, text):
    [tokens] = await tokenize(tei, text)
    of_text = len(text.encode())
    assert len(encode(tokens)) <= TOKEN_BYTES * len(tokens) + of_text
    assert _encode_response(tokens).ByteSize() <= _TOKEN_BYTES * len(tokens) + of_text


async def test_more_tokens_than_fit_an_answer_are_refused_before_there_are_objects_of_them(
    loaded, tokenizing, monkeypatch
):
    monkeypatch.setattr(tokens_module, "Token", None)
    tei = operations_on(loaded, tokenizing, max_message_bytes=10_000)
    with pytest.raises(
        ResponseTooLargeError,
        match=r"^inputs: the 104 tokens of 2 texts take 10,500 bytes, at most 10,000 .*"
        r"\(max_message_bytes\); send fewer or shorter",
    ) as refused:
        await tokenize(tei, "!" * 50, "!" * 50, token_bytes=100)
    assert refused.value.facts == {
        "limit_name": "max_message_bytes",
        "limit": 10_000,
        "value": 10_500,
    }


async def test_as_many_tokens_as_fit_an_answer_are_told(loaded, tokenizing):
    tei = operations_on(loaded, tokenizing, max_message_bytes=5_250)
    [tokens] = await tokenize(tei, "!" * 50, token_bytes=100)
    assert len(tokens) == 52


async def test_texts_take_places_in_the_queue_while_they_are_cut_and_joined(tei):
    arbiter = tei.tokens._parts.arbiter
    with arbiter.admitted(99):
        for asked in (tokenize(tei, "a", "b"), decode(tei, [101], [102])):
            with pytest.raises(OverloadedError, match="2 places asked for, 1 of 100 are free"):
                await asked
    assert arbiter.num_admitted == 0


async def test_the_bytes_of_the_tokens_are_counted_until_the_request_ends(tei):
    in_flight = BytesInFlight(1_000)
    request = Request(bytes_in_flight=in_flight)
    asked = TextsToTokenize(inputs=["!" * 8], token_bytes=90)
    await tei.tokens.tokenize(asked, request)
    assert in_flight.num_bytes == 10 * 90 + 8
    with pytest.raises(OverloadedError, match="at most 1,000"):
        await tei.tokens.tokenize(asked, Request(bytes_in_flight=in_flight))
    request.close()
    assert in_flight.num_bytes == 0


def test_a_long_text_is_not_cut_further_once_its_request_has_ended(loaded):
    class OneMore:
        """A stop that is set at its second check."""

        checks = 0

        def check(self):
            self.checks += 1
            if self.checks == 2:
                raise StoppedError

    tokenizer, text = loaded[1].tokenizer, "!" * 10_000
    [ids] = tokenizer.encode([text], 2**31 - 1)
    made = tokens_module._tokens(tokenizer, text, ids, OneMore())
    kept = []
    with pytest.raises(StoppedError):
        kept.extend(made)
    assert len(kept) <= 5_000


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


async def test_texts_of_ids_that_fit_no_answer_are_refused(loaded, tokenizing):
    tei = operations_on(loaded, tokenizing, max_message_bytes=20)
    assert await decode(tei, [7592] * 3) == ["hello hello hello"]
    with pytest.raises(ResponseTooLargeError, match=r"^ids: the texts take 22 bytes, at most 20"):
        await decode(tei, [7592] * 3, [7592], [101])
