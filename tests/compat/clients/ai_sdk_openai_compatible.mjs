// The AI SDK's provider for any server that speaks as OpenAI's.
import { createOpenAICompatible } from "@ai-sdk/openai-compatible";
import { embedMany } from "ai";
import { run } from "./trial.mjs";

async function embed(ask) {
  const provider = createOpenAICompatible({ name: "twopass", baseURL: `${ask.url}/v1`, apiKey: ask.key });
  return (await embedMany({ model: provider.embeddingModel(ask.encoder), values: ask.texts })).embeddings;
}

await run({ embed, foreign: "text-embedding-3-small" });
