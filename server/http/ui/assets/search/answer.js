// The answer that is shown: its hits in both orders, which of them have cards, and what they are called.

import { printable } from "../words.js";

/** @import { Asked } from "./settings.js" */

/**
 * What is shown, and the search that runs until it is shown. `isWithout`: the search carried no texts, they came by another call.
 *
 * @type {{wanted: Asked | null, answer: any, roundTrip: number, isWithout: boolean, showsAll: boolean, running: AbortController | null}}
 */
export const shown = { wanted: null, answer: null, roundTrip: 0, isWithout: false, showsAll: false, running: null };

/** Cards by document id, in each column. @type {{first: Map<string, HTMLElement>, second: Map<string, HTMLElement>}} */
export const cards = { first: new Map(), second: new Map() };

const WORST_SHOWN = 300; // the last place that has a card, where all candidates are shown

/** Hits by their places in both orders. @param {any} [answer] */
export function placed(answer = shown.answer) {
  const hits = /** @type {any[]} */ (answer.hits).map((hit, at) => Object.assign(hit, { second_rank: at + 1 }));
  return { first: [...hits].sort((a, b) => a.first_pass_rank - b.first_pass_rank), second: hits };
}

/** Whether a hit has a card: it is in the top of either pass, or all are shown. @param {any} hit @param {number} [topN] @param {boolean} [showsAll] */
export function hasCard(hit, topN = shown.wanted?.top_n ?? 10, showsAll = shown.showsAll) {
  if (showsAll) return Math.min(hit.first_pass_rank, hit.second_rank) <= WORST_SHOWN;
  return hit.first_pass_rank <= topN || hit.second_rank <= topN;
}

/** Hits that have a card, in the order of the second pass. */
export function shownHits() {
  return placed().second.filter((hit) => hasCard(hit));
}

/** What a hit is called: its title, or its id where it has none. @param {any} hit */
export function nameOf(hit) {
  return printable(hit.title || hit.id);
}
