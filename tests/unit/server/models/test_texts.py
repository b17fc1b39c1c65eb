"""Texts to embeddings, and what of a request is refused, by the field's name where it came from."""

import numpy as np
import pytest

from twopass.engines.base.sequences import Side
from twopass.server.errors import InvalidRequestError, ResponseTooLargeError, UnknownModelError
from twopass.server.models.caches import ByteCache
from twopass.server.models.embedding import Embedding
from twopass.server.models.passages import Cutting, Limits, Overlong
from twopass.server.models.registry import Models
from twopass.server.models.texts import EmbedTexts, FieldNames, TextsToEmbed
from twopass.server.models.tokenizing import Tokenizing
from twopass.server.request import Request
from twopass.server.scheduling.arbiter import Arbiter, Priority
from twopass.server.telemetry.metrics import Metrics

NAME = "all-MiniLM-L6-v2"
LONG = "word " * 600  # the shipped encoder reads 256 tokens
REFUSING = Cutting(overlong=Overlong.REFUSE)
LIMITS = Limits(max_candidates=10, max_documents=5, max_passage_bytes=10_000, max_query_bytes=5_000)


@pytest.fixture
def texts(encoder):
    tokenizing = Tokenizing(1)
    arbiter = Arbiter(max_queued_pairs=100)
    embedding = Embedding(arbiter, ByteCache("queries", 1 << 20, Metrics()))
    yield EmbedTexts(Models([encoder]), arbiter, tokenizing, embedding, LIMITS)
    tokenizing.close()


async def refused(embedder: EmbedTexts, *, kind=InvalidRequestError, **asked) -> str:
    with pytest.raises(kind) as error:
        await embedder.embed(TextsToEmbed(**({"texts": ["a"]} | asked)), Request())
    return str(error.value)


async def test_embeddings_are_the_models_in_the_order_of_the_texts(texts, golden):
    some = golden.texts[:5]
    embedded = await texts.embed(TextsToEmbed(texts=some), Request())
    cosines = (embedded.vectors * golden.embeddings[:5]).sum(axis=1)
    assert (cosines > 0.99).all()  # int8 beside float32
    assert embedded.num_tokens == embedded.lengths.sum()
    assert not embedded.truncated.any()


async def test_the_tokens_of_remembered_queries_are_told_though_none_is_read_again(texts):
    asked = TextsToEmbed(texts=["who cuts", "a query in two"], is_query=True)
    first = await texts.embed(asked, Request())
    again = await texts.embed(asked, Request())
    np.testing.assert_array_equal(again.vectors, first.vectors)
    np.testing.assert_array_equal(again.lengths, first.lengths)
    assert (first.num_tokens, again.num_tokens) == (first.lengths.sum(), 0)


async def test_a_passage_that_is_too_long_is_cut_and_marked(texts, encoder):
    embedded = await texts.embed(TextsToEmbed(texts=["short", LONG]), Request())
    assert embedded.truncated.tolist() == [False, True]
    assert embedded.lengths[1] == encoder.spec.max_seq_len


@pytest.mark.parametrize("is_query", [False, True], ids=["passages", "queries"])
async def test_a_text_that_is_too_long_is_refused_where_that_is_asked_for(texts, is_query):
    told = await refused(texts, texts=["short", LONG], is_query=is_query, cutting=REFUSING)
    limit = 253 if is_query else 254
    assert told.startswith(f"texts[1]: 600 tokens of {NAME} given, at most {limit} are read")
    assert "shorten it" in told


@pytest.mark.parametrize("is_query", [False, True], ids=["passages", "queries"])
async def test_a_text_is_cut_at_the_side_that_is_asked_for(texts, is_query):
    many = [f"sea {LONG} sky", "short"]
    ends = {"sky", "sea"}
    for side, kept in ((Side.END, "sea"), (Side.START, "sky")):
        asked = TextsToEmbed(texts=many, is_query=is_query, cutting=Cutting(side=side))
        embedded = await texts.embed(asked, Request())
        assert embedded.truncated.tolist() == [True, False]
        (lost,) = ends - {kept}
        same = [f"sea {LONG}" if kept == "sea" else f"{LONG} sky", f"{lost} {LONG} {lost}"]
        asked = TextsToEmbed(texts=same, is_query=is_query, cutting=Cutting(side=side))
        alike, other = (await texts.embed(asked, Request())).vectors
        assert embedded.vectors[0] @ alike > 0.9999
        assert embedded.vectors[0] @ other < 0.9999


async def test_a_query_that_was_cut_is_marked_though_its_embedding_is_remembered(texts):
    asked = TextsToEmbed(texts=[LONG], is_query=True)
    first, again = [await texts.embed(asked, Request()) for _ in range(2)]
    assert again.num_tokens == 0
    assert first.truncated.all()
    assert again.truncated.all()


