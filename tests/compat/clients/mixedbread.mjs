// Mixedbread's SDK for JavaScript.
import { Mixedbread } from "@mixedbread/sdk";
import { run } from "./trial.mjs";

const client = (ask) => new Mixedbread({ apiKey: ask.key, baseURL: ask.url });

async function rerank(ask) {
  const { data } = await client(ask).rerank({
    model: ask.reranker, query: ask.query, input: ask.passages, top_k: ask.top_n, return_input: true,
  });
  for (const hit of data) {
    if (hit.input !== ask.passages[hit.index]) throw new Error(`input ${hit.index}: ${hit.input}`);
  }
  return data.map((hit) => [hit.index, hit.score]);
}

async function embed(ask) {
  const { data } = await client(ask).embed({ model: ask.encoder, input: ask.texts });
  return data.map((each) => each.embedding);
}

await run({ rerank, embed, foreign: "mixedbread-ai/mxbai-rerank-large-v2" });
