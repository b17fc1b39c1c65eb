// Which hits are relevant: judging them, what that says of both passes, and saving it.

import { key } from "../api.js";
import { codeOf, saveFile } from "../copying.js";
import { byId, element, say } from "../elements.js";
import { grpcTarget } from "../server.js";
import { counted } from "../words.js";
import { cards, nameOf, placed, shown } from "./answer.js";
import { judgementFile, judgementsIn, judgementsOf, keepJudgements, ndcg10 } from "./judgements.js";

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
  const ofQuery = judgements.get(wanted.query) ?? new Map();
  const before = ofQuery.get(id);
  const isTakenBack = before !== undefined && before > 0 === grade > 0;
  if (isTakenBack) ofQuery.delete(id);
  else ofQuery.set(id, grade);
  if (ofQuery.size) judgements.set(wanted.query, ofQuery);
  else judgements.delete(wanted.query);
  keepJudgements(wanted.collection, judgements);
  showJudged();
  say(isTakenBack ? "no longer judged" : grade ? "relevant" : "not relevant");
}

/** Shows what was judged: on the cards, and what it says about both passes. */
export function showJudged() {
  const collection = byId("collection").value;
  const judgements = judgementsOf(collection);
  const ofQuery = judgements.get(shown.wanted?.query ?? "") ?? new Map();
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) {
      const grade = ofQuery.get(id);
      card.classList.toggle("relevant", grade > 0);
      card.classList.toggle("irrelevant", grade === 0);
      card.querySelector(".judge.g1")?.setAttribute("aria-pressed", String(grade > 0));
      card.querySelector(".judge.g0")?.setAttribute("aria-pressed", String(grade === 0));
    }
  }
  const numQueries = judgements.size;
  const numJudged = [...judgements.values()].reduce((sum, each) => sum + each.size, 0);
  byId("judged").hidden = !shown.answer?.hits.length && !numJudged;
  byId("judged-told").textContent = numJudged
    ? `${counted(numJudged, "judgement")} on ${counted(numQueries, "query", "queries")} of ${collection}, kept in this browser.`
    : "Say with ✓ and ✗ which hits answer the query. A few queries judged so measure both passes on your own questions.";
  byId("judged-save").disabled = !numJudged;
  byId("judged-clear").hidden = !numJudged;
  if (!numJudged) byId("judged-next").hidden = true;
  showMeasures(ofQuery);
}

/** nDCG@10 of both orders of the query that is shown. @param {ReadonlyMap<string, number>} grades */
function showMeasures(grades) {
  const box = byId("judged-measures");
  const isReranked = shown.answer && shown.answer.num_reranked > 0;
  if (!shown.answer?.hits.length || ![...grades.values()].some((grade) => grade > 0)) {
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

/** Saves the judgements of the collection, and says what to do with the file. */
function saveJudgements() {
  const collection = byId("collection").value;
  const name = `judgements-${collection}.jsonl`;
  saveFile(name, judgementFile(collection, judgementsOf(collection)), "application/jsonl");
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
  const found = judgementsIn(await file.text(), byId("collection").value);
  if ("wrongLine" in found) {
    byId("judged-told").textContent = `${file.name}, line ${found.wrongLine}: not a query with judgements, as this page saves them; nothing of the file was taken.`;
    return;
  }
  for (const [collection, judgements] of found) {
    const kept = judgementsOf(collection);
    for (const [query, grades] of judgements) kept.set(query, new Map([...(kept.get(query) ?? []), ...grades]));
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
    keepJudgements(collection, new Map());
    showJudged();
  });
}