@pytest.mark.parametrize("num_words", [253, 254, 255])
async def test_a_passage_is_refused_exactly_when_it_would_be_cut(texts, num_words):
    """254 words of one token and two special tokens are the 256 tokens that the model reads."""
    asked = {"texts": ["word " * num_words]}
    embedded = await texts.embed(TextsToEmbed(**asked), Request())
    assert embedded.truncated[0] == (num_words > 254)
    if embedded.truncated[0]:
        await refused(texts, **asked, cutting=REFUSING)
    else:
        await texts.embed(TextsToEmbed(**asked, cutting=REFUSING), Request())


@pytest.mark.parametrize("is_query", [False, True], ids=["passages", "queries"])
@pytest.mark.parametrize("side", Side)
async def test_fewer_tokens_are_read_where_a_request_says_so(texts, is_query, side):
    words = ["bee", "sea", "moon", "king", "war"]
    kept = words[:3] if side is Side.END else words[-3:]
    cutting = Cutting(max_tokens=3, side=side)
    asked = TextsToEmbed(texts=[" ".join(words)], is_query=is_query, cutting=cutting)
    cut = await texts.embed(asked, Request())
    whole = await texts.embed(TextsToEmbed(texts=[" ".join(kept)], is_query=is_query), Request())
    np.testing.assert_array_equal(cut.vectors, whole.vectors)
    assert (cut.truncated.tolist(), cut.lengths.tolist()) == ([True], [5])


@pytest.mark.parametrize(
    ("asked", "priority"),
    [
        ({}, Priority.INGEST),
        ({"is_awaited": True}, Priority.QUERY),
        ({"is_query": True}, Priority.QUERY),
    ],
    ids=["passages", "awaited passages", "queries"],
)
async def test_texts_that_somebody_waits_for_come_first(texts, monkeypatch, asked, priority):
    computed = []
    compute = Arbiter.compute

    async def noting(self, engine, batch, priority, **others):
        computed.append(priority)
        return await compute(self, engine, batch, priority, **others)

    monkeypatch.setattr(Arbiter, "compute", noting)
    await texts.embed(TextsToEmbed(texts=["who waits"], **asked), Request())
    assert computed == [priority]


async def test_errors_name_fields_as_the_surface_calls_them(texts):
    names = FieldNames(texts="input", is_list=False, dimensions="output_dimension")
    told = await refused(texts, texts=[" "], names=names)
    assert told == "input: empty, at least one word is needed"
    told = await refused(texts, texts=["a", "\0"], names=FieldNames(texts="input"))
    assert told.startswith("input[1]: a NUL")
    told = await refused(texts, dimensions=385, names=names)
    assert told.startswith("output_dimension: 385 given")
    cutting = Cutting(overlong=Overlong.REFUSE, to_cut="set truncate to END")
    told = await refused(texts, texts=[LONG], names=names, cutting=cutting)
    assert told.endswith("shorten it, or set truncate to END")


async def test_wrong_requests_are_refused_with_field_limit_and_value(texts):
    assert await refused(texts, texts=[]) == "texts: none given, at least 1 is needed"
    assert (await refused(texts, texts=["a"] * 6)).startswith("texts: 6 given, at most 5")
    assert "10,001 bytes of UTF-8 given" in await refused(texts, texts=["a" * 10_001])
    assert (await refused(texts, dimensions=-1)).startswith("dimensions: -1 given")
    assert "the texts are passages" in await refused(texts, instruction="find cuts")
    assert "takes no instruction" in await refused(texts, instruction="find", is_query=True)
    assert "no encoder 'b'" in await refused(texts, model="b", kind=UnknownModelError)


@pytest.mark.parametrize("side", Side)
@pytest.mark.parametrize("is_query", [False, True], ids=["passages", "queries"])
async def test_texts_of_other_services_clients_are_cut_in_bytes_too(texts, side, is_query):
    """The characters of the text have three bytes each, which are not torn."""
    cutting, long = Cutting(side=side), "海月" * 5_000
    asked = {"is_query": is_query, "cutting": cutting}
    with pytest.raises(InvalidRequestError):
        await texts.embed(TextsToEmbed(texts=[long], **asked), Request())
    many = TextsToEmbed(texts=[long, "a\0b"], takes_any_text=True, **asked)
    embedded = await texts.embed(many, Request())
    assert embedded.truncated.tolist() == [True, False]
    same = TextsToEmbed(texts=["海月" * 600, "a b"], **asked)
    np.testing.assert_array_equal(
        embedded.vectors[1], (await texts.embed(same, Request())).vectors[1]
    )
    await refused(texts, texts=[long], takes_any_text=True, cutting=REFUSING, is_query=is_query)
    await refused(texts, texts=["\0"], takes_any_text=True, is_query=is_query)


async def test_embeddings_that_would_not_fit_the_answer_are_not_computed(texts):
    most = LIMITS.max_message_bytes // 384 + 1
    told = await refused(texts, component_bytes=most, kind=ResponseTooLargeError)
    assert "max_message_bytes" in told


async def test_places_of_texts_are_released_whether_or_not_they_are_embedded(texts):
    for _ in range(40):  # of 100 places, 5 at a time
        await texts.embed(TextsToEmbed(texts=["a"] * 5), Request())
        await refused(texts, texts=["a"] * 4 + [LONG], cutting=REFUSING)
