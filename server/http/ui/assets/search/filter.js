// Filters, written as the command takes them, as the contract's Filter and as Python.

import { pythonText } from "../copying.js";
import { exactDigits, exactJson } from "./exact.js";

const FIELD = String.raw`(?:"(?:[^"\\]|\\.)*"|[^!=<>^&])+?`;
const CONDITION = new RegExp(String.raw`^(${FIELD})\s*(!=|>=|<=|\^=|=|>|<)\s*(.*)$`, "s");
const ALONE = new RegExp(String.raw`^(!?)\s*(${FIELD})$`, "s");
const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const BOUNDS = /** @type {Record<string, string>} */ ({ ">": "gt", ">=": "gte", "<": "lt", "<=": "lte" });

/** A filter that can't be read, told beside its field. */
export class FilterError extends Error {}

/**
 * Reads conditions joined by `&`, or a Filter of the contract in JSON.
 *
 * @param {string} text
 * @returns {{filter: any, python: string} | null} The filter, and the same in Python; null for none.
 */
export function parsedFilter(text) {
  if (!text) return null;
  if (text.startsWith("{")) {
    const filter = exactJson(text);
    if (typeof filter !== "object" || filter === null) throw new FilterError("This begins as JSON and is none.");
    return { filter, python: `Parse(${pythonText(JSON.stringify(filter))}, Filter())` };
  }
  const conditions = conditionsIn(text).map(parsedCondition);
  const must = conditions.filter((each) => !each.isNot).map((each) => ({ field: each.condition }));
  const mustNot = conditions.filter((each) => each.isNot).map((each) => ({ field: each.condition }));
  return {
    filter: { ...(must.length && { must }), ...(mustNot.length && { must_not: mustNot }) },
    python: conditions.map((each) => (conditions.length > 1 ? `(${each.python})` : each.python)).join(" & "),
  };
}

/**
 * The conditions that `&` joins, but for one inside quotes or a list.
 *
 * @param {string} text
 */
function conditionsIn(text) {
  const parts = [""];
  let [isQuoted, isInList] = [false, false];
  for (let at = 0; at < text.length; at += 1) {
    const sign = text[at];
    const part = parts[parts.length - 1];
    if (sign === "&" && !isQuoted && !isInList) {
      parts.push("");
      continue;
    }
    const isEscape = isQuoted && sign === "\\";
    if (sign === '"') isQuoted = !isQuoted;
    else if (!isQuoted && sign === "[" && /[=<>]\s*$/.test(part)) isInList = true;
    else if (!isQuoted && sign === "]") isInList = false;
    parts[parts.length - 1] += isEscape ? text.slice(at, at + 2) : sign;
    if (isEscape) at += 1;
  }
  const last = parts[parts.length - 1].trim();
  if (isQuoted) throw new FilterError(`A quote is open in “${last}”; close it, or write one that belongs to the text as in title="a 5\\" disk".`);
  if (isInList) throw new FilterError(`A list is open in “${last}”; close it with ], or write a text that begins with [ in quotes.`);
  return parts.map((part) => part.trim()).filter(Boolean);
}

/** @param {string} given @returns {{condition: any, isNot: boolean, python: string}} */
function parsedCondition(given) {
  const match = CONDITION.exec(given);
  if (!match) {
    const alone = ALONE.exec(given);
    if (!alone) throw new FilterError(`“${given}” is no condition; write it as in year>=1990.`);
    const name = alone[2].trim();
    const exists = !alone[1];
    return { condition: { field: name, exists }, isNot: false, python: `field(${pythonText(name)}).${exists ? "exists" : "is_missing"}()` };
  }
  const [, spaced, operator, value] = match;
  const name = spaced.trim();
  const field = `field(${pythonText(name)})`;
  if (operator === "^=") {
    const parsed = exactJson(value);
    const prefix = typeof parsed === "string" ? parsed : value;
    return { condition: { field: name, prefix }, isNot: false, python: `${field}.starts_with(${pythonText(prefix)})` };
  }
  if (Object.hasOwn(BOUNDS, operator)) {
    const bound = boundOf(value);
    return { condition: { field: name, interval: { [BOUNDS[operator]]: bound.literal } }, isNot: false, python: `${field} ${operator} ${bound.python}` };
  }
  const parsed = exactJson(value);
  const values = Array.isArray(parsed) ? parsed : [parsed === undefined ? value : parsed];
  const literals = values.map(literalOf);
  const isNot = operator === "!=";
  const python = literals.length === 1 ? `${field}.equals(${literals[0].python})` : `${field}.is_in([${literals.map((each) => each.python).join(", ")}])`;
  return { condition: { field: name, any_of_literals: { values: literals.map((each) => each.literal) } }, isNot, python: isNot ? `~${field}.is_in([${literals.map((each) => each.python).join(", ")}])` : python };
}

/** @param {any} value @returns {{literal: any, python: string}} */
function literalOf(value) {
  const digits = exactDigits(value);
  if (digits && /^-?\d+$/.test(digits)) return { literal: { integer: digits }, python: digits };
  if (digits) return { literal: { number: Number(digits) }, python: String(Number(digits)) };
  if (Number.isSafeInteger(value)) return { literal: { integer: String(value) }, python: String(value) };
  if (typeof value === "number") return { literal: { number: value }, python: String(value) };
  if (typeof value === "string") return { literal: { text: value }, python: pythonText(value) };
  if (typeof value === "boolean") return { literal: { boolean: value }, python: value ? "True" : "False" };
  if (value === null) return { literal: { null: "NULL_VALUE" }, python: "None" };
  throw new FilterError("Fields are compared with text, numbers, true, false and null.");
}

/** @param {string} value */
function boundOf(value) {
  if (TIME.test(value)) {
    const time = value.toUpperCase().replace(" ", "T");
    return { literal: { time }, python: `datetime.fromisoformat(${pythonText(time)})` };
  }
  const parsed = exactJson(value);
  if (!value || typeof parsed === "boolean" || (typeof parsed === "object" && !exactDigits(parsed))) {
    throw new FilterError(`“${value}” is no bound; a number, a text or a time is needed.`);
  }
  return literalOf(parsed === undefined ? value : parsed);
}
