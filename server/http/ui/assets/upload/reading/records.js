// The records of a file, whatever its kind. What is wrong with one of them is told as left out, and reading
// goes on where it can, as `twopass index` does.

import { messageOf } from "../../words.js";
import { csvRecords } from "./csv.js";
import { jsonRecords } from "./json.js";
import { wholeDocument } from "./whole.js";

/** @import { LeftOut, ReadSoFar, Source, SourceRecord } from "./record.js" */

/**
 * Reads the records of a file.
 * @param {Source} source
 * @param {ReadSoFar} soFar  Counts the bytes of the file that have been read.
 * @param {number} maxTextBytes  A file that is one document and larger is left out.
 * @returns {AsyncGenerator<SourceRecord | LeftOut>}
 */
export async function* recordsOf(source, soFar, maxTextBytes) {
  try {
    if (source.kind === "jsonl") yield* jsonRecords(source, soFar);
    else if (source.kind === "csv") yield* csvRecords(source, soFar);
    else yield await wholeDocument(source, soFar, maxTextBytes);
  } catch (error) {
    yield { where: source.name, reason: source.gzip ? `damaged from here on: ${messageOf(error)}` : `can't be read: ${messageOf(error)}` };
  }
}
