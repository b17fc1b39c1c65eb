// Records of JSON lines, whose numbers stay as they were written.

import { messageOf } from "../../words.js";
import { linesOf } from "./lines.js";
import { RecordError } from "./record.js";

/** @import { LeftOut, ReadSoFar, Source, SourceRecord } from "./record.js" */

/** JSON with what TypeScript does not know of it yet: raw values, and the source of parsed ones. */
const json = /** @type {any} */ (JSON);

/** What raw JSON of a number says; any other value as it is. @param {unknown} value @returns {unknown} */
export function unwrapped(value) {
  return json.isRawJSON?.(value) ? Number(json.stringify(value)) : value;
}

/** The records of a file with a JSON object on each line. @returns {AsyncGenerator<SourceRecord | LeftOut>} */
export async function* jsonRecords(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  for await (const { number, text, wrong } of linesOf(source, soFar)) {
    const where = `${source.name}:${number}`;
    if (wrong) yield { where, reason: wrong };
    else if (text.trim()) {
      try {
        yield { where, fields: parsedObject(text) };
      } catch (error) {
        yield { where, reason: messageOf(error) };
      }
    }
  }
}

/**
 * A JSON object whose numbers stay as they were written, 1.0 beside 1 and those of 64 bits: what a
 * number of JavaScript would change is raw JSON. @param {string} text
 */
function parsedObject(text) {
  /** @type {unknown} */
  let found;
  try {
    found = json.parse(text, (/** @type {string} */ _, /** @type {unknown} */ value, /** @type {{ source?: string }} */ context) => {
      if (typeof value !== "number") return value;
      if (context?.source !== undefined && json.rawJSON) return String(value) === context.source ? value : json.rawJSON(context.source);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new RecordError(`the number ${value} is larger than this browser keeps exactly; twopass index keeps it`);
      }
      return value;
    });
  } catch (error) {
    if (error instanceof RecordError) throw error;
    throw new RecordError(error instanceof RangeError ? "nested too deep" : `not JSON: ${messageOf(error).replace(/ \(line 1 column \d+\)/, "")}`);
  }
  if (found === null || typeof found !== "object" || Array.isArray(found) || json.isRawJSON?.(found)) {
    throw new RecordError(`${Array.isArray(found) ? "a list" : found === null ? "null" : `a ${typeof found}`}; an object with fields is needed`);
  }
  return /** @type {Record<string, unknown>} */ (found);
}
