"""Queries longer than a model reads, found before the work begins.

Servers refuse them; a measurement cuts them and says so, so that one long query of a test
collection does not end it.
"""

from dataclasses import dataclass, replace

from twopass.engines.base import ModelKind, ModelSpec, TextTokenizer
from twopass.engines.model.folder import open_model
from twopass.engines.model.tokenizer import load_tokenizer, with_room_for_prefixes
from twopass.evaluation.datasets import Dataset


@dataclass(frozen=True, slots=True)
class QueryReader:
    """What tells whether a model reads a query whole.

    Attributes:
        spec: The model.
        tokenizer: The tokenizer of its queries.
    """

    spec: ModelSpec
    tokenizer: TextTokenizer

    @classmethod
    def of(cls, model: str) -> "QueryReader":
        """Opens a model's tokenizer, without its weights.

        Args:
            model: A shipped model, a folder or a hub id.

        Raises:
            ModelError: The folder is missing or damaged.
        """
        folder = open_model(model)
        tokenizer, spec = load_tokenizer(folder), folder.spec
        if spec.kind is ModelKind.ENCODER:
            spec = with_room_for_prefixes(spec, tokenizer)
        return cls(spec, tokenizer.after(spec.query_prefix))

    def cut(self, query: str) -> str:
        """The query's beginning, as much as the model reads; all of it where that is possible."""
        limit = self.spec.max_query_tokens
        num_kept = limit
        while True:
            places = self.tokenizer.places(query)
            if len(places) <= limit:
                return query
            # Half a word can have more tokens than it had within the whole one: then one less.
            query = query[: places[num_kept - 1, 1]]
            num_kept -= 1


@dataclass(frozen=True, slots=True)
class Cut:
    """A test collection whose queries every model reads whole.

    Attributes:
        dataset: The test collection.
        num_cut: How many of its queries were cut.
    """

    dataset: Dataset
    num_cut: int


def cut_queries(dataset: Dataset, readers: list[QueryReader]) -> Cut:
    """Cuts the queries that are longer than one of the models reads."""
    queries = dict(dataset.queries)
    for reader in readers:
        queries = {name: reader.cut(query) for name, query in queries.items()}
    num_cut = sum(queries[name] != query for name, query in dataset.queries.items())
    return Cut(replace(dataset, queries=queries), num_cut)
