import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";

import { grpcClient } from "../src/grpc.js";
import { Code, field, allOf, noneOf, TwopassClient, TwopassError, v1, valueOf } from "../src/index.js";

const { TWOPASS_TARGET, TWOPASS_URL, TWOPASS_API_KEY } = process.env;
assert.ok(TWOPASS_TARGET && TWOPASS_URL && TWOPASS_API_KEY, "run by `make test-typescript`, which starts a server");
const apiKey = TWOPASS_API_KEY;

const FACTS = {
  canberra: "Canberra is the capital city of Australia.",
  sky: "The sky is blue because the air scatters short wavelengths most.",
  bread: "Bread rises because yeast makes carbon dioxide out of sugar.",
  tides: "The tides follow the moon, which pulls at the oceans.",
};
const DOCUMENTS = Object.entries(FACTS).map(([id, text], place) => ({
  id,
  text,
  metadata: { place, even: place % 2 === 0, when: "2024-01-31T12:00:00Z", tags: ["fact", id] },
}));

const CLIENTS = {
  "over HTTP": () => new TwopassClient(TWOPASS_URL, { apiKey }),
  "over gRPC": () => grpcClient(`http://${TWOPASS_TARGET}`, { apiKey }),
};

async function failure(call: Promise<unknown>): Promise<TwopassError> {
  try {
    await call;
  } catch (thrown) {
    assert.ok(thrown instanceof TwopassError, String(thrown));
    return thrown;
  }
  assert.fail("the call did not fail");
}

async function all<T>(items: AsyncIterable<T>): Promise<T[]> {
  const found: T[] = [];
  for await (const item of items) found.push(item);
  return found;
}

