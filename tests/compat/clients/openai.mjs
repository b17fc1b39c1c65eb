// OpenAI's SDK for JavaScript, which asks for base64 unless told otherwise.
import OpenAI from "openai";
import { run } from "./trial.mjs";

const client = (ask) => new OpenAI({ baseURL: `${ask.url}/v1`, apiKey: ask.key });

async function embed(ask, encoding_format) {
  const answer = await client(ask).embeddings.create({ model: ask.encoder, input: ask.texts, encoding_format });
  return answer.data.map((each) => each.embedding);
}

async function embedListed(ask) {
  const names = [];
  for await (const model of client(ask).models.list()) names.push(model.id);
  if (!names.includes(ask.encoder) || !names.includes(ask.reranker)) throw new Error(`models: ${names}`);
  return embed(ask);
}

await run({
  embed: (ask) => embed(ask),
  more: { "embed: float": (ask) => embed(ask, "float"), "embed: models": embedListed },
  foreign: "text-embedding-3-small",
});
