// Calls every unary rpc with Connect's own client for Node, in JSON and in bytes, by POST and GET.
import assert from "node:assert/strict";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-node";
import { CollectionService } from "./gen/twopass/v1/collection_pb.js";
import { EmbedService } from "./gen/twopass/v1/embed_pb.js";
import { FeedbackKind, FeedbackService } from "./gen/twopass/v1/feedback_pb.js";
import { ModelService } from "./gen/twopass/v1/model_pb.js";
import { ReportService } from "./gen/twopass/v1/report_pb.js";
import { RerankService } from "./gen/twopass/v1/rerank_pb.js";
import { SearchService } from "./gen/twopass/v1/search_pb.js";
import { ServerService } from "./gen/twopass/v1/server_pb.js";

const SERVICES = [SearchService, RerankService, EmbedService, CollectionService, FeedbackService, ModelService, ReportService, ServerService];
const [url] = process.argv.slice(2);

async function failure(call) {
  try {
    await call;
  } catch (error) {
    assert.ok(error instanceof ConnectError, String(error));
    return error;
  }
  assert.fail("the call did not fail");
}

// Clients of all services, which note what was called.
function clients(transport) {
  const called = new Set();
  const noting = (service) =>
    new Proxy(createClient(service, transport), {
      get(client, name) {
        called.add(`${service.typeName}.${String(name)}`);
        return client[name];
      },
    });
  return { called, all: SERVICES.map(noting) };
}

