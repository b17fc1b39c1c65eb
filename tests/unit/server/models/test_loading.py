"""Models as a configuration asks for them."""

import pytest

from twopass.server.config import ServerConfig
from twopass.server.models.loading import load_models


@pytest.mark.parametrize(("asked", "read"), [(0, 240), (50, 50), (1_000, 1_000)])
def test_how_much_of_a_passage_is_read_is_the_servers_else_the_models(asked, read):
    models = load_models(ServerConfig(threads=1, max_passage_tokens=asked))
    assert [model.spec.id for model in models] == ["all-MiniLM-L6-v2", "twopass-minilm-l6"]
    assert models[1].spec.max_passage_tokens == read
    for model in models:
        model.engine.close()
