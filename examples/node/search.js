// Fills a collection, searches it, reranks, and reads what an error says: npm install && node search.js
import { field, TwopassClient, TwopassError, v1 } from "twopass-client";

const { TWOPASS_URL = "http://127.0.0.1:8080", TWOPASS_API_KEY } = process.env;
const client = new TwopassClient(TWOPASS_URL, TWOPASS_API_KEY ? { apiKey: TWOPASS_API_KEY } : {});
const name = "example-node";

await client.createCollection(name);
try {
  await client.upsert(name, [
    { id: "strptime", text: "datetime.strptime parses a date from a string.", metadata: { year: 2003 } },
    { id: "copyfile", text: "shutil.copyfile copies the contents of a file.", metadata: { year: 2001 } },
  ]);
  const { hits, rerankStatus } = await client.search(name, "How do I parse a date?", {
    topN: 1,
    filter: field("year").within({ gte: 1990 }),
    timeBudgetMs: 5000,
  });
  for (const hit of hits) console.log(hit.id, hit.score.toFixed(2), v1.RerankStatus[rerankStatus]);

  const ranked = await client.rerank("fruit", ["a stone", "an apple, ripe fruit"], { topN: 1 });
  console.log(ranked.hits[0].index);

  await client.search(name, "x", { topN: -1 });
} catch (error) {
  if (!(error instanceof TwopassError)) throw error;
  console.log(error.reason, error.field, error.value);
} finally {
  await client.deleteCollection(name);
}
