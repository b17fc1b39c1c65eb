"""Other windows for the documents of a collection: what a search of the same settings would gain.

How documents are split is decided when they are indexed, so each size takes a copy of the whole
collection, indexed anew.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from twopass.client import Chunking, Client, Collection, Fields
from twopass.evaluation.datasets import Dataset
from twopass.evaluation.significance import holm
from twopass.evaluation.tuning.arithmetic import Qualities, qualities
from twopass.evaluation.tuning.copies import copied
from twopass.evaluation.tuning.kept import Kept
from twopass.evaluation.tuning.pace import searching
from twopass.evaluation.tuning.reading import Bar, Reading, read_all
from twopass.evaluation.tuning.settings import Grid, Settings
from twopass.evaluation.tuning.trial import Gain, gain_of, timed


@dataclass(frozen=True, slots=True)
class Windowed:
    """A collection's documents in windows of another size.

    Attributes:
        window_tokens: Tokens of a window; neighbours share a quarter of them.
        gain: nDCG@10 of the same settings there, against the collection as it is. Its p-value is
            adjusted for the number of sizes (Holm).
        milliseconds: Median time of a search there.
    """

    window_tokens: int
    gain: Gain
    milliseconds: float


def in_windows(
    client: Client,
    described: Collection,
    dataset: Dataset,
    measured: Qualities,
    settings: Settings,
    sizes: Sequence[int],
    bar: Bar,
    num_timed: int = 30,
) -> list[Windowed]:
    """Searches copies of a collection that are split otherwise, one after the other.

    Args:
        client: Client of the server.
        described: The collection.
        dataset: Queries and judgements.
        measured: nDCG@10 in the collection as it is, of the settings among others.
        settings: How all are searched.
        sizes: Tokens of a window.
        bar: Shows progress.
        num_timed: Queries by which each is timed.

    Raises:
        EvaluationError: The second pass did not run on a query.
    """
    found = []
    grid = Grid(
        modes=(settings.mode,),
        ks=(settings.k,),
        fusions=() if settings.fusion is None else (settings.fusion,),
        depths=(settings.depth,),
        readers=() if settings.reader is None else (settings.reader,),
        weights=(settings.blend,),
    )
    minimum = None if described.schema.metric == "inner_product" else -1.0
    for size in sizes:
        documents = client.documents(
            described.name, page_size=500, fields=Fields(text=True, metadata=False)
        )
        number = described.num_documents
        with copied(client, described, documents, number, bar, Chunking(size, size // 4)) as copy:
            reading = Reading(
                client=client,
                collection=copy,
                grid=grid,
                dense_minimum=minimum,
                kept=Kept(None, {}),
            )
            queries = read_all(reading, replace(dataset, collection=copy), bar=bar)
            after = qualities(queries, grid, minimum).of(settings)
            some = [(dataset.queries[one.id], one) for one in queries[:num_timed]]
            with bar("copy searched", len(some)) as advance:
                times = timed(searching(client, copy), some, [settings], minimum, advance)
        gain = gain_of(measured.of(settings), after)
        found.append(Windowed(size, gain, times[settings].milliseconds))
    adjusted = holm([one.gain.p_value for one in found])
    return [
        replace(one, gain=replace(one.gain, p_value=p_value))
        for one, p_value in zip(found, adjusted, strict=True)
    ]
