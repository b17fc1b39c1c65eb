// Cohere's SDK for JavaScript: both versions of the API.
import { CohereClient, CohereClientV2 } from "cohere-ai";
import { run } from "./trial.mjs";

const options = (ask) => ({ token: ask.key, environment: ask.url, baseUrl: ask.url });

async function rerank(ask) {
  const { results } = await new CohereClientV2(options(ask)).rerank({
    model: ask.reranker, query: ask.query, documents: ask.passages, topN: ask.top_n,
  });
  return results.map((hit) => [hit.index, hit.relevanceScore]);
}

async function rerankV1(ask) {
  const { results } = await new CohereClient(options(ask)).rerank({
    model: ask.reranker, query: ask.query, topN: ask.top_n, returnDocuments: true,
    documents: ask.passages.map((text) => ({ text })),
  });
  for (const hit of results) {
    if (hit.document?.text !== ask.passages[hit.index]) throw new Error(`document ${hit.index}`);
  }
  return results.map((hit) => [hit.index, hit.relevanceScore]);
}

async function embed(ask, truncate) {
  const answer = await new CohereClientV2(options(ask)).embed({
    model: ask.encoder, inputType: "search_document", texts: ask.texts, embeddingTypes: ["float"], truncate,
  });
  return answer.embeddings.float;
}

await run({
  rerank, embed, more: { "rerank: v1": rerankV1 }, uncut: (ask) => embed(ask, "NONE"), foreign: "rerank-v3.5",
});
