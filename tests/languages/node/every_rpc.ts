/** Calls every rpc by stubs that protoc-gen-es generated, over gRPC or over Connect, and prints what became of each. */
import { strict as assert } from "node:assert";

import { create, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient, type Interceptor } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";

import { Health, HealthCheckResponse_ServingStatus as Serving } from "./gen/grpc/health/v1/health_pb.js";
import * as reflection from "./gen/grpc/reflection/v1/reflection_pb.js";
import * as reflectionAlpha from "./gen/grpc/reflection/v1alpha/reflection_pb.js";
import { CollectionService, FieldType } from "./gen/twopass/v1/collection_pb.js";
import { EmbedRole, EmbedService } from "./gen/twopass/v1/embed_pb.js";
import { FeedbackKind, FeedbackService } from "./gen/twopass/v1/feedback_pb.js";
import { ModelService } from "./gen/twopass/v1/model_pb.js";
import { RerankService, RerankStreamRequestSchema } from "./gen/twopass/v1/rerank_pb.js";
import { RerankStatus, SearchService } from "./gen/twopass/v1/search_pb.js";
import { ReportService } from "./gen/twopass/v1/report_pb.js";
import { ServerService } from "./gen/twopass/v1/server_pb.js";
import { ErrorInfoSchema } from "./gen/twopass/v1/status_pb.js";

const [wire, name = "rpcs"] = process.argv.slice(2);
const { TWOPASS_TARGET, TWOPASS_URL, TWOPASS_API_KEY } = process.env;

const keyed: Interceptor = (next) => (request) => {
  request.header.set("authorization", `Bearer ${TWOPASS_API_KEY}`);
  return next(request);
};
const transport =
  wire === "grpc"
    ? createGrpcTransport({ baseUrl: `http://${TWOPASS_TARGET}`, interceptors: [keyed] })
    : createConnectTransport({ baseUrl: TWOPASS_URL!, httpVersion: "1.1", interceptors: [keyed] });

const collections = createClient(CollectionService, transport);
const search = createClient(SearchService, transport);
const rerank = createClient(RerankService, transport);
const embed = createClient(EmbedService, transport);
const feedback = createClient(FeedbackService, transport);
const models = createClient(ModelService, transport);
const reports = createClient(ReportService, transport);
const server = createClient(ServerService, transport);
const health = createClient(Health, transport);

/** Prints one rpc's name and what became of it. */
async function rpc(called: string, call: () => Promise<void>): Promise<void> {
  try {
    await call();
    console.log(`${called}\tworks`);
  } catch (error) {
    const unserved = wire !== "grpc" && ConnectError.from(error).code === Code.Unimplemented;
    console.log(`${called}\t${unserved ? "not served" : `fails: ${String(error).split("\n")[0]}`}`);
  }
}

