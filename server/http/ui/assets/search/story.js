// What became of a search, in words.

import { byId, element, say } from "../elements.js";
import { collectionOf } from "../server.js";
import { count, counted, milliseconds, told } from "../words.js";
import { nameOf, shown } from "./answer.js";
import { search } from "./call.js";

/** @import { Asked } from "./settings.js" */

/** What became of a first pass that did not do all it should, by its status; how grave it is goes before. */
const RETRIEVE_WORDS = /** @type {Record<string, [string, string]>} */ ({
  RETRIEVE_STATUS_LEXICAL_DEADLINE: ["warn", "By words alone: the query’s embedding, or its neighbours, came too late for the time budget."],
  RETRIEVE_STATUS_LEXICAL_OVERLOAD: ["warn", "By words alone: the encoder’s queue was full."],
  RETRIEVE_STATUS_LEXICAL_FAILED: ["warn", "By words alone: the encoder or the vector index failed; the server’s log says why."],
  RETRIEVE_STATUS_DENSE_DEADLINE: ["warn", "By meaning alone: the search by words came too late for the time budget."],
  RETRIEVE_STATUS_DENSE_OVERLOAD: ["warn", "By meaning alone: too many searches by words and filters were waiting."],
  RETRIEVE_STATUS_DENSE_FAILED: ["warn", "By meaning alone: the index of words could not be read; the server’s log says why."],
  RETRIEVE_STATUS_FUSED_DEADLINE: ["warn", "By meaning and by words, but how similar the documents are that words alone found came too late for the time budget."],
  RETRIEVE_STATUS_FUSED_OVERLOAD: ["warn", "By meaning and by words, but too many searches were waiting to look up how similar the documents are that words alone found."],
  RETRIEVE_STATUS_FUSED_FAILED: ["warn", "By meaning and by words, but how similar the documents are that words alone found could not be read; the server’s log says why."],
  RETRIEVE_STATUS_NO_WINDOWS_DEADLINE: ["warn", "By words, but long documents were reranked by their beginning: which part is nearest came too late for the time budget."],
  RETRIEVE_STATUS_NO_WINDOWS_OVERLOAD: ["warn", "By words, but long documents were reranked by their beginning: too many searches were waiting to look up which part is nearest."],
  RETRIEVE_STATUS_NO_WINDOWS_FAILED: ["warn", "By words, but long documents were reranked by their beginning: which part is nearest could not be found; the server’s log says why."],
});

/** What became of the first pass. @param {any} answer @param {Asked} wanted @returns {[string, string]} */
function retrieveWords(answer, wanted) {
  const known = RETRIEVE_WORDS[answer.retrieve_status];
  if (known) return known;
  const how = { hybrid: "by meaning and by words", dense: "by meaning", lexical: "by words" }[wanted.mode];
  return ["good", `Found ${counted(answer.num_candidates, "candidate")} ${how}.`];
}

/** What became of the second pass. @param {any} answer @param {Asked} wanted @returns {[string, string]} */
function rerankWords(answer, wanted) {
  const { num_reranked: read, num_candidates: found, reranker } = answer;
  const rest = found - read;
  // The second pass reads the heads of both lists, whatever their fused score.
  const deep = wanted.mode === "hybrid" && read > 1 ? `${count(read)}, the best of both lists,` : `the first ${count(read)}`;
  const due = Math.min(wanted.depth ?? found, found);
  switch (answer.rerank_status) {
    case "RERANK_STATUS_COMPLETE":
      return ["good", rest > 0 ? `${reranker} read ${deep} of ${count(found)} with the query, as deep as was asked; ${count(rest)} follow in first-pass order.` : `${reranker} read ${read === 1 ? "it" : `all ${count(read)}`} with the query.`];
    case "RERANK_STATUS_PARTIAL":
      return ["warn", `The time budget was enough for ${count(read)} of the ${count(due)} to be read; the others follow in first-pass order.`];
    case "RERANK_STATUS_DISABLED":
      return ["plain", "The second pass is off."];
    case "RERANK_STATUS_SKIPPED_DEADLINE":
      return ["warn", "In first-pass order: the time budget was not enough for a second pass."];
    case "RERANK_STATUS_SKIPPED_OVERLOAD":
      return ["warn", "In first-pass order: the reranker’s queue was full."];
    case "RERANK_STATUS_FAILED":
      return ["warn", "In first-pass order: the reranker failed; the server’s log says why."];
    default:
      return ["warn", `The server says ${answer.rerank_status}, which this page does not know.`];
  }
}

/** What else must be known to read the answer right. @param {any} answer @returns {[string, string][]} */
function otherWords(answer) {
  /** @type {[string, string][]} */
  const said = [];
  if (answer.answerable === false) said.push(["warn", `Nothing here answers: no score reaches ${answer.answer_threshold.toFixed(3)}.`]);
  if (answer.answerable === true) said.push(["good", `Something here answers: a score is ${answer.answer_threshold.toFixed(3)} or more.`]);
  if (answer.exact === true) said.push(["good", "Exact: every vector that may be an answer was compared."]);
  if (answer.exact === false) said.push(["plain", "Approximate: the index chose which vectors to compare, so that a near one may be missing."]);
  if (answer.query_truncated) said.push(["warn", "A model did not read the query’s end: it is longer than the model reads. The search by words read all of it."]);
  if (answer.num_words_dropped) said.push(["warn", `The search by words ignored the query’s ${counted(answer.num_words_dropped, "most frequent word")}.`]);
  if (answer.num_below_min_score) said.push(["plain", `${counted(answer.num_below_min_score, "hit")} below the least score ${answer.num_below_min_score === 1 ? "is" : "are"} left out.`]);
  return said;
}

