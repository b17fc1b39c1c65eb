// Which hits are relevant: judging them, what that says of both passes, and the file that `twopass eval` reads.

import { jsonOf, key } from "../api.js";
import { codeOf, saveFile } from "../copying.js";
import { byId, element, say } from "../elements.js";
import { grpcTarget } from "../server.js";
import { counted } from "../words.js";
import { cards, nameOf, placed, shown } from "./answer.js";

/**
 * Judgements of a collection: for each query the grade of each document that was judged, 1 for
 * relevant and 0 for not. They are kept in this browser, by collection.
 *
 * @typedef {Record<string, Record<string, number>>} Judgements
 */

const JUDGED = "twopass-judged:";

/** The judgements of a collection. @param {string} collection @returns {Judgements} */
function judgementsOf(collection) {
  const kept = jsonOf(localStorage.getItem(JUDGED + collection) ?? "{}");
  return typeof kept === "object" && kept !== null ? kept : {};
}

/** Keeps the judgements of a collection in this browser. @param {string} collection @param {Judgements} judgements */
function keepJudgements(collection, judgements) {
  if (Object.keys(judgements).length) localStorage.setItem(JUDGED + collection, JSON.stringify(judgements));
  else localStorage.removeItem(JUDGED + collection);
}

/** The buttons that judge a hit. @param {any} hit */
export function judgeButtons(hit) {
  const made = (/** @type {number} */ grade, /** @type {string} */ sign, /** @type {string} */ label) => {
    const button = element("button", { type: "button", className: `act judge g${grade}`, textContent: sign, title: label, "aria-label": `${label}: ${nameOf(hit)}`, "aria-pressed": "false" });
    button.addEventListener("click", () => judge(hit.id, grade));
    return button;
  };
  return [made(1, "✓", "Relevant"), made(0, "✗", "Not relevant")];
}

/** Judges a document for the query that is shown; the same judgement again takes it back. @param {string} id @param {number} grade */
export function judge(id, grade) {
  const { wanted } = shown;
  if (!wanted) return;
  const judgements = judgementsOf(wanted.collection);
  const ofQuery = judgements[wanted.query] ?? {};
  const isTakenBack = ofQuery[id] === grade;
  if (isTakenBack) delete ofQuery[id];
  else ofQuery[id] = grade;
  if (Object.keys(ofQuery).length) judgements[wanted.query] = ofQuery;
  else delete judgements[wanted.query];
  keepJudgements(wanted.collection, judgements);
  showJudged();
  say(isTakenBack ? "no longer judged" : grade ? "relevant" : "not relevant");
}

/** nDCG@10 (Järvelin and Kekäläinen 2002) of an order; what is not judged counts as not relevant. @param {string[]} ids @param {Record<string, number>} grades */
function ndcg10(ids, grades) {
  const gain = (/** @type {number[]} */ ordered) => ordered.slice(0, 10).reduce((sum, grade, at) => sum + grade / Math.log2(at + 2), 0);
  const ideal = gain(Object.values(grades).sort((a, b) => b - a));
  return ideal > 0 ? gain(ids.map((id) => grades[id] ?? 0)) / ideal : null;
}

/** Shows what was judged: on the cards, and what it says about both passes. */
export function showJudged() {
  const collection = byId("collection").value;
  const judgements = judgementsOf(collection);
  const ofQuery = judgements[shown.wanted?.query ?? ""] ?? {};
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) {
      card.classList.toggle("relevant", ofQuery[id] === 1);
      card.classList.toggle("irrelevant", ofQuery[id] === 0);
      card.querySelector(".judge.g1")?.setAttribute("aria-pressed", String(ofQuery[id] === 1));
      card.querySelector(".judge.g0")?.setAttribute("aria-pressed", String(ofQuery[id] === 0));
    }
  }
  const numQueries = Object.keys(judgements).length;
  const numJudged = Object.values(judgements).reduce((sum, each) => sum + Object.keys(each).length, 0);
  byId("judged").hidden = !shown.answer?.hits.length && !numJudged;
  byId("judged-told").textContent = numJudged
    ? `${counted(numJudged, "judgement")} on ${counted(numQueries, "query", "queries")} of ${collection}, kept in this browser.`
    : "Say with ✓ and ✗ which hits answer the query. A few queries judged so measure both passes on your own questions.";
  byId("judged-save").disabled = !numJudged;
  byId("judged-clear").hidden = !numJudged;
  if (!numJudged) byId("judged-next").hidden = true;
  showMeasures(ofQuery);
}

