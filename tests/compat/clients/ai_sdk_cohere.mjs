// The AI SDK's provider of Cohere.
import { createCohere } from "@ai-sdk/cohere";
import { embedMany, rerank as rerankBy } from "ai";
import { run } from "./trial.mjs";

const provider = (ask) => createCohere({ baseURL: `${ask.url}/v2`, apiKey: ask.key });

async function rerank(ask) {
  const { ranking } = await rerankBy({
    model: provider(ask).reranking(ask.reranker), query: ask.query, documents: ask.passages, topN: ask.top_n,
  });
  return ranking.map((hit) => [hit.originalIndex, hit.score]);
}

async function embed(ask) {
  const { embeddings } = await embedMany({ model: provider(ask).embedding(ask.encoder), values: ask.texts });
  return embeddings;
}

async function uncut(ask) {
  const providerOptions = { cohere: { truncate: "NONE" } };
  return (await embedMany({ model: provider(ask).embedding(ask.encoder), values: ask.texts, providerOptions })).embeddings;
}

await run({ rerank, embed, uncut, foreign: "rerank-v3.5" });
