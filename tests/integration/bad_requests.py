"""Requests that a server refuses: with which status, and how its message begins."""

import math

import grpc
from google.protobuf.duration_pb2 import Duration
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from twopass.v1 import collection_pb2, embed_pb2, rerank_pb2, search_pb2
from twopass.v1.collection_pb2 import (
    AliasChange,
    Chunking,
    CollectionSchema,
    CreateCollectionRequest,
    CreateSnapshotRequest,
    DeleteDocumentsRequest,
    DeleteSnapshotRequest,
    FacetRequest,
    GetDocumentsRequest,
    GetFacetsRequest,
    IndexedField,
    ListDocumentsRequest,
    RestoreSnapshotRequest,
    UpdateAliasesRequest,
    UpdateMetadataRequest,
    UpsertDocumentsRequest,
)
from twopass.v1.document_pb2 import Document, Vector
from twopass.v1.embed_pb2 import EmbedRequest
from twopass.v1.filter_pb2 import (
    Condition,
    FieldCondition,
    Filter,
    IdCondition,
    Interval,
    Literal,
    LiteralList,
    Range,
)
from twopass.v1.model_pb2 import GetModelRequest
from twopass.v1.rerank_pb2 import Candidate, RerankRequest
from twopass.v1.search_pb2 import (
    ConvexFusion,
    ReciprocalRankFusion,
    RerankOptions,
    RetrieveOptions,
    SearchRequest,
    WordClause,
    WordClauses,
)
from twopass.v1.spans_pb2 import HighlightOptions, SpanOptions

from .corpus import RERANKER

INVALID = grpc.StatusCode.INVALID_ARGUMENT
NOT_FOUND = grpc.StatusCode.NOT_FOUND

MEGABYTE = "word " * 209_716  # 1,048,580 bytes
NAN = math.nan


def rerank(*texts: str, **fields) -> RerankRequest:
    candidates = fields.pop("candidates", None) or [Candidate(text=text) for text in texts or "x"]
    return RerankRequest(**{"query": "q", "candidates": candidates} | fields)


def search(**fields) -> SearchRequest:
    return SearchRequest(**{"collection": "facts", "query": "q"} | fields)


def by_words(rrf: ReciprocalRankFusion | None = None, **fields) -> SearchRequest:
    mode = search_pb2.RETRIEVE_MODE_LEXICAL
    return search(retrieve=RetrieveOptions(mode=mode, rrf=rrf), **fields)


def update(**fields) -> UpdateMetadataRequest:
    return UpdateMetadataRequest(**{"collection": "facts"} | fields)


def facets(*names: str, limit: int | None = None) -> GetFacetsRequest:
    wanted = [FacetRequest(field=name, limit=limit) for name in names]
    return GetFacetsRequest(collection="facts", facets=wanted)


def fields_of(**fields) -> Struct:
    struct = Struct()
    struct.update(fields)
    return struct


def upsert(*documents: Document) -> UpsertDocumentsRequest:
    return UpsertDocumentsRequest(collection="facts", documents=documents)


def create(name: str = "new", **schema) -> CreateCollectionRequest:
    return CreateCollectionRequest(name=name, schema=CollectionSchema(**schema))


def with_metadata(**values) -> Document:
    made = Document(id="a", text="t")
    made.metadata.update(values)
    return made


def must(*conditions: Condition) -> Filter:
    return Filter(must=conditions)


def must_exist(name: str) -> Condition:
    return Condition(field=FieldCondition(field=name, exists=True))


def of_field(name: str, **test) -> Filter:
    return must(Condition(field=FieldCondition(field=name, **test)))


def nested(depth: int) -> Filter:
    return must(Condition(filter=nested(depth - 1))) if depth else Filter()