/** nDCG@10 of both orders of the query that is shown. @param {Record<string, number>} grades */
function showMeasures(grades) {
  const box = byId("judged-measures");
  const isReranked = shown.answer && shown.answer.num_reranked > 0;
  if (!shown.answer?.hits.length || !Object.values(grades).some((grade) => grade > 0)) {
    box.replaceChildren();
    return;
  }
  const { first, second } = placed();
  const rows = /** @type {[string, string, any[]][]} */ ([["first", "First pass", first], ...(isReranked ? [["second", "Second pass", second]] : [])]);
  box.replaceChildren(
    element("p", { className: "soft", textContent: "nDCG@10 of this query, what is not judged counting as not relevant:" }),
    ...rows.map(([kind, name, hits]) => {
      const value = ndcg10(hits.map((hit) => hit.id), grades) ?? 0;
      const fill = element("i", {});
      fill.style.width = `${value * 100}%`;
      return element("p", { className: `measure ${kind}` }, element("span", { textContent: name }), element("span", { className: "track", "aria-hidden": "true" }, fill), element("strong", { textContent: value.toFixed(3) }));
    }),
  );
}

/** The file that `twopass eval` reads: a line for each query. @param {string} collection */
function judgementFile(collection) {
  return Object.entries(judgementsOf(collection))
    .map(([query, judgements]) => `${JSON.stringify({ collection, query, judgements })}\n`)
    .join("");
}

/** Saves the judgements of the collection, and says what to do with the file. */
function saveJudgements() {
  const collection = byId("collection").value;
  const name = `judgements-${collection}.jsonl`;
  saveFile(name, judgementFile(collection), "application/jsonl");
  const target = grpcTarget() === "localhost:50051" ? "" : ` --target ${grpcTarget()}`;
  const next = byId("judged-next");
  next.hidden = false;
  next.replaceChildren(
    element("p", { textContent: "Saved. In the folder with that file, this measures every way of searching on it:" }),
    codeOf(`${location.protocol === "https:" ? "TWOPASS_CA=system " : ""}twopass eval ${name}${target}`, "The command that measures"),
    key() ? element("p", { className: "soft", textContent: "It takes the API key from the environment variable TWOPASS_API_KEY." }) : "",
  );
  say(`Saved as ${name}.`);
}

/** Adds the judgements of a file to those of their collections. @param {File} file */
async function loadJudgements(file) {
  const lines = (await file.text()).split("\n").filter((line) => line.trim());
  const read = lines.map((line) => jsonOf(line));
  const wrong = read.findIndex((each) => typeof each?.query !== "string" || typeof each?.judgements !== "object");
  if (wrong >= 0) {
    byId("judged-told").textContent = `${file.name}, line ${wrong + 1}: not a query with judgements, as this page saves them.`;
    return;
  }
  for (const { collection = byId("collection").value, query, judgements } of read) {
    const kept = judgementsOf(collection);
    kept[query] = { ...kept[query], ...judgements };
    keepJudgements(collection, kept);
  }
  showJudged();
}

/** Starts the buttons of the judgements. */
export function startJudging() {
  byId("judged-save").addEventListener("click", saveJudgements);
  byId("judged-load").addEventListener("change", async (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (input.files?.[0]) await loadJudgements(input.files[0]);
    input.value = "";
  });
  byId("judged-clear").addEventListener("click", () => {
    const collection = byId("collection").value;
    if (!confirm(`Forget all judgements of ${collection} in this browser?`)) return;
    keepJudgements(collection, {});
    showJudged();
  });
}
