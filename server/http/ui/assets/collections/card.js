// The card of a collection: what it holds, and what can be done with it.

import { element } from "../elements.js";
import { searchIn } from "../tabs.js";
import { addTo } from "../upload/target.js";
import { count, languageName } from "../words.js";
import { askToDelete, askToRename } from "./changing.js";
import { openReport } from "./report.js";

/** How documents that are longer than the encoder reads are treated, in words. @param {any} schema */
function splittingOf(schema) {
  if (schema.client_vectors) return "not split";
  if (schema.whole_documents || !schema.chunking) return "not split, the beginning counts";
  return `windows of ${count(schema.chunking.window_tokens)} tokens`;
}

/** The card of a collection. @param {any} collection */
export function collectionCard(collection) {
  const { name, schema, aliases } = collection;
  const numDocuments = Number(collection.num_documents ?? 0);
  // A collection that can't be opened has no schema; its problem says why.
  const facts = !schema
    ? []
    : [
        ["Encoder", schema.client_vectors ? "vectors come with the documents" : schema.encoder],
        ["Vectors", `${count(schema.dimension)} dimensions, index ${schema.index_kind}`],
        ["Language", schema.lexical_tokenizer === "LEXICAL_TOKENIZER_PORTER" ? "English (Porter)" : languageName(schema.language)],
        ["Long texts", splittingOf(schema)],
        ["Filters", schema.indexed_fields.map((/** @type {any} */ each) => each.field).join(", ")],
        ["Created", new Date(collection.create_time).toLocaleDateString("en", { dateStyle: "medium" })],
      ];
  const id = `card-${name}`;
  return element(
    "li",
    { className: "stored", "aria-labelledby": id },
    element("h3", { id, textContent: name }),
    aliases.length ? element("p", { className: "soft", textContent: `also called ${aliases.join(", ")}` }) : null,
    element(
      "p",
      { className: "stored-count" },
      element("b", { textContent: count(numDocuments) }),
      ` ${numDocuments === 1 ? "document" : "documents"}`,
      Number(collection.num_split) ? element("span", { className: "soft", textContent: `, ${count(collection.num_split)} of them split` }) : null,
      element("button", { type: "button", className: "plain", textContent: "Report", "aria-label": `Report of ${name}`, onclick: () => openReport(name) }),
    ),
    ...[collection.read_only_reason && `Takes no writes: ${collection.read_only_reason}`, collection.encoder_problem, collection.search_defaults_problem]
      .filter(Boolean)
      .map((problem) => element("p", { className: "problem", textContent: problem })),
    element(
      "dl",
      {},
      ...facts.filter(([, fact]) => fact).map(([term, fact]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: fact }))),
    ),
    element(
      "div",
      { className: "actions" },
      element("button", { type: "button", textContent: "Search", "aria-label": `Search ${name}`, onclick: () => searchIn(name) }),
      element("button", { type: "button", textContent: "Add files", "aria-label": `Add files to ${name}`, onclick: () => addTo(name) }),
      element("button", { type: "button", className: "plain", textContent: "Rename", "aria-label": `Rename ${name}`, onclick: () => askToRename(name) }),
      element("button", { type: "button", className: "plain danger", textContent: "Delete", "aria-label": `Delete ${name}`, onclick: () => askToDelete(collection) }),
    ),
  );
}
