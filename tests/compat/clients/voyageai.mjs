// Voyage's SDK for JavaScript.
import { VoyageAIClient } from "voyageai";
import { run } from "./trial.mjs";

const client = (ask) => new VoyageAIClient({ apiKey: ask.key, environment: `${ask.url}/v1` });

async function rerank(ask, truncation) {
  const { data } = await client(ask).rerank({
    query: ask.query, documents: ask.passages, model: ask.reranker, topK: ask.top_n, truncation,
  });
  return data.map((hit) => [hit.index, hit.relevanceScore]);
}

async function rerankWithDocuments(ask) {
  const { data } = await client(ask).rerank({
    query: ask.query, documents: ask.passages, model: ask.reranker, topK: ask.top_n, returnDocuments: true,
  });
  for (const hit of data) {
    if (hit.document !== ask.passages[hit.index]) throw new Error(`document ${hit.index}: ${hit.document}`);
  }
  return data.map((hit) => [hit.index, hit.relevanceScore]);
}

async function embed(ask) {
  const { data } = await client(ask).embed({ input: ask.texts, model: ask.encoder, inputType: "document" });
  return data.map((each) => each.embedding);
}

await run({
  rerank: (ask) => rerank(ask),
  embed,
  more: { "rerank: documents": rerankWithDocuments },
  uncut: (ask) => rerank(ask, false),
  foreign: "rerank-2.5",
});
