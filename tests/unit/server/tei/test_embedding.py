from dataclasses import replace

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from twopass.server.errors import (
    InvalidRequestError,
    ResponseTooLargeError,
    WrongModelKindError,
)
from twopass.server.request import Request
from twopass.server.tei.errors import BatchSizeError, EmptyInputError
from twopass.server.tei.types import (
    SentencesToCompare,
    TextsToEmbed,
    TruncationDirection,
)

from .conftest import MAX_TEXTS, RERANKER, operations_on

# Of the shipped vocabulary: [CLS], hello, [SEP].
CLS, HELLO, SEP = 101, 7592, 102
# The operations are the same for every example.
PER_TEST = [HealthCheck.function_scoped_fixture]
LEFT, RIGHT = TruncationDirection.LEFT, TruncationDirection.RIGHT


async def embed(tei, inputs, **options):
    return await tei.embedding.embed(TextsToEmbed(inputs=inputs, **options), Request())


async def vectors(tei, inputs, **options):
    return (await embed(tei, inputs, **options)).vectors


async def test_token_ids_are_read_as_they_are(tei):
    text, ids, bare = await vectors(tei, ["hello", [CLS, HELLO, SEP], [HELLO]])
    np.testing.assert_array_equal(text, ids)
    assert text @ bare < 0.999


@settings(
    max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    inputs=st.lists(
        st.one_of(
            st.text(st.characters(codec="utf-8", exclude_characters="\0"), min_size=1, max_size=40),
            st.lists(st.integers(0, 30_521), min_size=1, max_size=300),
        ),
        min_size=1,
        max_size=MAX_TEXTS,
    ),
    direction=st.sampled_from(TruncationDirection),
)
async def test_inputs_of_any_form_are_embedded_together_as_alone(tei, inputs, direction):
    together = await embed(tei, inputs, direction=direction)
    alone = [await embed(tei, [each], direction=direction) for each in inputs]
    np.testing.assert_array_equal(together.vectors, [each.vectors[0] for each in alone])
    assert together.cost.num_tokens == sum(each.cost.num_tokens for each in alone)


@pytest.mark.parametrize("token_id", [-1, 30_522, 2**40])
async def test_a_token_id_outside_the_vocabulary_is_refused(tei, token_id):
    with pytest.raises(InvalidRequestError, match=f"token id {token_id} given.*0 to 30521"):
        await vectors(tei, ["fine", [CLS, token_id]])


async def test_a_text_of_white_space_is_embedded_and_an_empty_one_refused(tei):
    assert (await vectors(tei, [" \n"])).shape == (1, 384)
    for empty in ("", []):
        with pytest.raises(EmptyInputError, match="Input validation error: `inputs` cannot be"):
            await vectors(tei, ["a", empty])
    with pytest.raises(EmptyInputError, match=r"^`inputs` cannot be empty"):
        await vectors(tei, [])
    with pytest.raises(BatchSizeError):
        await vectors(tei, ["a"] * (MAX_TEXTS + 1))


@pytest.mark.parametrize(("direction", "kept"), [(RIGHT, slice(254)), (LEFT, slice(-254, None))])
async def test_a_text_that_is_too_long_is_cut_at_the_side_that_is_asked_for(tei, direction, kept):
    words = [f"word{i % 7} cat" for i in range(300)]
    # "word0 cat" and so on have three tokens each, so that the text has 900.
    ids = [token.id for token in (await tokens(tei, " ".join(words)))]
    whole, cut = await vectors(tei, [" ".join(words), [CLS, *ids[kept], SEP]], direction=direction)
    np.testing.assert_array_equal(whole, cut)


async def tokens(tei, text):
    from twopass.server.tei.types import TextsToTokenize

    asked = TextsToTokenize(inputs=[text], add_special_tokens=False)
    return (await tei.tokens.tokenize(asked, Request()))[0]


@pytest.mark.parametrize("inputs", [["word " * 255], [[HELLO] * 257]], ids=["text", "ids"])
async def test_what_is_too_long_and_not_to_be_cut_is_refused_with_its_length(tei, inputs):
    with pytest.raises(InvalidRequestError, match=r"less than 256 tokens. Given: 257$"):
        await vectors(tei, inputs, truncate=False)
    longest = [inputs[0][: -5 if isinstance(inputs[0], str) else -1]]
    assert (await embed(tei, longest, truncate=False)).cost.num_tokens == 256


async def test_the_cost_counts_texts_that_were_cut_and_a_header_tells_of_them(tei):
    fits, too_long = "word " * 254, "word " * 255
    cost = (await embed(tei, [fits, too_long, [HELLO] * 256, [HELLO] * 257])).cost
    assert cost.cuts.num_texts == 2
    assert ("x-twopass-texts-truncated", "2") in cost.headers
    left = (await embed(tei, [fits, too_long], direction=LEFT)).cost
    assert left.cuts.num_texts == 1
    cost = (await embed(tei, [fits])).cost
    assert not any(name.startswith("x-twopass") for name, _ in cost.headers)


@pytest.mark.parametrize("normalize", [True, False])
async def test_the_first_dimensions_are_returned_and_normalised_unless_told_otherwise(
    tei, normalize
):
    [whole] = await vectors(tei, ["hello"])
    [cut] = await vectors(tei, ["hello"], dimensions=128, normalize=normalize)
    expected = whole[:128] / (np.linalg.norm(whole[:128]) if normalize else 1)
    np.testing.assert_allclose(cut, expected, rtol=1e-6)