BAD = [
    # the query
    (rerank(query=""), INVALID, "query: empty"),
    (rerank(query=" \n\t"), INVALID, "query: empty"),
    (rerank(query="\u200b"), INVALID, "query: it has no words"),
    (rerank(query="a\0b"), INVALID, "query: a NUL at character 1"),
    (rerank(query=MEGABYTE), INVALID, "query: 1,048,580 bytes of UTF-8 given, at most 16,384"),
    (
        rerank(query="word " * 257, query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT),
        INVALID,
        f"query: 257 tokens of {RERANKER} given, at most 256 are read; shorten it, or set "
        "query_truncation to QUERY_TRUNCATION_TRUNCATE",
    ),
    (search(query=""), INVALID, "query: empty, and there is no vector"),
    (
        search(query="word " * 254, query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT),
        INVALID,
        "query: 254 tokens of all-MiniLM-L6-v2 given, at most 253 are read",
    ),
    (search(query_truncation=9), INVALID, "query_truncation: 9 given"),
    # spans
    (search(spans=SpanOptions(unit=9)), INVALID, "spans.unit: 9 given, the values of SpanUnit"),
    (search(spans=SpanOptions(window_tokens=64)), INVALID, "spans.window_tokens: 64 given, but"),
    (search(spans=SpanOptions(unit=2, window_tokens=7)), INVALID, "spans.window_tokens: 7 given"),
    (
        rerank(spans=SpanOptions(unit=2, window_tokens=513)),
        INVALID,
        "spans.window_tokens: 513 given",
    ),
    (search(spans=SpanOptions(hits=101)), INVALID, "spans.hits: 101 given, 1 to 100 is needed"),
    (rerank(spans=SpanOptions(hits=-1)), INVALID, "spans.hits: -1 given"),
    (rerank(spans=SpanOptions(max_spans=65)), INVALID, "spans.max_spans: 65 given, 1 to 64"),
    (rerank(spans=SpanOptions(min_score=NAN)), INVALID, "spans.min_score: NaN given"),
    (rerank(spans=SpanOptions(neighbors=9)), INVALID, "spans.neighbors: 9 given, 0 to 8"),
    (
        rerank(spans=SpanOptions(highlight=HighlightOptions(pre_tag="x" * 257))),
        INVALID,
        "spans.highlight.pre_tag: 257 bytes of UTF-8 given, at most 256",
    ),
    (
        search(spans=SpanOptions(highlight=HighlightOptions(post_tag="\0"))),
        INVALID,
        "spans.highlight.post_tag: a NUL",
    ),
    (search(query="\0"), INVALID, "query: a NUL at character 0"),
    (search(query="", vector=Vector(values=[1] * 384)), INVALID, "query: empty, but the second"),
    # candidates
    (RerankRequest(query="q"), INVALID, "candidates: none given, at least 1"),
    (rerank(*["x"] * 100_000), INVALID, "candidates: 100,000 given, at most 10,000; send several"),
    (rerank("x", ""), INVALID, "candidates[1].text: empty"),
    (rerank("x", "\0"), INVALID, "candidates[1].text: a NUL at character 0"),
    (rerank(MEGABYTE), INVALID, "candidates[0].text: 1,048,580 bytes of UTF-8 given, at most 262"),
    (
        rerank("x", "long " * 600, truncation=rerank_pb2.TRUNCATION_REJECT),
        INVALID,
        "candidates[1]: longer than the 240 tokens",
    ),
    (
        rerank(candidates=[Candidate(text="x", first_pass_score=NAN)]),
        INVALID,
        "candidates[0].first_pass_score: nan given",
    ),
    (rerank(blend=0.5), INVALID, "candidates[0].first_pass_score: unset, but blend is 0.5"),
    # options
    (rerank(top_n=-1), INVALID, "top_n: -1 given, at least 0"),
    (search(top_n=-5), INVALID, "top_n: -5 given, at least 0"),
    (search(top_n=2_049), INVALID, "top_n: 2,049 given, at most 2,048"),
    (search(offset=-1), INVALID, "offset: -1 given, at least 0"),
    (search(offset=2_039), INVALID, "offset: 2,039 given, and top_n is 10; together at most"),
    (search(offset=50, retrieve=RetrieveOptions(k=50)), INVALID, "offset: 50 given, but only 50"),
    (
        search(retrieve=RetrieveOptions(words=WordClauses(required=[WordClause()]))),
        INVALID,
        "retrieve.words.required[0]: neither phrase nor prefix",
    ),
    (search(retrieve=RetrieveOptions(k=-1)), INVALID, "retrieve.k: -1 given"),
    (search(retrieve=RetrieveOptions(k=5_000)), INVALID, "retrieve.k: 5,000 given, at most 2,048"),
    (search(retrieve=RetrieveOptions(mode=7)), INVALID, "retrieve.mode: 7 given, the values of"),
    (by_words(query=" ", vector=Vector(values=[1] * 384)), INVALID, "query: empty, but LEXICAL"),
    (by_words(rrf=ReciprocalRankFusion()), INVALID, "retrieve.rrf: given, but LEXICAL retrieval"),
    (
        search(retrieve=RetrieveOptions(rrf=ReciprocalRankFusion(k=-1))),
        INVALID,
        "retrieve.rrf.k: -1 given",
    ),
    (
        search(retrieve=RetrieveOptions(convex=ConvexFusion(alpha=1.5))),
        INVALID,
        "retrieve.convex.alpha: 1.5 given, 0 to 1",
    ),
    (search(rerank=RerankOptions(depth=-1)), INVALID, "rerank.depth: -1 given"),
    (rerank(blend=1.5), INVALID, "blend: 1.5 given, 0 to 1"),
    (rerank(blend=NAN), INVALID, "blend: nan given, 0 to 1"),
    (search(rerank=RerankOptions(blend=-0.5)), INVALID, "rerank.blend: -0.5 given, 0 to 1"),
    (search(rerank=RerankOptions(min_score=NAN)), INVALID, "rerank.min_score: NaN given"),
    (search(rerank=RerankOptions(truncation=9)), INVALID, "rerank.truncation: 9 given"),
    (search(rerank=RerankOptions(instruction=" ")), INVALID, "rerank.instruction: white space"),
    (search(retrieve=RetrieveOptions(nprobe=0)), INVALID, "retrieve.nprobe: must be 1 to 65,536"),
    (rerank(min_score=NAN), INVALID, "min_score: NaN given"),
    (rerank(truncation=9), INVALID, "truncation: 9 given, the values of Truncation are"),
    (search(fallback=7), INVALID, "fallback: 7 given, the values of Fallback are"),
    (search(time_budget=Duration()), INVALID, "time_budget: 0 s given, more than 0"),
    (search(time_budget=Duration(seconds=-1)), INVALID, "time_budget: -1 s given"),
    (search(min_sequence="yesterday"), INVALID, "min_sequence: 'yesterday' is no sequence"),
    # vectors
    (search(vector=Vector(values=[1.0] * 3)), INVALID, "vector: 3 components given, the coll"),
    (search(vector=Vector()), INVALID, "vector.values: empty"),
    (search(vector=Vector(values=[1, math.inf])), INVALID, "vector.values[1]: inf given"),
    (search(vector=Vector(values=[0.0] * 384)), INVALID, "vector: "),
    (upsert(Document(id="a", text="t", vector=Vector(values=[1]))), INVALID, "documents[0].vector"),
    # documents
    (upsert(), INVALID, "documents: none given, at least 1"),
    (upsert(*[Document(id=str(i), text="t") for i in range(1_001)]), INVALID, "documents: 1,001"),
    (
        upsert(Document(id="a", text="t"), Document(id="a", text="u")),
        INVALID,
        "documents[1].id: 'a'",
    ),
    (
        UpsertDocumentsRequest(
            collection="facts",
            documents=[Document(id="a", text="t")],
            on_conflict=9,  # type: ignore[arg-type]
        ),
        INVALID,
        "on_conflict: 9 given, the values of OnConflict are",
    ),
    (EmbedRequest(texts=["a"], dimensions=385), INVALID, "dimensions: 385 given, embeddings of"),
    (EmbedRequest(texts=["a"], dimensions=-1), INVALID, "dimensions: -1 given"),
    (facets(), INVALID, "facets: none given, at least 1"),
    (facets(*map(str, range(17))), INVALID, "facets: 17 given, at most 16"),
    (facets("a", "a"), INVALID, "facets[1].field: 'a' given twice"),
    (facets("a..b"), INVALID, "facets[0].field: 'a..b' given"),
    (facets("a", limit=10_001), INVALID, "facets[0].limit: 10,001 given, 0 to 10,000"),
    (facets("a", limit=-1), INVALID, "facets[0].limit: -1 given"),
    (update(merge=fields_of(a=1)), INVALID, "ids: none given, at least 1"),
    (update(ids=["a"] * 10_001, merge=fields_of(a=1)), INVALID, "ids: 10,001 given, at most"),
    (update(ids=["a"], filter=Filter(), merge=fields_of(a=1)), INVALID, "filter: given together"),
    (update(ids=["a"]), INVALID, "change: unset; merge or replace is needed"),
    (update(ids=["a"], merge=fields_of(x=NAN)), INVALID, "merge.x: nan given"),
    (update(ids=["a"], replace=fields_of(x=MEGABYTE)), INVALID, "replace: 1,048,"),
    (update(collection="nowhere", ids=["a"], merge=fields_of(a=1)), NOT_FOUND, "collection"),
    (upsert(Document(text="t")), INVALID, "documents[0].id"),
    (upsert(Document(id="é" * 257, text="t")), INVALID, "documents[0].id"),
    (upsert(Document(id="a\n", text="t")), INVALID, "documents[0].id"),
    (upsert(Document(id="a")), INVALID, "documents[0].text"),
    (upsert(Document(id="a", text="\0")), INVALID, "documents[0].text: a NUL at character 0"),
    (upsert(Document(id="a", text=MEGABYTE)), INVALID, "documents[0].text: 1,048,580 bytes"),
    (upsert(with_metadata(x=NAN)), INVALID, "documents[0].metadata.x: nan given"),
    (upsert(with_metadata(x=[math.inf])), INVALID, "documents[0].metadata.x[0]: inf given"),
    (
        upsert(Document(id="a", text="t", metadata=fields_of(a=1), metadata_json="{}")),
        INVALID,
        "documents[0].metadata_json: given together with metadata",
    ),
    (
        upsert(Document(id="a", text="t", metadata_json=f'{{"n": {2**63}}}')),
        INVALID,
        "documents[0].metadata_json: the integer 9223372036854775808 given, at least",
    ),
    (
        update(ids=["a"], merge_json='{"n": NaN}'),
        INVALID,
        "merge_json: NaN given, but JSON's numbers are finite",
    ),
    (update(ids=["a"], replace_json="[]"), INVALID, "replace_json: a list given, an object"),
    (GetDocumentsRequest(collection="facts"), INVALID, "ids: none given"),
    (GetDocumentsRequest(collection="facts", ids=["a"] * 1_001), INVALID, "ids: 1,001 given"),
    (DeleteDocumentsRequest(collection="facts"), INVALID, "ids: none given"),
    (DeleteDocumentsRequest(collection="facts", ids=["a"] * 10_001), INVALID, "ids: 10,001 given"),
    (ListDocumentsRequest(collection="facts", page_size=-1), INVALID, "page_size: -1 given"),
    (ListDocumentsRequest(collection="facts", page_size=1_001), INVALID, "page_size: 1,001 given"),
    (ListDocumentsRequest(collection="facts", page_token="2"), INVALID, "page_token: '2'"),
    # filters
    (search(filter=must(Condition())), INVALID, "filter.must[0]: empty; field, filter or ids"),
    (
        search(filter=of_field("x")),
        INVALID,
        "filter.must[0].field: no test of 'x'; equal_to, any_of,",
    ),
    (
        search(filter=of_field("x", equal_to_literal=Literal())),
        INVALID,
        "filter.must[0].field.equal_to_literal: no value in it; integer, number, text",
    ),
    (
        search(filter=of_field("x", equal_to_literal=Literal(number=NAN))),
        INVALID,
        "filter.must[0].field.equal_to_literal.number: nan given, but metadata's numbers",
    ),
    (
        search(filter=of_field("x", any_of_literals=LiteralList())),
        INVALID,
        "filter.must[0].field.any_of_literals.values: none given, at least 1",
    ),
    (
        search(filter=of_field("x", any_of_literals=LiteralList(values=[Literal(text=MEGABYTE)]))),
        INVALID,
        "filter.must[0].field.any_of_literals.values[0].text: 1,048,580 bytes of UTF-8",
    ),
    (
        search(filter=of_field("x", interval=Interval())),
        INVALID,
        "filter.must[0].field.interval: no bound; gt, gte, lt or lte is needed",
    ),
    (
        search(
            filter=of_field("x", interval=Interval(gt=Literal(text="a"), lt=Literal(integer=1)))
        ),
        INVALID,
        "filter.must[0].field.interval: gt is a text and lt a number; an interval's bounds are",
    ),
    (
        search(filter=of_field("x", interval=Interval(gt=Literal(boolean=True)))),
        INVALID,
        "filter.must[0].field.interval.gt.boolean: given as a bound; integer, number, text or time",
    ),
    (
        search(filter=of_field("x", interval=Interval(lte=Literal(number=NAN)))),
        INVALID,
        "filter.must[0].field.interval.lte.number: NaN given",
    ),
    (
        search(filter=of_field("x", interval=Interval(lte=Literal(time=Timestamp(seconds=2**60))))),
        INVALID,
        "filter.must[0].field.interval.lte.time.seconds: 1,152,921,504,606,846,976 given",
    ),
    (
        search(filter=of_field("x", equal_to_literal=Literal(time=Timestamp(nanos=10**9)))),
        INVALID,
        "filter.must[0].field.equal_to_literal.time.nanos: 1,000,000,000 given, 0 to 999,999,999",
    ),
    (
        search(filter=must(*[must_exist(".".join("a" * 31)) for _ in range(67)])),
        INVALID,
        "filter.must[66].field.field: over 2,048 keys in the dotted names of all conditions",
    ),
    (
        search(filter=of_field('"a.b', exists=True)),
        INVALID,
        "filter.must[0].field.field: '\"a.b' given, whose part at character 0 begins with a double",
    ),
    (
        search(filter=of_field("", exists=True)),
        INVALID,
        "filter.must[0].field.field: '' given, a name of dotted, non-empty parts",
    ),
    (search(filter=of_field("a..b", exists=True)), INVALID, "filter.must[0].field.field: 'a..b'"),
    (search(filter=of_field("\0", exists=True)), INVALID, "filter.must[0].field.field: a NUL"),
    (
        search(filter=of_field("x", equal_to=Value())),
        INVALID,
        "filter.must[0].field.equal_to: no val",
    ),
    (
        search(filter=of_field("x", equal_to=Value(number_value=NAN))),
        INVALID,
        "filter.must[0].field.equal_to: nan given",
    ),
    (
        search(filter=of_field("x", equal_to=Value(list_value=ListValue()))),
        INVALID,
        "filter.must[0].field.equal_to: a list given; text, a number",
    ),
    (
        search(filter=of_field("x", any_of=ListValue())),
        INVALID,
        "filter.must[0].field.any_of: none given",
    ),
    (
        search(filter=of_field("x", any_of=ListValue(values=[Value(bool_value=True)] * 1_001))),
        INVALID,
        "filter.must[0].field.any_of: 1,001 given, at most 1,000",
    ),
    (search(filter=of_field("x", range=Range())), INVALID, "filter.must[0].field.range: no bound"),
    (search(filter=of_field("x", range=Range(gt=NAN))), INVALID, "filter.must[0].field.range.gt: "),
    (search(filter=must(Condition(ids=IdCondition()))), INVALID, "filter.must[0].ids.ids: none"),
    (search(filter=must(*[Condition()] * 257)), INVALID, "filter.must: over 256 conditions in all"),
    (
        search(filter=must(*[Condition(ids=IdCondition(ids=["a"] * 10_000))] * 3)),
        INVALID,
        "filter.must[2].ids.ids: over 20,000 values and ids in all conditions",
    ),
    (
        search(filter=must(Condition(ids=IdCondition(ids=["a", "b" * 513])))),
        INVALID,
        "filter.must[0].ids.ids[1]: 513 bytes of UTF-8 given, at most 512",
    ),
    (
        search(filter=of_field("x" * 513, exists=True)),
        INVALID,
        "filter.must[0].field.field: 513 bytes of UTF-8 given, at most 512",
    ),
    (
        search(filter=of_field("x", prefix="y" * 16_385)),
        INVALID,
        "filter.must[0].field.prefix: 16,385 bytes of UTF-8 given, at most 16,384",
    ),
    (
        search(filter=of_field("x", equal_to=Value(string_value="é" * 8_193))),
        INVALID,
        "filter.must[0].field.equal_to: 16,386 bytes of UTF-8 given, at most 16,384",
    ),
    (GetDocumentsRequest(collection="facts", ids=["a", "é" * 257]), INVALID, "ids[1]: 514 bytes"),
    (DeleteDocumentsRequest(collection="facts", ids=["b" * 513]), INVALID, "ids[0]: 513 bytes"),
    (search(filter=nested(16)), INVALID, "filter.must[0].filter.must[0].filter"),
    (
        ListDocumentsRequest(collection="facts", filter=of_field("x")),
        INVALID,
        "filter.must[0].field: no test",
    ),
    (DeleteDocumentsRequest(collection="facts", filter=Filter()), INVALID, "filter: it has no con"),
    (DeleteDocumentsRequest(collection="facts", filter=nested(2)), INVALID, "filter: it has no co"),
    (
        DeleteDocumentsRequest(collection="facts", filter=Filter(), ids=["a"]),
        INVALID,
        "filter: given together with 1 ids",
    ),
    # collections
    (
        create(indexed_fields=[IndexedField(field=".")]),
        INVALID,
        "schema.indexed_fields[0].field: '.' given",
    ),
    (
        create(indexed_fields=[IndexedField(field=f"f{i}") for i in range(65)]),
        INVALID,
        "schema.indexed_fields: 65 given, at most 64",
    ),
    (create(""), INVALID, "name: '' given; 1 to 64"),
    (create("Has Spaces"), INVALID, "name: 'Has Spaces' given"),
    (create("x" * 65), INVALID, "name: 'xxx"),
    (create("../escape"), INVALID, "name: '../escape' given"),
    (create(dimension=7), INVALID, "schema.dimension: 7 given, encoder all-MiniLM-L6-v2 makes 384"),
    (create(client_vectors=True), INVALID, "schema.dimension: unset"),
    (create(client_vectors=True, dimension=8_193), INVALID, "schema.dimension: must be 1 to 8,192"),
    (
        create(client_vectors=True, dimension=-1),
        INVALID,
        "schema.dimension: must be 1 to 8,192, -1",
    ),
    (create(metric=9), INVALID, "schema.metric: 9 given"),
    (create(index_kind="PQ8"), INVALID, "schema.index_kind: 'PQ8' is not supported; supported:"),
    (create(index_kind="IVF1,Flat"), INVALID, "schema.index_kind: 'IVF1,Flat': IVF needs 2 to"),
    (
        create(chunking=Chunking(window_tokens=255)),
        INVALID,
        "schema.chunking.window_tokens: 255 given, encoder all-MiniLM-L6-v2 reads at most 254",
    ),
    (
        create(chunking=Chunking(window_tokens=8)),
        INVALID,
        "schema.chunking.window_tokens: must be at least 16, 8 given",
    ),
    (CreateSnapshotRequest(collection="facts", name="../x"), INVALID, "name: '../x' given; 1 to"),
    (
        RestoreSnapshotRequest(collection="facts", name="x", new_collection="../x"),
        INVALID,
        "new_collection: '../x' given",
    ),
    (
        DeleteSnapshotRequest(collection="..", name="collections"),
        NOT_FOUND,
        "collection '..' has no snapshot 'collections'",
    ),
    (CreateSnapshotRequest(collection="nowhere"), NOT_FOUND, "collection 'nowhere' does not"),
    (UpdateAliasesRequest(changes=[AliasChange()] * 1_001), INVALID, "changes: 1,001 given, at"),
    (create(encoder="nope"), NOT_FOUND, "schema.encoder: no encoder 'nope', there are all"),
    # texts to embed
    (EmbedRequest(), INVALID, "texts: none given"),
    (EmbedRequest(texts=["a", " "]), INVALID, "texts[1]: empty"),
    (EmbedRequest(texts=["a"] * 1_001), INVALID, "texts: 1,001 given, at most 1,000"),
    (EmbedRequest(texts=[MEGABYTE]), INVALID, "texts[0]: 1,048,580 bytes"),
    (EmbedRequest(texts=["a"], role=5), INVALID, "role: 5 given"),
    (
        EmbedRequest(
            texts=["a", "word " * 300],
            role=embed_pb2.EMBED_ROLE_QUERY,
            query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT,
        ),
        INVALID,
        "texts[1]: 300 tokens of all-MiniLM-L6-v2 given, at most 253 are read",
    ),
    (
        EmbedRequest(texts=["a"], query_truncation=rerank_pb2.QUERY_TRUNCATION_REJECT),
        INVALID,
        "query_truncation: REJECT given, but the texts are passages",
    ),
    # what is not there
    (search(collection="nowhere"), NOT_FOUND, "collection 'nowhere' does not exist"),
    (search(collection=""), NOT_FOUND, "collection '' does not exist"),
    (search(collection="x" * 100_000), NOT_FOUND, "collection 'xxx"),
    (ListDocumentsRequest(collection="nowhere"), NOT_FOUND, "collection 'nowhere'"),
    (collection_pb2.GetCollectionRequest(name="nowhere"), NOT_FOUND, "collection 'nowhere'"),
    (collection_pb2.DeleteCollectionRequest(name=".."), NOT_FOUND, "collection '..'"),
    (
        GetDocumentsRequest(collection="facts", ids=["x"]),
        NOT_FOUND,
        "collection 'facts' has no doc",
    ),
    (rerank(model="nope"), NOT_FOUND, f"model: no reranker 'nope', there are {RERANKER}"),
    (
        search(rerank=RerankOptions(model="all-MiniLM-L6-v2")),
        NOT_FOUND,
        "rerank.model: no reranker",
    ),
    (EmbedRequest(texts=["a"], model="nope"), NOT_FOUND, "model: no encoder 'nope'"),
    (GetModelRequest(id="nope"), NOT_FOUND, "id: no model 'nope'"),
    (GetModelRequest(), INVALID, "id: empty; ListModels has the ids"),
]
