"""Queries longer than a model reads, found before the work begins.

Servers refuse them; a measurement cuts them and says so, so that one long query of a test
collection does not end it.
"""

from dataclasses import dataclass, replace

from twopass.engines.base import ModelKind, ModelSpec, Prompt, TextTokenizer
from twopass.engines.model.decoder_tokenizer import DecoderTokenizer
from twopass.engines.model.folder import open_model
from twopass.engines.model.tokenizer import load_tokenizer, with_room_for_prefixes
from twopass.evaluation.datasets import Dataset


@dataclass(frozen=True, slots=True)
class QueryReader:
    """What tells whether a model reads a query whole.

    Attributes:
        spec: The model.
        tokenizer: The tokenizer of its queries.
        prompt: Of a decoder that reranks: where its queries are tokenised with what stands beside
            them. None for every other model.
    """

    spec: ModelSpec
    tokenizer: TextTokenizer
    prompt: Prompt | None = None

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
        prompt = None
        if folder.decoder is not None and folder.decoder.layout is not None:
            prompt = DecoderTokenizer(folder.tokenizer, folder.decoder.layout)
        if spec.kind is ModelKind.ENCODER:
            spec = with_room_for_prefixes(spec, tokenizer)
        return cls(spec, tokenizer.after(spec.query_prefix), prompt)

    def cut(self, query: str) -> str:
        """The query's beginning, as much as the model reads; all of it where that is possible."""
        limit = self.spec.max_query_tokens
        num_kept = limit
        while True:
            places = self.tokenizer.places(query)
            if self._num_tokens(query, len(places)) <= limit:
                return query
            # Half a word can have more tokens than it had within the whole one: then one less.
            num_kept = min(num_kept, len(places))
            query = query[: places[num_kept - 1, 1]]
            num_kept -= 1

    def _num_tokens(self, query: str, alone: int) -> int:
        """Tokens of a query, counted to one beyond the limit, given those it has by itself."""
        if self.prompt is None:
            return alone
        return len(self.prompt.encode_queries([query], self.spec.max_query_tokens + 1)[0])


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