async function callEveryRpc(options, name) {
  const { called, all } = clients(createConnectTransport({ baseUrl: url, httpVersion: "1.1", ...options }));
  const [searching, reranking, embedding, collections, feedback, models, reports, server] = all;

  assert.equal((await collections.createCollection({ name })).collection.name, name);
  const documents = [
    { id: "a", text: "The sky is blue.", metadata: { n: 1, big: 2 ** 60 } },
    { id: "b", text: "Cats purr." },
  ];
  assert.equal((await collections.upsertDocuments({ collection: name, documents })).numInserted, 2);
  assert.equal((await collections.getCollection({ name })).collection.numDocuments, 2n);
  assert.ok((await collections.listCollections({})).collections.some((each) => each.name === name));

  const found = await searching.search({ collection: name, query: "what colour is the sky?", timeBudget: { seconds: 5n } });
  assert.equal(found.hits[0].id, "a");
  assert.deepEqual(found.hits[0].metadata, { n: 1, big: 2 ** 60 });
  const searches = [{ collection: name, query: "cats" }, { collection: "none", query: "cats" }];
  const { results } = await searching.batchSearch({ searches });
  assert.equal(results[0].outcome.value.hits[0].id, "b");
  assert.equal(results[1].outcome.value.code, Code.NotFound);

  const judged = { searchId: found.searchId, documentId: "a", kind: FeedbackKind.JUDGEMENT, grade: 2 };
  assert.equal((await feedback.recordFeedback({ collection: name, events: [judged] })).numRecorded, 1);
  assert.equal((await feedback.exportFeedback({ collection: name })).feedback[0].grade, 2);
  assert.equal((await feedback.deleteFeedback({ collection: name, all: true })).numDeleted, 1n);
  assert.deepEqual((await feedback.listShadows({})).shadows, []);

  assert.equal((await reports.getReport({ collection: name })).report.numSearches, 2n);
  assert.ok((await reports.listReports({})).reports.some((each) => each.collection === name));

  const read = await collections.getDocuments({ collection: name, ids: ["b", "c"], allowMissing: true, fields: { vector: true } });
  assert.equal(read.documents[0].vector.values.length, 384);
  assert.deepEqual(read.missingIds, ["c"]);
  assert.equal((await collections.listDocuments({ collection: name })).documents.length, 2);
  const literal = { literal: { case: "integer", value: 1n } };
  const test = { case: "equalToLiteral", value: literal };
  const filter = { must: [{ condition: { case: "field", value: { field: "n", test } } }] };
  assert.equal((await collections.countDocuments({ collection: name, filter })).numDocuments, 1n);
  const { facets } = await collections.getFacets({ collection: name, facets: [{ field: "n" }] });
  assert.equal(facets[0].values[0].value.literal.value, 1n);
  const change = { case: "merge", value: { n: 2 } };
  assert.equal((await collections.updateMetadata({ collection: name, ids: ["a"], change })).numUpdated, 1n);

  const set = await collections.setSearchDefaults({ collection: name, searchDefaults: { k: 20 } });
  assert.equal(set.collection.searchDefaults.k, 20);

  assert.equal((await collections.createSnapshot({ collection: name, name: "one" })).snapshot.name, "one");
  assert.equal((await collections.listSnapshots({ collection: name })).snapshots.length, 1);
  const copy = `${name}-copy`;
  const restored = await collections.restoreSnapshot({ collection: name, name: "one", newCollection: copy });
  assert.equal(restored.collection.name, copy);
  const { aliases } = await collections.updateAliases({ changes: [{ alias: `${name}-alias`, collection: copy }] });
  assert.ok(aliases.some((each) => each.collection === copy));
  await collections.updateAliases({ changes: [{ alias: `${name}-alias` }] });
  const renamed = await collections.renameCollection({ name: copy, newName: `${copy}-1`, keepAlias: true });
  assert.deepEqual([renamed.collection.name, renamed.collection.aliases], [`${copy}-1`, [copy]]);
  assert.equal((await collections.renameCollection({ name: `${copy}-1`, newName: copy })).collection.name, copy);
  await collections.deleteSnapshot({ collection: name, name: "one" });
  assert.equal((await collections.deleteDocuments({ collection: name, ids: ["b"] })).numDeleted, 1n);
  await collections.deleteCollection({ name });
  await collections.deleteCollection({ name: copy });

  const ranked = await reranking.rerank({ query: "sky?", candidates: [{ text: "cats" }, { text: "the sky" }] });
  assert.equal(ranked.hits[0].index, 1);
  assert.equal((await embedding.embed({ texts: ["a"] })).embeddings[0].vector.values.length, 384);
  const [model] = (await models.listModels({})).models;
  assert.equal((await models.getModel({ id: model.id })).model.id, model.id);
  assert.ok((await server.getServerInfo({})).server.startTime);

  const unknown = await failure(searching.search({ collection: "none", query: "a" }));
  assert.equal(unknown.code, Code.NotFound);
  assert.ok(unknown.details.length);
  const late = await failure(reranking.rerank({ query: "a", candidates: Array(2000).fill({ text: "long ".repeat(200) }) }, { timeoutMs: 5 }));
  assert.ok([Code.DeadlineExceeded, Code.ResourceExhausted].includes(late.code), String(late));
  const pieces = (async function* () {
    yield { setId: "a" };
  })();
  const stream = await failure((async () => {
    for await (const answer of reranking.rerankStream(pieces)) assert.fail(String(answer));
  })());
  assert.equal(stream.code, Code.Unimplemented);
  assert.match(stream.rawMessage, /gRPC/);
  return called;
}

const unary = SERVICES.flatMap((service) =>
  service.methods.filter((method) => method.methodKind === "unary").map((method) => `${service.typeName}.${method.localName}`),
);
let count = 0;
for (const useBinaryFormat of [false, true]) {
  for (const useHttpGet of [false, true]) {
    const called = await callEveryRpc({ useBinaryFormat, useHttpGet }, `connect-node-${++count}`);
    assert.deepEqual(unary.filter((name) => !called.has(name)), []);
    console.log(`connect-node: ${unary.length} rpcs, ${useBinaryFormat ? "bytes" : "JSON"}, ${useHttpGet ? "GET where it may be" : "POST"}`);
  }
}
