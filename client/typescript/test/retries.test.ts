import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { afterEach, test } from "node:test";

import { create, toBinary } from "@bufbuild/protobuf";

import { Code, TwopassClient, TwopassError, v1 } from "../src/index.js";

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

/** A server that fails so many times, then answers with an empty message; and when it was asked. */
async function failing(times: number, code: string, retryMs?: number): Promise<{ url: string; asked: number[] }> {
  const asked: number[] = [];
  const delay = create(v1.RetryInfoSchema, { retryDelay: { nanos: (retryMs ?? 0) * 1_000_000 } });
  const value = Buffer.from(toBinary(v1.RetryInfoSchema, delay)).toString("base64");
  const details = retryMs === undefined ? [] : [{ type: "google.rpc.RetryInfo", value }];
  server = createServer((request, response) => {
    request.resume();
    asked.push(performance.now());
    if (asked.length > times) {
      response.writeHead(200, { "content-type": "application/proto" }).end();
    } else {
      response.writeHead(503, { "content-type": "application/json" });
      response.end(JSON.stringify({ code, message: "not now", details }));
    }
  });
  await new Promise<void>((resolve) => server!.listen(0, "127.0.0.1", resolve));
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, asked };
}

async function codeOf(call: Promise<unknown>): Promise<Code> {
  const error = await call.then(() => assert.fail("the call did not fail"), TwopassError.from);
  return error.code;
}

test("a refused call is made again as late as the server asks", async () => {
  const { url, asked } = await failing(2, "resource_exhausted", 60);
  await new TwopassClient(url).createCollection("docs");
  assert.equal(asked.length, 3);
  // A timer of Node may fire a millisecond early.
  for (const [i, when] of asked.slice(1).entries()) assert.ok(when - asked[i]! >= 58);
});

test("what has no room without a time is not asked for again", async () => {
  const { url, asked } = await failing(1, "resource_exhausted");
  assert.equal(await codeOf(new TwopassClient(url).search("docs", "q")), Code.ResourceExhausted);
  assert.equal(asked.length, 1);
});

test("a longer wait than wanted is the caller's to decide", async () => {
  const { url, asked } = await failing(1, "unavailable", 900);
  const client = new TwopassClient(url, { retry: { maxDelayMs: 500 } });
  const error = await client.search("docs", "q").then(() => assert.fail(), TwopassError.from);
  assert.deepEqual([error.retryAfterMs, asked.length], [900, 1]);
});

test("of what may have taken effect only harmless calls are made again", async () => {
  const searches = await failing(1, "unavailable", 1);
  await new TwopassClient(searches.url).search("docs", "q");
  assert.equal(searches.asked.length, 2);
  server!.close();
  const creations = await failing(1, "unavailable", 1);
  assert.equal(await codeOf(new TwopassClient(creations.url).createCollection("docs")), Code.Unavailable);
  server!.close();
  const fresh = await failing(1, "unavailable", 1);
  const onConflict = v1.OnConflict.FAIL;
  const upserting = new TwopassClient(fresh.url).upsert("docs", [{ id: "a", text: "a" }], { onConflict });
  assert.equal(await codeOf(upserting), Code.Unavailable);
  assert.deepEqual([creations.asked.length, fresh.asked.length], [1, 1]);
});

test("four tries are made in all, or as many as are asked for, or none", async () => {
  const { url, asked } = await failing(100, "unavailable", 1);
  assert.equal(await codeOf(new TwopassClient(url).models()), Code.Unavailable);
  assert.equal(asked.length, 4);
  await codeOf(new TwopassClient(url, { retry: { attempts: 2 } }).models());
  assert.equal(asked.length, 6);
  await codeOf(new TwopassClient(url, { retry: false }).models());
  assert.equal(asked.length, 7);
});

test("no try comes after the time of the call", async () => {
  const { url, asked } = await failing(100, "unavailable", 400);
  const client = new TwopassClient(url, { timeoutMs: 100 });
  assert.ok([Code.DeadlineExceeded, Code.Canceled].includes(await codeOf(client.models())));
  assert.equal(asked.length, 1);
});
