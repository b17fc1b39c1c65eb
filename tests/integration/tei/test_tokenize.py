"""tei.v1.Tokenize: texts to tokens and back."""

from twopass.tei.v1 import tei_pb2


def test_tokens_tell_their_part_of_the_text(encoder):
    request = tei_pb2.EncodeRequest(inputs="Hello world", add_special_tokens=True)
    tokens = encoder.tokenize.Tokenize(request).tokens
    assert [(t.id, t.text, t.special) for t in tokens] == [
        (101, "[CLS]", True),
        (7592, "Hello", False),
        (2088, "world", False),
        (102, "[SEP]", True),
    ]
    assert not tokens[0].HasField("start")
    assert [(t.start, t.stop) for t in tokens[1:3]] == [(0, 5), (6, 11)]


def test_special_tokens_are_added_only_when_asked_for(encoder):
    tokens = encoder.tokenize.Tokenize(tei_pb2.EncodeRequest(inputs="Hello")).tokens
    assert [token.id for token in tokens] == [7592]


def test_tokens_become_the_text_again(encoder):
    request = tei_pb2.DecodeRequest(ids=[101, 7592, 2088, 102])
    assert encoder.tokenize.Decode(request).text == "[CLS] hello world [SEP]"
    request.skip_special_tokens = True
    assert encoder.tokenize.Decode(request).text == "hello world"


def test_streams_of_the_tokenizer_keep_their_order(encoder):
    requests = [tei_pb2.EncodeRequest(inputs=f"number {i}") for i in range(300)]
    encoded = list(encoder.tokenize.TokenizeStream(iter(requests)))
    rows = [[token.id for token in answer.tokens] for answer in encoded]
    decoded = encoder.tokenize.DecodeStream(tei_pb2.DecodeRequest(ids=ids) for ids in rows)
    assert [answer.text for answer in decoded] == [f"number {i}" for i in range(300)]
