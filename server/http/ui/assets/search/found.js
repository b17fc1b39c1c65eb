// Showing an answer: both columns, and all that is said about them.

import { byId } from "../elements.js";
import { count } from "../words.js";
import { cards, placed, shown, shownHits } from "./answer.js";
import { showCopy } from "./copies.js";
import { metadataOf } from "./exact.js";
import { fillColumn, openCard } from "./hits.js";
import { showJudged } from "./judging.js";
import { focusCard, focusedCard } from "./keys.js";
import { cardPlaces, drawLines, glide } from "./lines.js";
import { scalesOf } from "./scores.js";
import { nothingFound, showHeads, showStory } from "./story.js";
import { showWaterfall } from "./waterfall.js";

/** Shows the answer in both columns. Cards that were there glide to their new places. */
export function showFound() {
  const { answer, wanted } = shown;
  if (!wanted) return;
  const before = cardPlaces();
  const focused = focusedCard();
  const opened = new Set([...document.querySelectorAll(".hit.open")].map((card) => /** @type {HTMLElement} */ (card).dataset.id));
  byId("found").hidden = answer.hits.length === 0;
  for (const id of ["examples", "beginning"]) byId(id).hidden = true;
  if (!answer.hits.length) {
    byId("search-notice").replaceChildren(nothingFound(wanted, answer));
    showJudged();
    return;
  }
  const { first, second } = placed();
  const scales = scalesOf(second);
  const isReranked = answer.rerank_status !== "RERANK_STATUS_DISABLED";
  byId("passes").classList.toggle("alone", !isReranked);
  fillColumn("first", first, scales);
  fillColumn("second", isReranked ? second : [], scales);
  for (const id of opened) for (const column of /** @type {const} */ (["first", "second"])) if (id !== undefined && cards[column].has(id)) openCard(column, id, true);
  showHeads(isReranked);
  showFilterExample(second);
  showStory();
  showWaterfall();
  showCopy(wanted);
  showJudged();
  const beyond = answer.hits.length - shownHits().length;
  byId("show-all").hidden = !beyond && !shown.showsAll;
  byId("show-all").textContent = shown.showsAll ? `Show the top ${wanted.top_n} of both alone` : `Show all ${count(answer.hits.length)} candidates`;
  if (focused) focusCard(focused.column, focused.id);
  drawLines();
  // A setting moves cards from where they were; another question has an answer of its own, at once.
  const question = `${wanted.collection} ${wanted.query}`;
  if (question === lastQuestion) glide(before);
  lastQuestion = question;
}

/** The question that the cards answer. */
let lastQuestion = "";

/** Shows how a filter is written by a field that the hits have. @param {any[]} hits */
function showFilterExample(hits) {
  const fields = hits.flatMap(metadataOf);
  const simple = fields.find(([name, value]) => /^[\w.-]{1,24}$/.test(name) && (typeof value === "number" || typeof value === "boolean" || (typeof value === "string" && /^[^&]{1,24}$/.test(value))));
  if (simple) byId("filter").placeholder = `Filter, as in ${simple[0]}=${simple[1]}`;
}
