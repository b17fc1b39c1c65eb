// Hugging Face's client of inference endpoints, pointed at a model's prefix.
import { featureExtraction, sentenceSimilarity } from "@huggingface/inference";
import { run } from "./trial.mjs";

const place = (ask) => ({ endpointUrl: `${ask.url}/models/${ask.encoder}`, accessToken: ask.key });

const embed = (ask) => featureExtraction({ ...place(ask), inputs: ask.texts });

async function similarity(ask) {
  const [source_sentence, ...sentences] = ask.texts;
  return [await sentenceSimilarity({ ...place(ask), inputs: { source_sentence, sentences } })];
}

await run({
  embed,
  more: { "embed: similarity": similarity },
  uncut: (ask) => featureExtraction({ ...place(ask), inputs: ask.texts, truncate: false }),
});
