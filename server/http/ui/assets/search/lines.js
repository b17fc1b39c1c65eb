// Lines between the cards of the same document, and cards that glide to where they belong.

import { byId, drawn } from "../elements.js";
import { cards } from "./answer.js";

/** The lines that are drawn, by document id. @type {Map<string, SVGElement>} */
const lines = new Map();

/** Draws a line between both cards of each document. */
export function drawLines() {
  const svg = byId("lines");
  const gutter = svg.getBoundingClientRect();
  lines.clear();
  const made = [];
  if (gutter.width > 0) {
    for (const [id, from] of cards.first) {
      const to = cards.second.get(id);
      if (!to) continue;
      const move = ["up", "down", "same"].find((each) => from.classList.contains(each)) ?? "same";
      const line = drawn("path", { class: `line ${move}${from.classList.contains("beyond") || to.classList.contains("beyond") ? " crosses" : ""}`, d: pathOf(from, to, gutter) });
      lines.set(id, line);
      made.push(line);
    }
  }
  svg.replaceChildren(...made);
  setOff(linkedId);
}

/** The path of a line between two cards, in the space between the columns. @param {HTMLElement} from @param {HTMLElement} to @param {DOMRect} gutter */
function pathOf(from, to, gutter) {
  const place = (/** @type {HTMLElement} */ card) => {
    const box = card.getBoundingClientRect();
    return Math.min(box.top + 30, box.top + box.height / 2) - gutter.top;
  };
  const [start, end, width] = [place(from), place(to), gutter.width];
  const bend = width * 0.55;
  return `M0 ${start.toFixed(1)} C${bend.toFixed(1)} ${start.toFixed(1)} ${(width - bend).toFixed(1)} ${end.toFixed(1)} ${width} ${end.toFixed(1)}`;
}

/** Has the lines follow their cards. */
function moveLines() {
  const gutter = byId("lines").getBoundingClientRect();
  for (const [id, line] of lines) {
    const [from, to] = [cards.first.get(id), cards.second.get(id)];
    if (from && to) line.setAttribute("d", pathOf(from, to, gutter));
  }
}

/** The document that is set off. @type {string | undefined} */
let linkedId;

/** Sets a document off in both columns. @param {string | undefined} id Undefined for none. */
export function setOff(id) {
  linkedId = id !== undefined && (cards.first.has(id) || cards.second.has(id)) ? id : undefined;
  byId("passes").classList.toggle("linked", linkedId !== undefined);
  for (const each of document.querySelectorAll(".passes .linked")) each.classList.remove("linked");
  if (id === undefined || linkedId === undefined) return;
  const line = lines.get(id);
  line?.classList.add("linked");
  line?.parentElement?.append(line);
  cards.first.get(id)?.classList.add("linked");
  cards.second.get(id)?.classList.add("linked");
}

/** Where the cards stand, by column and id. */
export function cardPlaces() {
  const places = new Map();
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) if (card.isConnected) places.set(`${column} ${id}`, card.getBoundingClientRect().top);
  }
  return places;
}

const GLIDE_MS = 320;

/** Lets cards glide from where they were, and their lines with them. @param {Map<string, number>} before */
export function glide(before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || !before.size) return;
  // All places are read before the first card is moved, which would have the browser lay out anew.
  const moves = [...cardPlaces()].map(([place, top]) => {
    const [column, id] = place.split(/ (.*)/s);
    const was = before.get(place);
    return { card: cards[/** @type {"first" | "second"} */ (column)].get(id), by: was === undefined ? 0 : was - top };
  });
  for (const { card, by } of moves) {
    if (Math.abs(by) > 1) card?.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
  if (!moves.some(({ by }) => Math.abs(by) > 1)) return;
  const end = performance.now() + GLIDE_MS + 50;
  const follow = () => {
    moveLines();
    if (performance.now() < end) requestAnimationFrame(follow);
  };
  requestAnimationFrame(follow);
}