for (const [wire, connected] of Object.entries(CLIENTS)) {
  describe(wire, () => {
    const client = connected();
    const name = `facts-${wire.slice(-4).toLowerCase()}`;

    before(async () => {
      await client.createCollection(name);
      const told: number[] = [];
      const summary = await client.upsert(name, DOCUMENTS, { onProgress: (so) => told.push(so.numDocuments) });
      assert.deepEqual([summary.numDocuments, summary.numInserted], [4, 4]);
      assert.deepEqual(told, [4]);
    });

    after(async () => {
      await client.deleteCollection(name);
    });

    test("a search finds the document that answers it", async () => {
      const found = await client.search(name, "What is the capital of Australia?", { topN: 2, timeBudgetMs: 20_000 });
      assert.equal(found.rerankStatus, v1.RerankStatus.COMPLETE);
      assert.equal(found.hits.length, 2);
      assert.equal(found.hits[0]?.id, "canberra");
      assert.deepEqual(found.hits[0]?.metadata?.["tags"], ["fact", "canberra"]);
    });

    test("a filter chooses documents by their metadata", async () => {
      const count = (filter: v1.Condition) => client.count(name, filter);
      assert.equal(await client.count(name), 4);
      assert.equal(await count(field("place").within({ gte: 2 })), 2);
      assert.equal(await count(field("place").equals(3n)), 1);
      assert.equal(await count(field("tags").anyOf(["sky", "bread"])), 2);
      assert.equal(await count(allOf(field("even").equals(true), noneOf(field("tags").equals("bread")))), 1);
      assert.equal(await count(field("when").within({ lt: new Date("2024-02-01") })), 4);
      assert.equal(await count(field("nothing").isMissing()), 4);
      const found = await client.search(name, "moon", { filter: field("place").equals(0) });
      assert.deepEqual(found.hits.map((hit) => hit.id), ["canberra"]);
    });

    test("passages are ordered by how well they answer", async () => {
      const passages = ["a stone", { text: "an apple, ripe fruit", id: "apple" }];
      const ranked = await client.rerank("fruit", passages, { returnText: true });
      assert.deepEqual(ranked.hits.map(({ index, id }) => [index, id]), [[1, "apple"], [0, ""]]);
    });

    test("texts are embedded in their order, to length 1", async () => {
      const vectors = await client.embed(["one", "two"], { role: "query", dimensions: 32 });
      assert.deepEqual(vectors.map((vector) => vector.length), [32, 32]);
      for (const vector of vectors) assert.ok(Math.abs(Math.hypot(...vector) - 1) < 1e-5);
    });

    test("documents are listed page by page, read, changed and deleted", async () => {
      const listed = await all(client.listDocuments(name, { pageSize: 3 }));
      assert.deepEqual(listed.map((document) => document.id).sort(), Object.keys(FACTS).sort());
      await client.upsert(name, [{ id: "new", text: "something new" }]);
      assert.equal((await client.mergeMetadata(name, ["new"], { seen: true })).numUpdated, 1n);
      const [read] = await client.documents(name, ["new"]);
      assert.deepEqual(read?.metadata, { seen: true });
      assert.equal((await client.delete(name, field("seen").equals(true))).numDeleted, 1n);
      const error = await failure(client.documents(name, ["new"]));
      assert.deepEqual([error.code, error.reason], [Code.NotFound, "DOCUMENT_NOT_FOUND"]);
      assert.deepEqual(error.metadata, { collection: name, document: "new" });
    });

    test("facets have values and bounds", async () => {
      const [facet] = await client.facets(name, ["place"], { limit: 1 });
      assert.equal(facet?.numValues, 4n);
      assert.equal(valueOf(facet!.numbers!.greatest!), 3n);
    });

    test("collections, aliases, models and the server tell about themselves", async () => {
      const names = (await all(client.collections())).map((collection) => collection.name);
      assert.ok(names.includes(name));
      await client.updateAliases({ [`${name}-alias`]: name });
      assert.equal((await client.collection(`${name}-alias`)).name, name);
      await client.updateAliases({ [`${name}-alias`]: null });
      const renamed = await client.renameCollection(name, `${name}-1`, { keepAlias: true });
      assert.deepEqual([renamed.name, renamed.aliases], [`${name}-1`, [name]]);
      assert.equal((await client.renameCollection(`${name}-1`, name)).name, name);
      assert.ok((await client.models()).length >= 2);
      assert.ok((await client.serverInfo()).limits);
      const told = await client.search(name, "feedback", { topN: 1, queryId: "q" });
      const [shown] = told.hits;
      const sent = [{ searchId: told.searchId, documentId: shown!.id }, { queryId: "q", documentId: "other", grade: 2 }];
      assert.equal((await client.recordFeedback(name, sent)).numRecorded, 2);
      const kept = [];
      for await (const each of client.feedback(name)) kept.push([each.queryId, each.grade]);
      assert.deepEqual(kept.sort(), [["q", 1], ["q", 2]]);
      assert.equal(await client.deleteFeedback(name, ["q"]), 2);
      assert.deepEqual(await client.shadows(), []);
      assert.ok((await client.report(name, { windowMs: 60_000 })).numSearches > 0n);
    });

    test("an error names its field, the limit and the value", async () => {
      const error = await failure(client.search(name, "x", { topN: -1 }));
      assert.deepEqual([error.code, error.reason], [Code.InvalidArgument, "INVALID_FIELD"]);
      assert.deepEqual([error.field, error.limit, error.value], ["top_n", 0, -1]);
      assert.match(error.message, /^top_n: -1 given/);
      const unknown = await failure(client.collection("nowhere"));
      assert.deepEqual([unknown.reason, unknown.metadata["collection"]], ["COLLECTION_NOT_FOUND", "nowhere"]);
    });

    test("a call ends when its signal says so, or its time is over", async () => {
      const aborted = await failure(client.search(name, "x", { signal: AbortSignal.abort() }));
      assert.equal(aborted.code, Code.Canceled);
      const late = await failure(client.rerank("x", Array(400).fill("word ".repeat(200)), { timeoutMs: 5 }));
      assert.ok([Code.DeadlineExceeded, Code.ResourceExhausted].includes(late.code), late.message);
    });
  });
}

test("sets of a stream are answered one by one, and a bad one harms no other", async () => {
  const client = grpcClient(`http://${TWOPASS_TARGET}`, { apiKey });
  const sets = [
    { setId: "a", query: "fruit", passages: ["a stone", "an apple"] },
    { setId: "b", query: "", passages: ["x"] },
  ];
  const answers = new Map((await all(client.rerankStream(sets))).map((answer) => [answer.setId, answer]));
  assert.deepEqual(answers.get("a")?.result?.hits.map((hit) => hit.index), [1, 0]);
  assert.equal(answers.get("b")?.error?.field, "set.query");
});

test("a stream over HTTP says where streams are served", async () => {
  const client = new TwopassClient(TWOPASS_URL, { apiKey });
  const error = await failure(all(client.rerankStream([{ setId: "a", query: "q", passages: ["x"] }])));
  assert.equal(error.code, Code.Unimplemented);
  assert.match(error.message, /grpcClient of "twopass-client\/grpc"/);
});

test("a wrong key is refused", async () => {
  const error = await failure(new TwopassClient(TWOPASS_URL, { apiKey: "wrong" }).models());
  assert.deepEqual([error.code, error.reason], [Code.Unauthenticated, "UNAUTHENTICATED"]);
});
