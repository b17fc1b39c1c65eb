// The cards of hits in both columns, folded and open.

import { byId, element } from "../elements.js";
import { count, counted, printable } from "../words.js";
import { cards, hasCard, nameOf, shown } from "./answer.js";
import { metadataOf } from "./exact.js";
import { judgeButtons } from "./judging.js";
import { drawLines } from "./lines.js";
import { passageOf, titleOf } from "./passage.js";
import { scoresOf } from "./scores.js";

/** Fills a column with the cards of its hits, and with what stands between them. @param {"first" | "second"} column @param {any[]} hits @param {Record<string, [number, number]>} scales */
export function fillColumn(column, hits, scales) {
  const topN = shown.wanted?.top_n ?? 10;
  const rankOf = (/** @type {any} */ hit) => (column === "first" ? hit.first_pass_rank : hit.second_rank);
  const list = byId(`${column}-hits`);
  const made = [];
  cards[column].clear();
  let last = 0;
  for (const hit of hits.filter((hit) => hasCard(hit))) {
    const rank = rankOf(hit);
    const isCut = rank > topN && last <= topN && last > 0;
    if (isCut) made.push(element("li", { className: "cut" }, element("span", { textContent: `the top ${topN} end here` })));
    if (rank > last + 1) made.push(element("li", { className: "gap", textContent: `${counted(rank - last - 1, "more candidate")}` }));
    last = rank;
    const card = cardOf(column, hit, rank, scales);
    card.classList.toggle("beyond", rank > topN);
    cards[column].set(hit.id, card);
    made.push(card);
  }
  if (last && last < hits.length) made.push(element("li", { className: "gap", textContent: `${counted(hits.length - last, "more candidate")}` }));
  list.replaceChildren(...made);
  const [one] = cards[column].values();
  if (one) one.tabIndex = 0;
}

/** Which way the second pass moved a hit. @param {any} hit */
function moveOf(hit) {
  if (shown.answer.rerank_status === "RERANK_STATUS_DISABLED") return "same";
  const by = hit.first_pass_rank - hit.second_rank;
  return by > 0 ? "up" : by < 0 ? "down" : "same";
}

/** Where a hit moved, in words, for its card in a column. @param {"first" | "second"} column @param {any} hit */
function moveWords(column, hit) {
  const move = moveOf(hit);
  if (move === "same") return column === "first" ? "stays" : "as before";
  return column === "first" ? `${move} to ${hit.second_rank}` : `${move} from ${hit.first_pass_rank}`;
}

/**
 * Makes the card of a hit in a column.
 *
 * @param {"first" | "second"} column
 * @param {any} hit
 * @param {number} rank
 * @param {Record<string, [number, number]>} scales
 */
function cardOf(column, hit, rank, scales) {
  const move = moveOf(hit);
  const name = nameOf(hit);
  const isDisabled = shown.answer.rerank_status === "RERANK_STATUS_DISABLED";
  const arrow = { up: "▲", down: "▼", same: "=" }[move];
  const chip = isDisabled
    ? null
    : element("span", { className: `move ${move}`, title: moveWords(column, hit) }, move === "same" ? arrow : `${arrow} ${Math.abs(hit.first_pass_rank - hit.second_rank)}`);
  const card = element(
    "li",
    { className: `hit ${move}`, tabIndex: -1, "aria-label": `${rank}${isDisabled ? "" : `, ${moveWords(column, hit)}`}: ${name}` },
    element("div", { className: "rank" }, element("span", { className: "place", textContent: String(rank) }), chip),
    element(
      "div",
      { className: "words" },
      element("h4", {}, ...(hit.title ? titleOf(hit) : [name])),
      element("p", { className: "passage" }, ...passageOf(hit, false)),
      badgesOf(column, hit),
    ),
    scoresOf(column, hit, scales),
    element("div", { className: "acts" }, ...judgeButtons(hit), wholeButton(column, hit)),
  );
  card.dataset.id = hit.id;
  card.dataset.column = column;
  return card;
}

/** What must be known about a hit beside its scores. @param {"first" | "second"} column @param {any} hit */
function badgesOf(column, hit) {
  const badges = [];
  if (hit.title && hit.title !== hit.id) badges.push(element("code", { textContent: printable(hit.id) }));
  if (hit.span) badges.push(element("span", { textContent: `best part: characters ${count(hit.span.start)} to ${count(hit.span.end)}` }));
  if (hit.spans?.length) badges.push(element("span", { textContent: `best sentence: score ${(hit.spans[0].score ?? 0).toFixed(3)}` }));
  if (column === "second" && hit.truncated) badges.push(element("span", { className: "warn", textContent: "its end was not read" }));
  if (column === "second" && (hit.logit === undefined || hit.logit === null) && shown.answer.num_reranked > 0) badges.push(element("span", { className: "warn", textContent: "not read by the second pass" }));
  return badges.length ? element("p", { className: "badges" }, ...badges) : null;
}

/** The button that opens a card. @param {"first" | "second"} column @param {any} hit */
function wholeButton(column, hit) {
  const button = element("button", { type: "button", className: "act whole", textContent: "Whole", "aria-expanded": "false", "aria-label": `The whole of ${nameOf(hit)}` });
  button.addEventListener("click", () => openCard(column, hit.id));
  return button;
}

/** Shows the whole of a hit in its card, or folds it. @param {"first" | "second"} column @param {string} id @param {boolean} [isOpen] */
export function openCard(column, id, isOpen) {
  const card = cards[column].get(id);
  const hit = shown.answer.hits.find((/** @type {any} */ each) => each.id === id);
  if (!card || !hit) return;
  const opens = isOpen ?? !card.classList.contains("open");
  card.classList.toggle("open", opens);
  card.querySelector(".whole")?.setAttribute("aria-expanded", String(opens));
  const passage = /** @type {HTMLElement} */ (card.querySelector(".passage"));
  passage.replaceChildren(...passageOf(hit, opens));
  card.querySelector(".detail")?.remove();
  if (opens) card.append(detailOf(hit));
  showBestPart(passage);
  drawLines();
}

/** Scrolls a long text to its best part, and lets the keys scroll it too. @param {HTMLElement} passage */
function showBestPart(passage) {
  const isLonger = passage.closest(".open") !== null && passage.scrollHeight > passage.clientHeight;
  const mark = passage.querySelector("mark");
  if (isLonger) {
    passage.tabIndex = 0;
    passage.setAttribute("role", "group");
    passage.setAttribute("aria-label", "The whole text");
    if (mark) passage.scrollTop = mark.offsetTop - passage.offsetTop - 2 * LINE_PX;
  } else for (const name of ["tabindex", "role", "aria-label"]) passage.removeAttribute(name);
}

const LINE_PX = 22; // the height of a line of a passage

/** Metadata of a hit. @param {any} hit */
function detailOf(hit) {
  const fields = metadataOf(hit);
  if (!fields.length) return element("p", { className: "detail soft", textContent: `Document ${printable(hit.id)}; it has no metadata.` });
  const rows = fields.map(([name, value]) => element("div", {}, element("dt", { textContent: printable(name) }), element("dd", { textContent: printable(typeof value === "string" ? value : JSON.stringify(value)) })));
  return element("dl", { className: "detail" }, element("div", {}, element("dt", { textContent: "id" }), element("dd", { textContent: printable(hit.id) })), ...rows);
}
