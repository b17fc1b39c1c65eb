import assert from "node:assert/strict";
import { createServer, type Server } from "node:http";
import { type AddressInfo } from "node:net";
import { afterEach, test } from "node:test";

import { Code, TwopassClient, TwopassError } from "../src/index.js";

const servers: Server[] = [];

afterEach(() => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    server.close();
  }
});

/** A server that answers with an empty message, or as it is told; and how often it was asked. */
class Replica {
  numAsked = 0;
  does: "answer" | "refuse" | "hang up" = "answer";
  url = "";

  async start(): Promise<this> {
    const server = createServer((request, response) => {
      request.resume();
      this.numAsked += 1;
      if (this.does === "hang up") {
        request.socket.destroy();
      } else if (this.does === "refuse") {
        response.writeHead(503, { "content-type": "application/json" });
        response.end(JSON.stringify({ code: "unavailable", message: "draining" }));
      } else {
        response.writeHead(200, { "content-type": "application/proto" }).end();
      }
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    servers.push(server);
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    return this;
  }
}

const replicas = async (): Promise<[Replica, Replica]> => [await new Replica().start(), await new Replica().start()];

/** A URL at which nothing listens any more. */
async function nobody(): Promise<string> {
  const { url } = await new Replica().start();
  const server = servers.pop()!;
  await new Promise((resolve) => server.close(resolve));
  return url;
}

async function codeOf(call: Promise<unknown>): Promise<Code> {
  const error = await call.then(() => assert.fail("the call did not fail"), TwopassError.from);
  return error.code;
}

test("several servers are asked in turn", async () => {
  const [a, b] = await replicas();
  const client = new TwopassClient([a.url, `${b.url}/`]);
  for (let i = 0; i < 6; i++) await client.search("docs", "q");
  assert.deepEqual([a.numAsked, b.numAsked], [3, 3]);
});

test("a server that nothing listens at costs no call, not even of those that are made once", async () => {
  const [a] = await replicas();
  const client = new TwopassClient([await nobody(), a.url]);
  for (let i = 0; i < 4; i++) await client.createCollection("docs");
  assert.equal(a.numAsked, 4);
});

test("a read whose server hangs up is made again of another, which is then asked alone for a while", async () => {
  const [a, b] = await replicas();
  a.does = "hang up";
  const client = new TwopassClient([a.url, b.url]);
  for (let i = 0; i < 4; i++) await client.search("docs", "q");
  assert.equal(b.numAsked, 4);
});

test("a read that a server refuses since it drains is made again of another", async () => {
  const [a, b] = await replicas();
  a.does = "refuse";
  await new TwopassClient([a.url, b.url]).search("docs", "q");
  assert.deepEqual([a.numAsked, b.numAsked], [1, 1]);
});

test("a call that may have taken effect is not made twice", async () => {
  const [a, b] = await replicas();
  a.does = "hang up";
  assert.equal(await codeOf(new TwopassClient([a.url, b.url]).createCollection("docs")), Code.Unavailable);
  assert.equal(b.numAsked, 0);
});

test("where no server is reached the error says so", async () => {
  const client = new TwopassClient([await nobody(), await nobody()], { retry: false });
  assert.equal(await codeOf(client.search("docs", "q")), Code.Unavailable);
});

test("no server at all is a mistake that is told at once", () => {
  assert.throws(() => new TwopassClient([]), /no URL given/);
});
