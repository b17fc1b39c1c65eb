// The AI SDK's provider of OpenAI.
import { createOpenAI } from "@ai-sdk/openai";
import { embedMany } from "ai";
import { run } from "./trial.mjs";

async function embed(ask) {
  const provider = createOpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key });
  return (await embedMany({ model: provider.embedding(ask.encoder), values: ask.texts })).embeddings;
}

await run({ embed, foreign: "text-embedding-3-small" });
