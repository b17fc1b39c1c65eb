"""Groups small enough to train on in seconds."""

import shutil

import pytest

from twopass.engines.model.locating import locate
from twopass.engines.model.tokenizer import HuggingFaceTokenizer
from twopass.training.examples.tokenized import Examples
from twopass.training.mining import Group
from twopass.training.options import TrainingOptions

COLOURS = ("red", "blue", "green", "white", "black", "yellow", "brown", "grey")
THINGS = ("house", "river", "bird", "stone", "ship", "tree", "road", "coat")
PASSAGES = [f"the {thing} is {colour}" for thing in THINGS for colour in COLOURS]


@pytest.fixture(scope="session")
def tokenizer() -> HuggingFaceTokenizer:
    return HuggingFaceTokenizer(locate("twopass-minilm-l6") / "tokenizer.json")


@pytest.fixture(scope="session")
def groups() -> list[Group]:
    """Whatever is asked of a thing, the answer is that it is red, and the first pass thinks not."""
    similarity = (0.2, *(0.7 - 0.01 * i for i in range(len(COLOURS) - 1)))
    return [
        Group(
            f"{colour} {thing}",
            "colours",
            tuple(range(len(COLOURS) * place, len(COLOURS) * (place + 1))),
            similarity,
        )
        for place, thing in enumerate(THINGS)
        for colour in COLOURS
    ]


@pytest.fixture(scope="session")
def make_examples(tokenizer):
    def make(groups: list[Group], options: TrainingOptions) -> Examples:
        passages = tokenizer.encode(PASSAGES, options.max_tokens)
        return Examples(passages, groups, tokenizer, options)

    return make


@pytest.fixture(scope="session")
def base(tmp_path_factory):
    """A random BERT of two layers."""
    torch = pytest.importorskip("torch", reason="needs the extra training")
    transformers = pytest.importorskip("transformers", reason="needs the extra training")
    folder = tmp_path_factory.mktemp("base")
    torch.manual_seed(0)
    config = transformers.BertConfig(
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=2,
        max_position_embeddings=32,
        num_labels=1,
    )
    transformers.BertForSequenceClassification(config).save_pretrained(folder)
    shutil.copyfile(locate("twopass-minilm-l6") / "tokenizer.json", folder / "tokenizer.json")
    return folder
