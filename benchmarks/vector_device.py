"""Searches of vectors through a server, on a GPU or a CPU, by how many are under way.

`python -m twopass.benchmarks.vector_device --device gpu --vectors 100000` fills a folder, starts a
server on it and asks it over gRPC: exact, IVF and HNSW collections, without a filter and with ones
that let half and a tenth of the documents through. `measured` does the same for other programs.
Vectors are random directions, a hundred around each of some middles, so that lists and graphs have
something to find.

Left out: the queries' embedding and the second pass. One process asks, which may be full before the
server is; `asker cores` near 1 says so.
"""

import asyncio
import json
import os
import re
import statistics
import tempfile
import time
from collections.abc import Sequence
from itertools import cycle
from pathlib import Path
from typing import Annotated, Any, Literal
from urllib.request import urlopen

import grpc
import numpy as np
import typer
from rich.console import Console
from rich.table import Table

from twopass.benchmarks.size.own_store import own_store
from twopass.benchmarks.summary import PERCENTILES, percentile
from twopass.engines.base.sequences import Float32s
from twopass.index.arrays import Int64s
from twopass.index.documents import IndexedDocument
from twopass.index.kinds import IndexKind
from twopass.index.schema import CollectionSchema, FieldType, IndexedField
from twopass.index.vectors.merging import MergePolicy
from twopass.server.local import LocalServer
from twopass.v1 import document_pb2, search_pb2
from twopass.v1.filter_pb2 import Condition, FieldCondition, Filter, Range

KINDS = {"exact": "Flat", "IVF": "IVF256,Flat", "HNSW": "HNSW32"}
"""What is measured unless told otherwise: index kinds by name."""
UNDER_WAY = (1, 8, 64)
DIMENSION = 384
_NEIGHBOURS, _QUERIES, _AROUND_EACH = 50, 128, 100
_SEARCH = "/twopass.v1.SearchService/Search"
_BLOCK = 5_000
_WHOLE = 100  # from here on figures are told without a fraction
_NO_TOKENS = np.empty(0, np.int32)
# Those whose number, 0 to 9, is less than this may be found.
_FILTERS = {"none": None, "a half": 5, "a tenth": 1}

Row = dict[str, Any]


def measured(
    *,
    device: str = "gpu",
    num_vectors: int = 100_000,
    kinds: Sequence[str] = tuple(KINDS),
    under_way: Sequence[int] = UNDER_WAY,
    seconds: float = 1.5,
    flags: Sequence[str] = (),
    log: Path | None = None,
) -> list[Row]:
    """Measures a server that is started for it.

    Args:
        device: `--vector-device` of the server: "gpu" or "cpu".
        num_vectors: Documents of each collection; for an IVF kind at least 39 a list, since fewer
            are searched exactly.
        kinds: Names of `KINDS`.
        under_way: Searches at once.
        seconds: How long each figure is measured.
        flags: Further flags of the server.
        log: File of the server's log; None drops it.

    Returns:
        A row a kind, filter and number under way: `searches/s` that were answered, `p50 ms` and
        `p99 ms` of these (None where these are too few), `recall@50` against numpy's exact product,
        `share exact` of the answers, `queries a call` and `calls/s` of the GPU (None where it was
        not called), `asker cores` of this process.
    """
    vectors, queries = clustered_vectors(num_vectors, _QUERIES)
    rows: list[Row] = []
    with tempfile.TemporaryDirectory() as folder:
        _fill(Path(folder), [KINDS[name] for name in kinds], vectors)
        own = ("--vector-device", device, "--engine", "cpu", "--http-address", "127.0.0.1:0")
        with LocalServer(Path(folder), flags=(*own, *flags), log=log) as server:
            for name in kinds:
                for told, most in _FILTERS.items():
                    nearest = _nearest(vectors, queries, most)
                    asked = [_request(_name(KINDS[name]), query, most) for query in queries]
                    found = asyncio.run(_found(server.target, asked))
                    quality: Row = {
                        "recall@50": _recall(found, nearest),
                        "share exact": statistics.mean(one.exact for one in found),
                    }
                    for count in under_way:
                        row: Row = {"kind": name, "filter": told, "under way": count}
                        row |= _loaded(server, asked, count, seconds)
                        rows.append(row | quality)
    return rows


