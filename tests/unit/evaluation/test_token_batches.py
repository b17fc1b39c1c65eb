from twopass.evaluation.token_batches import token_batch


def test_a_rerankers_pairs_are_the_golden_ones(reranker, golden):
    query = golden.pairs[0][0]
    passages = [passage for first, passage in golden.pairs if first == query]
    batch = token_batch(reranker.spec, reranker.tokenizer, query, passages)
    assert [*batch.token_ids] == [i for ids in golden.pair_ids[: len(passages)] for i in ids]
    separator = reranker.tokenizer.template.separator[0]
    assert [*batch.query_lengths] == [
        ids.index(separator) + 1 for ids in golden.pair_ids[: len(passages)]
    ]


def test_an_encoders_texts_stand_alone_and_are_cut_to_its_length(encoder):
    batch = token_batch(encoder.spec, encoder.tokenizer, "unused", ["Ok.", "long " * 600])
    assert batch.lengths[1] == encoder.spec.max_seq_len == 256
    assert [*batch.query_lengths] == [*batch.lengths]
    assert batch.token_ids[-1] == encoder.tokenizer.single.suffix[0]
