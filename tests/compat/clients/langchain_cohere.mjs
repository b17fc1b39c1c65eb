// LangChain.js's integration of Cohere, with a client that has another address.
import { CohereEmbeddings, CohereRerank } from "@langchain/cohere";
import { Document } from "@langchain/core/documents";
import { CohereClient } from "cohere-ai";
import { run } from "./trial.mjs";

const client = (ask) => new CohereClient({ token: ask.key, environment: ask.url, baseUrl: ask.url });

async function rerank(ask) {
  const compressor = new CohereRerank({ client: client(ask), model: ask.reranker, topN: ask.top_n });
  const documents = ask.passages.map((pageContent, place) => new Document({ pageContent, metadata: { place } }));
  const found = await compressor.compressDocuments(documents, ask.query);
  return found.map((hit) => [hit.metadata.place, hit.metadata.relevanceScore]);
}

async function embed(ask) {
  const embeddings = new CohereEmbeddings({ client: client(ask), model: ask.encoder, maxRetries: 1 });
  return embeddings.embedDocuments(ask.texts);
}

await run({ rerank, embed, foreign: "rerank-v3.5" });
