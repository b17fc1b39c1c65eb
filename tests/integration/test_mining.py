"""Hard negatives of a training: found by a server among the passages of the question's own file."""

from twopass.client import Client
from twopass.training.mining import MiningOptions, mine
from twopass.training.pairs import Pair, Source

from .corpus import FACTS
from .serving import Server

CAPITAL = "What is the capital of Australia?"
NEARLY_THE_ANSWER = f"So {FACTS['canberra']}"
ANOTHER_ANSWER = "Parliament of Australia sits in its capital, which is Canberra."


def test_what_is_found_and_answers_nothing_is_a_negative(tmp_path):
    others = [text for name, text in FACTS.items() if name not in ("canberra", "sky")]
    pairs = (
        Pair(CAPITAL, FACTS["canberra"], (FACTS["chess"], NEARLY_THE_ANSWER)),
        Pair(CAPITAL, ANOTHER_ANSWER),
        Pair("Why is the sky blue?", FACTS["sky"], tuple(others)),
    )
    source = Source("Facts & more", pairs)
    passages = source.passages()
    indexed, searched = [], []
    with Server(tmp_path / "data", gated=False) as server, Client(server.target) as client:
        groups = mine(
            client, source, passages, MiningOptions(dense=8), indexed.append, searched.append
        )
        assert not client.list_collections()
    assert indexed[-1] == len(passages)
    assert sum(searched) == len(pairs)
    assert [group.query for group in groups] == [pair.query for pair in pairs]
    for group, pair in zip(groups, pairs, strict=True):
        texts = [passages[number] for number in group.passages]
        assert texts[0] == pair.positive
        assert len(set(texts)) == len(texts) == len(group.similarity)
        assert all(-1 <= cosine <= 1 for cosine in group.similarity)
    of_capital = {passages[number] for number in groups[0].passages}
    assert FACTS["chess"] in of_capital  # given with the pair
    assert FACTS["everest"] in of_capital  # one of the nearest
    assert not of_capital & {ANOTHER_ANSWER, NEARLY_THE_ANSWER}
    of_another = {passages[number] for number in groups[1].passages}
    assert not of_another & {FACTS["canberra"], NEARLY_THE_ANSWER}
    # What the vectors did not find is taken for as near as the last that they found.
    similarity = groups[2].similarity
    assert similarity.count(min(similarity)) > 1