async def test_a_nul_is_read_as_a_space_and_a_text_of_any_size_where_it_may_be_cut(tei):
    text, odd = await vectors(tei, ["hello world", "hello\0world"])
    np.testing.assert_array_equal(text, odd)
    whole, cut = await vectors(tei, ["cat " * 400, "cat " * 9_999], direction=LEFT)
    np.testing.assert_array_equal(whole, cut)
    with pytest.raises(InvalidRequestError, match=r"^inputs\[1\]: 39,996 bytes"):
        await vectors(tei, ["a", "cat " * 9_999], truncate=False)


@pytest.mark.parametrize("dimensions", [-1, 0, 385])
async def test_dimensions_that_the_model_does_not_have_are_refused(tei, dimensions):
    with pytest.raises(InvalidRequestError, match=f"dimensions: {dimensions} given.*384"):
        await vectors(tei, ["hello"], dimensions=dimensions)


async def test_a_prompt_stands_before_each_text_and_before_the_text_of_token_ids(
    loaded, tokenizing
):
    encoder, reranker = loaded
    spec = replace(encoder.spec, prompts={"query": "query: ", "none": ""})
    tei = operations_on([replace(encoder, spec=spec), reranker], tokenizing)
    [plain, typed] = await vectors(tei, ["hello", "query: hello"])
    for same in await vectors(tei, ["hello", [CLS, HELLO, SEP]], prompt_name="query"):
        np.testing.assert_array_equal(same, typed)
    [none] = await vectors(tei, ["hello"], prompt_name="none")
    np.testing.assert_array_equal(none, plain)
    with pytest.raises(InvalidRequestError, match=r'Available prompts: \["query", "none"\]$'):
        await vectors(tei, ["hello"], prompt_name="passage")


async def test_a_prompt_of_a_model_without_prompts_is_refused(tei):
    with pytest.raises(InvalidRequestError, match=r"`query` but no prompts were found"):
        await vectors(tei, ["hello"], prompt_name="query")


async def test_similarities_are_the_products_of_the_embeddings(tei):
    sentences = ["a kitten", "a rocket", "a cat"]
    asked = SentencesToCompare(source_sentence="a cat", sentences=sentences)
    found = await tei.embedding.similarity(asked, Request())
    source, *others = await vectors(tei, ["a cat", *sentences])
    np.testing.assert_allclose(found.scores, np.stack(others) @ source, rtol=1e-6)
    assert found.scores[2] == pytest.approx(1)


async def test_the_source_sentence_counts_as_one_of_the_batch(tei):
    asked = SentencesToCompare(source_sentence="a", sentences=["b"] * MAX_TEXTS)
    with pytest.raises(BatchSizeError, match=f"batch size {MAX_TEXTS + 1}"):
        await tei.embedding.similarity(asked, Request())
    with pytest.raises(EmptyInputError):
        await tei.embedding.similarity(
            SentencesToCompare(source_sentence="a", sentences=[]), Request()
        )


async def test_a_reranker_embeds_nothing(tei):
    with pytest.raises(WrongModelKindError, match=r"^Model is not an embedding model$"):
        await vectors(tei, ["hello"], model=RERANKER)


async def test_each_token_of_a_text_is_embedded_whatever_stands_beside_it(tei):
    asked = TextsToEmbed(inputs=["hello world", [HELLO]])
    found = await tei.embedding.embed_all(asked, Request())
    assert found.offsets.tolist() == [0, 4, 5]
    assert found.vectors.shape == (5, 384)
    alone = await tei.embedding.embed_all(TextsToEmbed(inputs=["hello world"]), Request())
    np.testing.assert_array_equal(found.vectors[:4], alone.vectors)


async def test_a_texts_embedding_is_the_normalised_mean_of_those_of_its_tokens(tei):
    found = await tei.embedding.embed_all(TextsToEmbed(inputs=["hello world"]), Request())
    mean = found.vectors.mean(axis=0)
    [vector] = await vectors(tei, ["hello world"])
    np.testing.assert_allclose(mean / np.linalg.norm(mean), vector, atol=1e-5)


async def test_more_vectors_of_tokens_than_fit_an_answer_are_refused_before_they_are_computed(
    loaded, tokenizing
):
    tei = operations_on(loaded, tokenizing, max_message_bytes=4 * 384 * 10)
    await tei.embedding.embed_all(TextsToEmbed(inputs=["a " * 8]), Request())
    with pytest.raises(ResponseTooLargeError, match="embeddings of 11 tokens"):
        await tei.embedding.embed_all(TextsToEmbed(inputs=["a " * 9]), Request())


@pytest.mark.parametrize("operation", ["embed", "embed_all"])
async def test_components_count_as_large_as_the_answer_writes_them(loaded, tokenizing, operation):
    tei = operations_on(loaded, tokenizing, max_message_bytes=16 * 384 * 3)
    embed = getattr(tei.embedding, operation)
    fit, beyond = (["a"] * 3, ["a"] * 4) if operation == "embed" else (["a"], ["a a"])
    await embed(TextsToEmbed(inputs=fit, component_bytes=16), Request())
    with pytest.raises(ResponseTooLargeError, match="max_message_bytes") as refused:
        await embed(TextsToEmbed(inputs=beyond, component_bytes=16), Request())
    assert refused.value.facts["value"] == 16 * 384 * 4


async def test_an_engine_without_vectors_of_tokens_embeds_none(loaded, tokenizing):
    tei = operations_on([replace(loaded[0], engine=WithoutTokens(loaded[0].engine))], tokenizing)
    with pytest.raises(WrongModelKindError, match="gives no vectors of single tokens"):
        await tei.embedding.embed_all(TextsToEmbed(inputs=["a"]), Request())


class WithoutTokens:
    """An engine as most are."""

    def __init__(self, engine):
        self.info, self.output_width = engine.info, engine.output_width