def clustered_vectors(num_vectors: int, num_queries: int) -> tuple[Float32s, Float32s]:
    """Unit vectors around common middles, float32 `[n, DIMENSION]`: stored ones, and queries."""
    generator = np.random.default_rng(0)
    num_middles = max(1, num_vectors // _AROUND_EACH)
    middles = generator.standard_normal((num_middles, DIMENSION), np.float32)
    stored = _around(generator, middles, num_vectors)
    return stored, _around(generator, middles, num_queries)


def _around(generator: np.random.Generator, middles: Float32s, count: int) -> Float32s:
    drawn: Float32s = middles[generator.integers(0, len(middles), count)]
    drawn += generator.standard_normal(drawn.shape, np.float32)
    drawn /= np.linalg.norm(drawn, axis=1, keepdims=True)
    return drawn


def _name(factory: str) -> str:
    return re.sub(r"\W", "-", factory).lower()


def _fill(folder: Path, factories: Sequence[str], vectors: Float32s) -> None:
    """Writes a collection of each kind, all of it in the base of its index."""
    with own_store(folder, MergePolicy(min_changes=10 * len(vectors))) as store:
        for factory in factories:
            schema = CollectionSchema(
                dimension=DIMENSION,
                client_vectors=True,
                index_kind=factory,
                indexed_fields=(IndexedField("n", FieldType.NUMBER),),
            )
            collection = store.create(_name(factory), schema)
            for start in range(0, len(vectors), _BLOCK):
                block = range(start, min(start + _BLOCK, len(vectors)))
                collection.upsert([_document(n, vectors[n]) for n in block]).result()
            collection.merge().result()


def _document(number: int, vector: Float32s) -> IndexedDocument:
    return IndexedDocument(
        id=str(number),
        text=f"{number}",
        metadata={"n": number % 10},
        vector=vector,
        token_ids=_NO_TOKENS,
    )


def _nearest(vectors: Float32s, queries: Float32s, most: int | None) -> Int64s:
    """The nearest that may be found, int64 `[num_queries, n]`, by plain products."""
    allowed = np.arange(len(vectors))
    if most is not None:
        allowed = allowed[allowed % 10 < most]
    scores = queries @ vectors[allowed].T
    found: Int64s = allowed[np.argsort(-scores, axis=1, kind="stable")[:, :_NEIGHBOURS]]
    return found


def _request(collection: str, query: Float32s, most: int | None) -> bytes:
    request = search_pb2.SearchRequest(
        collection=collection,
        vector=document_pb2.Vector(values=query.tolist()),
        top_n=_NEIGHBOURS,
        retrieve=search_pb2.RetrieveOptions(mode=search_pb2.RETRIEVE_MODE_DENSE, k=_NEIGHBOURS),
        rerank=search_pb2.RerankOptions(enabled=False),
    )
    if most is not None:
        test = FieldCondition(field="n", range=Range(lt=most))
        request.filter.CopyFrom(Filter(must=[Condition(field=test)]))
    return request.SerializeToString()


async def _found(target: str, asked: Sequence[bytes]) -> list[search_pb2.SearchResponse]:
    async with grpc.aio.insecure_channel(target) as channel:
        search: grpc.aio.UnaryUnaryMultiCallable[bytes, search_pb2.SearchResponse]
        search = channel.unary_unary(
            _SEARCH, response_deserializer=search_pb2.SearchResponse.FromString
        )
        return [await search(body) for body in asked]


def _loaded(server: LocalServer, asked: Sequence[bytes], under_way: int, seconds: float) -> Row:
    """Speed under a load, and what the GPU was called for meanwhile."""
    began, before = time.perf_counter(), _calls(server.http_url)
    row = asyncio.run(_load(server.target, asked, under_way, seconds))
    after, elapsed = _calls(server.http_url), time.perf_counter() - began
    calls, queries = (now - then for now, then in zip(after, before, strict=True))
    return row | {
        "queries a call": queries / calls if calls else None,
        "calls/s": calls / elapsed if calls else None,
    }


async def _load(target: str, asked: Sequence[bytes], under_way: int, seconds: float) -> Row:
    """Keeps so many searches under way; a fifth of the time more comes first, uncounted.

    What is answered in the time counts, whenever it was sent: else a server that takes long for
    many at once would seem to answer none.
    """
    turns, latencies = cycle(asked), list[float]()
    async with grpc.aio.insecure_channel(target) as channel:
        search: grpc.aio.UnaryUnaryMultiCallable[bytes, bytes] = channel.unary_unary(_SEARCH)
        start = time.perf_counter()
        begin = start + seconds / 5
        end = begin + seconds

        async def one_after_another() -> None:
            while (sent := time.perf_counter()) < end:
                await search(next(turns))
                if begin <= (came := time.perf_counter()) < end:
                    latencies.append(1_000 * (came - sent))

        spent = time.process_time()
        await asyncio.gather(*(one_after_another() for _ in range(under_way)))
        cores = (time.process_time() - spent) / (time.perf_counter() - start)
    latencies.sort()
    return {
        "searches/s": len(latencies) / seconds,
        "p50 ms": percentile(latencies, PERCENTILES["p50"]),
        "p99 ms": percentile(latencies, PERCENTILES["p99"]),
        "asker cores": cores,
    }


def _calls(http_url: str) -> tuple[float, float]:
    """Calls of the GPU since the server began, and their queries; zeros on a CPU."""
    with urlopen(f"{http_url}/metrics") as answer:  # noqa: S310  (our own server)
        told = answer.read().decode()
    return _total(told, "calls"), _total(told, "queries")


def _total(told: str, name: str) -> float:
    found = re.search(rf"^twopass_vector_device_{name}_total (\S+)$", told, re.MULTILINE)
    return float(found[1]) if found else 0.0


def _recall(found: Sequence[search_pb2.SearchResponse], nearest: Int64s) -> float:
    shares = [
        len({int(hit.id) for hit in one.hits} & set(row.tolist())) / len(row)
        for one, row in zip(found, nearest, strict=True)
    ]
    return statistics.mean(shares)


def main(
    device: Annotated[
        Literal["gpu", "cpu"], typer.Option(help="--vector-device of the server.")
    ] = "gpu",
    vectors: Annotated[
        int, typer.Option(min=1_000, help="Documents of each collection.")
    ] = 100_000,
    kind: Annotated[
        list[str] | None,
        typer.Option(help="Of indexes: exact, IVF, HNSW; may be given again. Unset: all."),
    ] = None,
    seconds: Annotated[float, typer.Option(min=0.1, help="How long a figure is measured.")] = 1.5,
    json_file: Annotated[Path | None, typer.Option("--json", help="File for the rows.")] = None,
) -> None:
    """Searches of vectors through a server by how many are under way, with filters and without."""
    if unknown := set(kind or ()) - KINDS.keys():
        told = ", ".join(sorted(unknown))
        raise typer.BadParameter(f"--kind: {told}: there are {', '.join(KINDS)}")
    for name in kind or KINDS:
        if vectors < (least := IndexKind.parse(KINDS[name]).min_training):
            raise typer.BadParameter(
                f"--vectors: {vectors:,} given, {name} is built from {least:,} and more; "
                "give more, or other kinds by --kind"
            )
    rows = measured(device=device, num_vectors=vectors, kinds=tuple(kind or KINDS), seconds=seconds)
    if json_file is not None:
        json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
    Console(width=None if os.isatty(1) else 200).print(_table(rows))


def _table(rows: Sequence[Row]) -> Table:
    table = Table(box=None, header_style="bold", pad_edge=False)
    for name, cell in rows[0].items():
        table.add_column(name, justify="left" if isinstance(cell, str) else "right", no_wrap=True)
    for row in rows:
        table.add_row(*map(_cell, row.values()))
    return table


def _cell(value: float | str | None) -> str:
    if value is None:
        return ""
    if not isinstance(value, float):
        return str(value)
    return f"{value:,.0f}" if abs(value) >= _WHOLE else f"{value:.3g}"


if __name__ == "__main__":
    typer.run(main)