async function* each<T>(...items: T[]): AsyncGenerator<T> {
  yield* items;
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

const documents = [
  { id: "canberra", text: "Canberra is the capital city of Australia.", metadata: { year: 1913, tags: ["city"] } },
  { id: "bread", text: "Bread rises because yeast makes carbon dioxide.", metadata: { year: 1857, tags: ["food"] } },
];
const more = [{ id: "tides", text: "The tides follow the moon.", metadata: { year: 1687 } }];
const query = "What is the capital of Australia?";
const of = "twopass.v1.CollectionService";

await rpc(`${of}.CreateCollection`, async () => {
  const schema = { indexedFields: [{ field: "year", type: FieldType.NUMBER }] };
  assert.equal((await collections.createCollection({ name, schema })).collection?.name, name);
});
await rpc(`${of}.UpsertDocuments`, async () => {
  assert.equal((await collections.upsertDocuments({ collection: name, documents })).numInserted, 2);
});
await rpc(`${of}.UpsertDocumentsStream`, async () => {
  const chunks = each({ collection: name, documents: more }, { documents });
  const told = await all(collections.upsertDocumentsStream(chunks));
  assert.deepEqual(told.map((progress) => progress.numDocuments), [1n, 3n]);
});
if (wire !== "grpc") await collections.upsertDocuments({ collection: name, documents: more });
await rpc(`${of}.GetCollection`, async () => {
  assert.equal((await collections.getCollection({ name })).collection?.numDocuments, 3n);
});
await rpc(`${of}.ListCollections`, async () => {
  const { collections: listed } = await collections.listCollections({});
  assert.ok(listed.some((collection) => collection.name === name));
});
await rpc(`${of}.GetDocuments`, async () => {
  const found = await collections.getDocuments({ collection: name, ids: ["bread"] });
  assert.deepEqual(found.documents[0]?.metadata, documents[1]!.metadata);
});
await rpc(`${of}.ListDocuments`, async () => {
  const page = await collections.listDocuments({ collection: name, pageSize: 2 });
  const rest = await collections.listDocuments({ collection: name, pageToken: page.nextPageToken });
  assert.equal(page.documents.length + rest.documents.length, 3);
});
await rpc(`${of}.CountDocuments`, async () => {
  const values = ["city", "food"].map((text) => ({ literal: { case: "text" as const, value: text } }));
  const test = { case: "anyOfLiterals" as const, value: { values } };
  const filter = { must: [{ condition: { case: "field" as const, value: { field: "tags", test } } }] };
  assert.equal((await collections.countDocuments({ collection: name, filter })).numDocuments, 2n);
});
await rpc(`${of}.GetFacets`, async () => {
  const { facets } = await collections.getFacets({ collection: name, facets: [{ field: "year" }] });
  assert.equal(facets[0]?.numValues, 3n);
});
await rpc(`${of}.UpdateMetadata`, async () => {
  const change = { case: "merge" as const, value: { seen: true } };
  assert.equal((await collections.updateMetadata({ collection: name, ids: ["tides"], change })).numUpdated, 1n);
});
await rpc(`${of}.UpdateAliases`, async () => {
  const changes = [{ alias: `${name}-alias`, collection: name }];
  assert.equal((await collections.updateAliases({ changes })).aliases.length, 1);
  await collections.updateAliases({ changes: [{ alias: `${name}-alias` }] });
});
await rpc(`${of}.CreateSnapshot`, async () => {
  assert.equal((await collections.createSnapshot({ collection: name, name: "one" })).snapshot?.numDocuments, 3n);
});
await rpc(`${of}.ListSnapshots`, async () => {
  assert.equal((await collections.listSnapshots({ collection: name })).snapshots.length, 1);
});
await rpc(`${of}.RestoreSnapshot`, async () => {
  const asked = { collection: name, name: "one", newCollection: `${name}-copy` };
  assert.equal((await collections.restoreSnapshot(asked)).collection?.numDocuments, 3n);
});
await rpc(`${of}.RenameCollection`, async () => {
  const [copy, renamed] = [`${name}-copy`, `${name}-renamed`];
  const asked = { name: copy, newName: renamed, keepAlias: true };
  assert.deepEqual((await collections.renameCollection(asked)).collection?.aliases, [copy]);
  assert.equal((await collections.renameCollection({ name: renamed, newName: copy })).collection?.name, copy);
});
await rpc(`${of}.SetSearchDefaults`, async () => {
  const set = await collections.setSearchDefaults({ collection: name, searchDefaults: { k: 30 } });
  assert.equal(set.collection?.searchDefaults?.k, 30);
  assert.equal((await collections.setSearchDefaults({ collection: name })).collection?.searchDefaults, undefined);
});
await rpc(`${of}.DeleteSnapshot`, async () => {
  await collections.deleteSnapshot({ collection: name, name: "one" });
});

await rpc("twopass.v1.SearchService.Search", async () => {
  const found = await search.search({ collection: name, query, topN: 1, timeBudget: { seconds: 20n } });
  assert.deepEqual([found.hits[0]?.id, found.rerankStatus], ["canberra", RerankStatus.COMPLETE]);
});
await rpc("twopass.v1.SearchService.BatchSearch", async () => {
  const searches = [{ collection: name, query }, { collection: name, query, topN: -1 }];
  const [good, bad] = (await search.batchSearch({ searches })).results;
  assert.equal(good?.outcome.case === "response" && good.outcome.value.hits[0]?.id, "canberra");
  assert.equal(bad?.outcome.case === "error" && bad.outcome.value.code, Code.InvalidArgument);
});
await rpc("twopass.v1.RerankService.Rerank", async () => {
  const candidates = [{ text: "a stone" }, { text: "an apple, ripe fruit" }];
  const { hits } = await rerank.rerank({ query: "fruit", candidates });
  assert.deepEqual(hits.map((hit) => hit.index), [1, 0]);
});
await rpc("twopass.v1.RerankService.RerankStream", async () => {
  const pieces = each<MessageInitShape<typeof RerankStreamRequestSchema>>(
    { setId: "a", set: { query: "fruit", numCandidates: 2 }, candidates: [{ text: "a stone" }] },
    { setId: "b", set: { query: "", numCandidates: 1 } },
    { setId: "a", candidates: [{ text: "an apple" }] },
  );
  const answers = new Map((await all(rerank.rerankStream(pieces))).map((one) => [one.setId, one.outcome]));
  const [good, bad] = [answers.get("a"), answers.get("b")];
  assert.deepEqual(good?.case === "result" && good.value.hits.map((hit) => hit.index), [1, 0]);
  assert.equal(bad?.case === "error" && bad.value.code, Code.InvalidArgument);
});
await rpc("twopass.v1.EmbedService.Embed", async () => {
  const { embeddings } = await embed.embed({ texts: ["one", "two"], role: EmbedRole.QUERY, dimensions: 32 });
  assert.deepEqual(embeddings.map(({ vector }) => vector?.values.length), [32, 32]);
});
await rpc("twopass.v1.ModelService.ListModels", async () => {
  assert.ok((await models.listModels({})).models.length >= 2);
});
await rpc("twopass.v1.ModelService.GetModel", async () => {
  const [first] = (await models.listModels({})).models;
  assert.equal((await models.getModel({ id: first!.id })).model?.sha256, first?.sha256);
});
await rpc("twopass.v1.FeedbackService.RecordFeedback", async () => {
  const events = [{ queryId: "q", documentId: "bread", kind: FeedbackKind.JUDGEMENT, grade: 2 }];
  assert.equal((await feedback.recordFeedback({ collection: name, events })).numRecorded, 1);
});
await rpc("twopass.v1.FeedbackService.ExportFeedback", async () => {
  assert.equal((await feedback.exportFeedback({ collection: name })).feedback[0]?.grade, 2);
});
await rpc("twopass.v1.FeedbackService.DeleteFeedback", async () => {
  assert.equal((await feedback.deleteFeedback({ collection: name, queryIds: ["q"] })).numDeleted, 1n);
});
await rpc("twopass.v1.FeedbackService.ListShadows", async () => {
  assert.deepEqual((await feedback.listShadows({})).shadows, []);
});
await rpc("twopass.v1.ReportService.GetReport", async () => {
  assert.ok((await reports.getReport({ collection: name })).report!.numSearches > 0n);
});
await rpc("twopass.v1.ReportService.ListReports", async () => {
  assert.ok((await reports.listReports({})).reports.some((each) => each.collection === name));
});
await rpc("twopass.v1.ServerService.GetServerInfo", async () => {
  assert.ok((await server.getServerInfo({})).server?.limits);
});

await rpc(`${of}.DeleteDocuments`, async () => {
  assert.equal((await collections.deleteDocuments({ collection: name, ids: ["bread"] })).numDeleted, 1n);
});
await rpc(`${of}.DeleteCollection`, async () => {
  await collections.deleteCollection({ name });
  await collections.deleteCollection({ name: `${name}-copy` });
});
await rpc("an error's details", async () => {
  const error = await search.search({ collection: name, query }).then(() => assert.fail("found"), ConnectError.from);
  const detail = error.details.find((one) => "type" in one && one.type === "google.rpc.ErrorInfo");
  assert.ok(detail && "type" in detail);
  const info = fromBinary(ErrorInfoSchema, detail.value);
  assert.deepEqual([info.reason, info.metadata], ["COLLECTION_NOT_FOUND", { collection: name }]);
});

const service = "twopass.v1.SearchService";
await rpc("grpc.health.v1.Health.Check", async () => {
  assert.equal((await health.check({ service })).status, Serving.SERVING);
});
await rpc("grpc.health.v1.Health.List", async () => {
  assert.equal((await health.list({})).statuses[service]?.status, Serving.SERVING);
});
await rpc("grpc.health.v1.Health.Watch", async () => {
  const ending = new AbortController();
  for await (const { status } of health.watch({ service }, { signal: ending.signal })) {
    assert.equal(status, Serving.SERVING);
    ending.abort();
    break;
  }
});
for (const [version, { ServerReflection, ServerReflectionRequestSchema }] of Object.entries({
  v1: reflection,
  v1alpha: reflectionAlpha,
})) {
  await rpc(`grpc.reflection.${version}.ServerReflection.ServerReflectionInfo`, async () => {
    const asking = createClient(ServerReflection, transport);
    const request = create(ServerReflectionRequestSchema, {
      messageRequest: { case: "fileContainingSymbol", value: service },
    });
    const [answer] = await all(asking.serverReflectionInfo(each(request)));
    assert.equal(answer?.messageResponse.case, "fileDescriptorResponse");
    const [file] = answer.messageResponse.value.fileDescriptorProto;
    assert.equal(fromBinary(FileDescriptorProtoSchema, file!).package, "twopass.v1");
  });
}