/** What the second pass changed, in one sentence. */
function headline() {
  const { answer, wanted } = shown;
  const topN = Math.min(wanted?.top_n ?? 10, answer.hits.length);
  const ordered = ["RERANK_STATUS_COMPLETE", "RERANK_STATUS_PARTIAL"].includes(answer.rerank_status);
  if (!ordered) return `${counted(answer.num_candidates, "candidate")} in first-pass order`;
  const top = answer.hits.slice(0, topN);
  const moved = top.filter((/** @type {any} */ hit) => hit.first_pass_rank !== hit.second_rank);
  const lifted = top.filter((/** @type {any} */ hit) => hit.first_pass_rank > topN);
  if (!moved.length) return `The second pass agrees: the top ${topN} stay as they were`;
  const deepest = Math.max(...lifted.map((/** @type {any} */ hit) => hit.first_pass_rank));
  const from = lifted.length === 0 ? "" : lifted.length === 1 ? `; one came from place ${deepest}` : `; ${lifted.length} came from outside, one from place ${deepest}`;
  return `The second pass moved ${moved.length} of the top ${topN}${from}`;
}

/** Tells what became of a search, to the eye and the ear. */
export function showStory() {
  const { answer, wanted } = shown;
  if (!wanted) return;
  byId("headline").textContent = headline();
  const said = [retrieveWords(answer, wanted), rerankWords(answer, wanted), ...otherWords(answer)];
  byId("facts").replaceChildren(...said.map(([kind, text]) => element("li", { className: kind, textContent: text })));
  say(`${said[0][1]} ${said[1][1]} First: ${nameOf(answer.hits[0])}. ${told(milliseconds(answer.timings.total) ?? shown.roundTrip)}.`);
}

/** What each column is ordered by. @param {boolean} isReranked */
export function showHeads(isReranked) {
  const { answer, wanted } = shown;
  if (!wanted) return;
  const collection = collectionOf(wanted.collection);
  const total = collection ? ` of ${counted(Number(collection.num_documents), "document")}` : "";
  const by = { hybrid: "the fused score of meaning and words", dense: "nearness in meaning", lexical: "the score of words (BM25)" }[wanted.mode];
  byId("first-told").textContent = `${count(answer.num_candidates)}${total}, ordered by ${by}`;
  const own = wanted.blend === null ? ", the model’s own blend" : "";
  byId("second-told").textContent = !isReranked
    ? "off"
    : answer.num_reranked === 0
      ? "did not run; this is the first pass’s order"
      : answer.blend > 0
        ? `${count(answer.num_reranked)} read, ordered by ${answer.blend.toFixed(2)} × first pass + ${(1 - answer.blend).toFixed(2)} × logit, both standardised${own}`
        : `${count(answer.num_reranked)} read, ordered by the logit alone`;
  byId("second-off").replaceChildren(
    ...(isReranked
      ? []
      : [
          element("p", { textContent: "A cross-encoder would read each candidate together with the query, and put the right ones on top." }),
          element("button", { type: "button", textContent: "Turn it on", onclick: () => { byId("rerank-on").checked = true; byId("query").focus(); search(false); } }),
        ]),
  );
}

/** What is told instead of hits, with ways on. @param {Asked} wanted @param {any} answer */
export function nothingFound(wanted, answer) {
  const collection = collectionOf(wanted.collection);
  const isEmpty = collection && Number(collection.num_documents) === 0;
  const ways = isEmpty
    ? "The collection has no documents yet."
    : wanted.filter
      ? "No document passes the filter and matches."
      : wanted.mode === "lexical"
        ? "No document has any of the query’s words."
        : retrieveWords(answer, wanted)[1];
  say(`Nothing was found. ${ways}`);
  const toUpload = isEmpty ? element("button", { type: "button", className: "primary", textContent: "Bring documents in", onclick: () => byId("tab-collections").click() }) : null;
  const byMeaning = !isEmpty && wanted.mode === "lexical" ? element("button", { type: "button", textContent: "Search by meaning too", onclick: () => { /** @type {any} */ (document.querySelector("input[name=mode][value=hybrid]")).checked = true; byId("query").focus(); search(false); } }) : null;
  const noFilter = !isEmpty && wanted.filter ? element("button", { type: "button", textContent: "Without the filter", onclick: () => { byId("filter").value = ""; byId("query").focus(); search(false); } }) : null;
  return element("div", { className: "notice" }, element("h3", { textContent: "Nothing was found" }), element("p", { textContent: ways }), element("div", { className: "actions" }, toUpload, byMeaning, noFilter));
}
