// Judgements of a collection: kept in this browser, and in the file that `twopass eval` reads.

import { jsonOf } from "../api.js";
import { inBrowser } from "../storage.js";

/**
 * For each query the grade of each document that was judged: 0 for not relevant, more for relevant.
 * Maps, since queries and ids may be called anything, as the properties of every object are too.
 *
 * @typedef {Map<string, Map<string, number>>} Judgements
 */

const JUDGED = "twopass-judged:"; // before the name of the collection

/** What a value says as grades by document id; undefined where it is anything else. @param {unknown} value */
function gradesIn(value) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) return undefined;
  const grades = Object.entries(value);
  return grades.every(([, grade]) => Number.isSafeInteger(grade) && grade >= 0) ? new Map(/** @type {[string, number][]} */ (grades)) : undefined;
}

/** The judgements of a collection. @param {string} collection @returns {Judgements} */
export function judgementsOf(collection) {
  const kept = jsonOf(inBrowser.get(JUDGED + collection) ?? "{}");
  if (typeof kept !== "object" || kept === null) return new Map();
  return new Map(Object.entries(kept).flatMap(([query, value]) => {
    const grades = gradesIn(value);
    return grades ? [[query, grades]] : [];
  }));
}

/** Keeps the judgements of a collection in this browser. @param {string} collection @param {Judgements} judgements */
export function keepJudgements(collection, judgements) {
  if (judgements.size) inBrowser.set(JUDGED + collection, JSON.stringify(Object.fromEntries([...judgements].map(([query, grades]) => [query, Object.fromEntries(grades)]))));
  else inBrowser.set(JUDGED + collection, null);
}

/** The file that `twopass eval` reads: a line for each query. @param {string} collection @param {Judgements} judgements */
export function judgementFile(collection, judgements) {
  return [...judgements].map(([query, grades]) => `${JSON.stringify({ collection, query, judgements: Object.fromEntries(grades) })}\n`).join("");
}

/**
 * The judgements that the lines of a file say, by collection, or the first line that says none.
 *
 * @param {string} text
 * @param {string} collection Whose the judgements are where a line does not say.
 * @returns {Map<string, Judgements> | {wrongLine: number}} The number of a line counts from 1.
 */
export function judgementsIn(text, collection) {
  /** @type {Map<string, Judgements>} */
  const found = new Map();
  for (const [at, line] of text.split("\n").entries()) {
    if (!line.trim()) continue;
    const said = jsonOf(line);
    const named = said?.collection ?? collection;
    const grades = gradesIn(said?.judgements);
    if (typeof said?.query !== "string" || typeof named !== "string" || !grades) return { wrongLine: at + 1 };
    const judgements = found.get(named) ?? new Map();
    judgements.set(said.query, new Map([...(judgements.get(said.query) ?? []), ...grades]));
    found.set(named, judgements);
  }
  return found;
}

/** nDCG@10 (Järvelin and Kekäläinen 2002) of an order; what is not judged counts as not relevant. @param {string[]} ids @param {ReadonlyMap<string, number>} grades */
export function ndcg10(ids, grades) {
  const gain = (/** @type {number[]} */ ordered) => ordered.slice(0, 10).reduce((sum, grade, at) => sum + grade / Math.log2(at + 2), 0);
  const ideal = gain([...grades.values()].sort((a, b) => b - a));
  return ideal > 0 ? gain(ids.map((id) => grades.get(id) ?? 0)) / ideal : null;
}
