// Before the first search: what the two passes are, and queries to try from what the collection holds.

import { api } from "../api.js";
import { byId, element } from "../elements.js";
import { collectionOf, server } from "../server.js";
import { cards, shown } from "./answer.js";
import { search } from "./call.js";
import { showJudged } from "./judging.js";

/** Back to before the first search: examples, and what the two passes are. */
export function showBeginning() {
  shown.running?.abort();
  Object.assign(shown, { answer: null, wanted: null, running: null });
  for (const column of /** @type {const} */ (["first", "second"])) cards[column].clear();
  byId("found").hidden = true;
  const isEmpty = server.collections?.length === 0;
  if (!isEmpty) byId("search-notice").replaceChildren();
  byId("beginning").hidden = isEmpty;
  showExamples();
  showJudged();
}

const NUM_EXAMPLES = 6;

/** The collection that the examples are of. */
let examplesOf = "";

/** Offers queries made of a few documents, so that a stranger can begin with a click. @param {boolean} [again] */
async function showExamples(again) {
  const name = byId("collection").value;
  const collection = collectionOf(name);
  const box = byId("examples");
  if (!collection || Number(collection.num_documents) === 0) {
    box.hidden = true;
    return;
  }
  if (examplesOf !== name || again) {
    examplesOf = name;
    /** @type {string[]} */
    let queries = [];
    try {
      queries = await exampleQueries(collection);
    } catch {
      // Without examples the page works as well: what is wrong, a search will tell.
    }
    if (byId("collection").value !== name) return;
    box.replaceChildren(
      element("span", { className: "soft", textContent: "Try" }),
      ...queries.map((query) => element("button", { type: "button", className: "chip", textContent: query, onclick: () => { byId("query").value = query; byId("query").focus(); search(true); } })),
      element("button", { type: "button", className: "plain", textContent: "Others", onclick: () => showExamples(true) }),
    );
    if (!queries.length) box.replaceChildren();
  }
  box.hidden = !box.childElementCount || shown.answer !== null;
}

/**
 * Queries from documents near random points of the collection's space, which are of many kinds.
 *
 * @param {any} collection
 */
async function exampleQueries(collection) {
  const dimension = collection.schema.dimension;
  const searches = Array.from({ length: NUM_EXAMPLES * 2 }, () => ({
    collection: collection.name,
    vector: { values: Array.from({ length: dimension }, () => Math.random() - 0.5) },
    top_n: 6,
    retrieve: { mode: "RETRIEVE_MODE_DENSE", k: 6 },
    rerank: { enabled: false },
    fields: { text: true, metadata: false },
  }));
  const { results } = await api("POST", "/search/batch", { searches });
  /** @type {Set<string>} */
  const queries = new Set();
  for (const result of results) {
    const hits = result.response?.hits ?? [];
    const made = hits.map(exampleOf).filter(Boolean).sort(() => Math.random() - 0.5)[0];
    if (made) queries.add(made);
    if (queries.size === NUM_EXAMPLES) break;
  }
  return [...queries].sort((a, b) => a.length - b.length);
}

/** A query that a document may answer: its first short sentence, or its title. @param {any} hit */
function exampleOf(hit) {
  const sentence = (hit.text ?? "").trim().split(/(?<=[.?!])\s|\n\s*\n/)[0]?.replace(/\s+/g, " ").replace(/[.:;]$/, "") ?? "";
  const words = sentence.split(" ");
  if (words.length >= 4 && sentence.length <= 70 && /^[\p{L}\p{N} ,.'’?-]+$/u.test(sentence)) return sentence;
  return hit.title && hit.title.includes(" ") && hit.title.length <= 70 ? hit.title : "";
}
