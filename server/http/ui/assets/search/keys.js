// Keys in the lists of hits, and from the query to them.

import { byId } from "../elements.js";
import { cards } from "./answer.js";
import { openCard } from "./hits.js";
import { judge } from "./judging.js";

/** Which card has the focus, or has what has it; null for none. */
export function focusedCard() {
  const card = /** @type {HTMLElement | null} */ (document.activeElement?.closest?.(".hit") ?? null);
  return card?.dataset.id === undefined ? null : { column: /** @type {"first" | "second"} */ (card.dataset.column), id: card.dataset.id };
}

/** Gives a card the focus, and makes it the one of its column that Tab comes to. @param {"first" | "second"} column @param {string} id */
export function focusCard(column, id) {
  const card = cards[column].get(id);
  if (!card) return;
  for (const each of cards[column].values()) each.tabIndex = -1;
  card.tabIndex = 0;
  card.focus();
}

/** Leads from the query to the first hit. @param {KeyboardEvent} event */
export function keyInQuery(event) {
  if (event.key !== "ArrowDown" || event.ctrlKey || event.metaKey || event.altKey || byId("found").hidden) return;
  const passes = byId("passes");
  const column = passes.dataset.shown === "first" || passes.classList.contains("alone") ? "first" : "second";
  const [id] = cards[column].keys();
  if (id === undefined) return;
  event.preventDefault();
  focusCard(column, id);
}

/** Does what a key does in the lists of hits. @param {KeyboardEvent} event */
export function keyInList(event) {
  const at = focusedCard();
  if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
  const isOnButton = document.activeElement?.tagName === "BUTTON";
  const ids = [...cards[at.column].keys()];
  const place = ids.indexOf(at.id);
  const other = at.column === "first" ? "second" : "first";
  /** @type {Record<string, () => void>} */
  const does = {
    ArrowDown: () => focusCard(at.column, ids[Math.min(place + 1, ids.length - 1)]),
    ArrowUp: () => focusCard(at.column, ids[Math.max(place - 1, 0)]),
    Home: () => focusCard(at.column, ids[0]),
    End: () => focusCard(at.column, ids[ids.length - 1]),
    ArrowLeft: () => at.column === "second" && toOther(other, at.id),
    ArrowRight: () => at.column === "first" && toOther(other, at.id),
    r: () => judge(at.id, 1),
    n: () => judge(at.id, 0),
  };
  if (!isOnButton) does.Enter = () => openCard(at.column, at.id);
  const run = does[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

/** Goes to the card of a document in another column. @param {"first" | "second"} column @param {string} id */
function toOther(column, id) {
  showWhich(column);
  focusCard(column, id);
}

/** Which column narrow screens show. @param {"first" | "second"} column */
export function showWhich(column) {
  byId("passes").dataset.shown = column;
  for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=which]"))) radio.checked = radio.value === column;
}
