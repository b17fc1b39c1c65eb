// Filters, written as the command takes them, as the contract's Filter and as Python.

import { jsonOf } from "../api.js";
import { pythonText } from "../copying.js";

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
    const filter = jsonOf(text);
    if (typeof filter !== "object" || filter === null) throw new FilterError("This begins as JSON and is none.");
    return { filter, python: `Parse(${pythonText(JSON.stringify(filter))}, Filter())` };
  }
  const conditions = text.split(/\s*&\s*/).filter(Boolean).map(parsedCondition);
  const must = conditions.filter((each) => !each.isNot).map((each) => ({ field: each.condition }));
  const mustNot = conditions.filter((each) => each.isNot).map((each) => ({ field: each.condition }));
  return {
    filter: { ...(must.length && { must }), ...(mustNot.length && { must_not: mustNot }) },
    python: conditions.map((each) => (conditions.length > 1 ? `(${each.python})` : each.python)).join(" & "),
  };
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
    const parsed = jsonOf(value);
    const prefix = typeof parsed === "string" ? parsed : value;
    return { condition: { field: name, prefix }, isNot: false, python: `${field}.starts_with(${pythonText(prefix)})` };
  }
  if (Object.hasOwn(BOUNDS, operator)) {
    const bound = boundOf(value);
    return { condition: { field: name, interval: { [BOUNDS[operator]]: bound.literal } }, isNot: false, python: `${field} ${operator} ${bound.python}` };
  }
  const parsed = jsonOf(value);
  const values = Array.isArray(parsed) ? parsed : [numberIn(value) ?? (parsed === undefined ? value : parsed)];
  const literals = values.map(literalOf);
  const isNot = operator === "!=";
  const python = literals.length === 1 ? `${field}.equals(${literals[0].python})` : `${field}.is_in([${literals.map((each) => each.python).join(", ")}])`;
  return { condition: { field: name, any_of_literals: { values: literals.map((each) => each.literal) } }, isNot, python: isNot ? `~${field}.is_in([${literals.map((each) => each.python).join(", ")}])` : python };
}

/** A whole number as a bigint, so that none is rounded; undefined for anything else. @param {string} text */
function numberIn(text) {
  return /^-?(0|[1-9]\d*)$/.test(text) ? BigInt(text) : undefined;
}

/** @param {any} value @returns {{literal: any, python: string}} */
function literalOf(value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return { literal: { integer: String(value) }, python: String(value) };
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
  const parsed = jsonOf(value);
  if (!value || typeof parsed === "boolean" || (typeof parsed === "object" && parsed !== undefined)) {
    throw new FilterError(`“${value}” is no bound; a number, a text or a time is needed.`);
  }
  return literalOf(numberIn(value) ?? (parsed === undefined ? value : parsed));
}
