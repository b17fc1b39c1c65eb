// The text of a hit: its best part marked, the query's words set off.

import { element } from "../elements.js";
import { printable } from "../words.js";
import { shown } from "./answer.js";

const PREVIEW = 360; // characters of a passage before it is opened

/**
 * The text of a hit as nodes: its best span marked, the query's words set off.
 *
 * A span counts code points of title, a space and text together.
 *
 * @param {any} hit
 * @param {boolean} isWhole Whether the whole text is shown; else it begins at the best span.
 */
export function passageOf(hit, isWhole) {
  if (hit.content_omitted) return [element("em", { className: "soft", textContent: "Its text did not fit into the answer." })];
  const wanted = isWhole ? Infinity : (hit.span?.start ?? 0) + (hit.title?.length ?? 0) + 2 * PREVIEW;
  const whole = [...wholePassage(hit).slice(0, 2 * wanted)]; // a code point has at most two units
  const titleLength = hit.title ? [...hit.title].length + 1 : 0;
  let start = hit.span ? Math.max(hit.span.start, titleLength) : titleLength;
  // A part may begin inside a word, which a preview shows whole.
  while (!isWhole && start > titleLength && /[\p{L}\p{N}]/u.test(whole[start - 1])) start -= 1;
  const end = hit.span ? Math.max(hit.span.end, start) : whole.length;
  const piece = (/** @type {number} */ from, /** @type {number} */ to) => whole.slice(from, to).join("");
  if (!hit.span) return withWords(isWhole ? piece(titleLength, whole.length) : piece(titleLength, titleLength + PREVIEW));
  const marked = element("mark", {}, ...withWords(isWhole ? piece(start, end) : piece(start, Math.min(end, start + PREVIEW))));
  if (isWhole) return [...withWords(piece(titleLength, start)), marked, ...withWords(piece(end, whole.length))];
  return start > titleLength ? [element("span", { className: "soft", textContent: "… " }), marked] : [marked];
}

/** The passage that models read. @param {any} hit */
function wholePassage(hit) {
  return hit.title ? `${hit.title} ${hit.text ?? ""}`.trim() : (hit.text ?? "");
}

/** Text with the query's words set off. @param {string} given @returns {(Node | string)[]} */
function withWords(given) {
  const text = printable(given);
  const wanted = queryWords();
  if (!wanted.length) return [text];
  /** @type {(Node | string)[]} */
  const made = [];
  let at = 0;
  for (const match of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    const word = folded(match[0]);
    if (!wanted.some((stem) => (stem.length < 4 ? word === stem : word.startsWith(stem) && word.length <= stem.length + 3))) continue;
    made.push(text.slice(at, match.index), element("b", { textContent: match[0] }));
    at = match.index + match[0].length;
  }
  made.push(text.slice(at));
  return made;
}

/** A word without accents, in lower case. @param {string} word */
function folded(word) {
  return word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

/** English words that are in most queries and say little. */
const COMMON = new Set("a an and are as at be by can did do does for from had has have how i if in into is it its my of on or that the their this to was were what when where which who why will with you your".split(" "));

/** The words of the last query that was asked for them. */
const lastWords = { query: "", words: /** @type {string[]} */ ([]) };

/** The query's words without the most common ones, longer ones without their endings. */
function queryWords() {
  const query = shown.wanted?.query ?? "";
  if (lastWords.query !== query) Object.assign(lastWords, { query, words: wordsOf(query) });
  return lastWords.words;
}

/** The words of a query that are worth setting off, as stems. @param {string} query */
function wordsOf(query) {
  const words = [...query.matchAll(/[\p{L}\p{N}]+/gu)].map((match) => folded(match[0]));
  return words.filter((word) => !COMMON.has(word)).map((word) => (word.length > 5 ? word.replace(/(ing|ed|es|s|e)$/, "") : word.length > 4 ? word.replace(/(s|e)$/, "") : word));
}
