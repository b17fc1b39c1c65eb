// The text of a hit: its best sentence or part marked, the query's words set off.

import { element } from "../elements.js";
import { printable } from "../words.js";
import { shown } from "./answer.js";

const PREVIEW = 360; // characters of a passage before it is opened
const BEFORE = 24; // characters of a passage before its best sentence: a folded card has two lines
const WORD = 20; // characters of a word before a part that begins inside it; more are no word that people read
const IN_WORD = /[\p{L}\p{M}\p{N}]/u;
// Scripts without spaces between words: what stands before a part there is no beginning of its word.
const UNSPACED = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Thai}\p{Script=Lao}\p{Script=Khmer}\p{Script=Myanmar}]/u;

/**
 * The title of a hit as nodes, what its best part has of it marked.
 *
 * @param {any} hit A hit with a title.
 */
export function titleOf(hit) {
  const title = [...hit.title];
  const span = spanOf(hit);
  const piece = (/** @type {number} */ from, /** @type {number} */ to) => printable(title.slice(from, to).join(""));
  if (!span || span.start >= Math.min(span.end, title.length)) return [piece(0, title.length)];
  return [piece(0, span.start), element("mark", { textContent: piece(span.start, span.end) }), piece(span.end, title.length)];
}

/**
 * The text of a hit as nodes: its best part marked, the query's words set off.
 *
 * @param {any} hit
 * @param {boolean} isWhole Whether the whole text is shown; else a part of it: from a little before its best sentence, from its best part, or from its own beginning where that is in the title.
 */
export function passageOf(hit, isWhole) {
  if (hit.content_omitted) return [element("em", { className: "soft", textContent: "Its text did not fit into the answer." })];
  const titleLength = hit.title ? [...hit.title].length + 1 : 0;
  const span = spanOf(hit);
  const start = Math.max((span?.start ?? 0) - titleLength, 0);
  const text = [...(hit.text ?? "").slice(0, isWhole ? undefined : 2 * (start + 2 * PREVIEW))]; // a code point has at most two units
  const end = Math.min((span?.end ?? 0) - titleLength, text.length);
  const piece = (/** @type {number} */ from, /** @type {number} */ to) => withWords(text.slice(from, to).join(""));
  if (start >= end) return piece(0, isWhole ? text.length : PREVIEW);
  if (isWhole) return [...piece(0, start), element("mark", {}, ...piece(start, end)), ...piece(end, text.length)];
  if (hit.spans?.length) {
    const first = start <= BEFORE ? 0 : wordStart(text, start - BEFORE);
    const last = Math.max(end, first + PREVIEW);
    return [...softly(first > 0), ...piece(first, start), element("mark", {}, ...piece(start, end)), ...piece(end, last)];
  }
  const from = wordStart(text, start);
  const marked = element("mark", {}, ...piece(from, Math.min(end, from + PREVIEW)));
  return [...softly(from > 0), marked];
}

/** That a text has begun before. @param {boolean} hasBegun */
function softly(hasBegun) {
  return hasBegun ? [element("span", { className: "soft", textContent: "… " })] : [];
}

/** Where the word begins that a part begins in; the part's own beginning where it is in none. @param {string[]} text @param {number} start */
function wordStart(text, start) {
  if (UNSPACED.test(text[start])) return start;
  let from = start;
  while (from > 0 && IN_WORD.test(text[from - 1]) && !UNSPACED.test(text[from - 1])) {
    from -= 1;
    if (start - from > WORD) return start;
  }
  return from;
}

/**
 * The best sentence of a hit, else its best part, in code points of its title, a space and its text; undefined where there is none.
 *
 * The server counts without the white space that a passage with a title begins with.
 *
 * @param {any} hit
 * @returns {{start: number, end: number} | undefined}
 */
function spanOf(hit) {
  const span = hit.spans?.length ? hit.spans[0].span : hit.span;
  if (!span) return undefined;
  const blanks = hit.title ? (/^[\s\u001c-\u001f\u0085]*/.exec(`${hit.title} ${hit.text ?? ""}`)?.[0].length ?? 0) : 0;
  return { start: (span.start ?? 0) + blanks, end: span.end + blanks };
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
