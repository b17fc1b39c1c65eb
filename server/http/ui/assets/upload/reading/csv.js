// Records of CSV and its relatives.

import { counted, messageOf, quoted } from "../../words.js";
import { linesOf } from "./lines.js";
import { RecordError } from "./record.js";

/** @import { LeftOut, ReadSoFar, Source, SourceRecord } from "./record.js" */

/** The records of a file of CSV, whose first row names the columns. @returns {AsyncGenerator<SourceRecord | LeftOut>} */
export async function* csvRecords(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const rows = new CsvRows(source.delimiter);
  /** @type {string[] | null} */
  let names = null;
  let began = 1;
  for await (const { number, text, wrong } of linesOf(source, soFar)) {
    if (!rows.isOpen) began = number;
    const where = `${source.name}:${began}`;
    if (wrong) {
      rows.reset();
      yield { where: `${source.name}:${number}`, reason: wrong };
      continue;
    }
    if (!rows.isOpen && !text.trim()) continue;
    let row;
    try {
      row = rows.take(text);
    } catch (error) {
      yield { where, reason: messageOf(error) };
      continue;
    }
    if (row === null) continue;
    if (names === null) {
      names = row;
      const twice = names.find((name, at) => names?.indexOf(name) !== at);
      if (twice !== undefined) {
        yield { where, reason: `two columns are called ${quoted(twice)}` };
        return;
      }
    } else if (row.length !== names.length) {
      yield { where, reason: `${counted(row.length, "value")} in a row, ${counted(names.length, "column")} in the first line` };
    } else {
      const fields = names.map((name, at) => [name, /** @type {string[]} */ (row)[at]]);
      yield { where, fields: Object.fromEntries(fields) };
    }
  }
  if (rows.isOpen) yield { where: `${source.name}:${began}`, reason: "a quote that begins in this row never ends" };
}

/** Rows of CSV (RFC 4180), line by line. */
class CsvRows {
  constructor(/** @type {string} */ delimiter) {
    this.delimiter = delimiter;
    /** @type {string[]} */
    this.row = [];
    this.value = "";
    /** Whether a quoted value goes on in the next line. */
    this.isOpen = false;
  }

  /** Gives up the row that was begun. */
  reset() {
    this.row = [];
    this.value = "";
    this.isOpen = false;
  }

  /**
   * @param {string} line  Without its line feed.
   * @returns {string[] | null}  The row, or null where it goes on in the next line.
   * @throws {RecordError}  A quoted value is followed by something else; the row is given up.
   */
  take(line) {
    let at = 0;
    let wasQuoted = false;
    if (this.isOpen) this.value += "\n";
    for (;;) {
      if (this.isOpen) {
        const end = line.indexOf('"', at);
        if (end < 0) {
          this.value += line.slice(at);
          return null;
        }
        this.value += line.slice(at, end);
        at = end + 1;
        if (line[at] === '"') {
          this.value += '"';
          at += 1;
        } else {
          this.isOpen = false;
          wasQuoted = true;
        }
      } else if (!wasQuoted && line[at] === '"') {
        this.isOpen = true;
        at += 1;
      } else {
        const next = line.indexOf(this.delimiter, at);
        const rest = next < 0 ? line.slice(at).replace(/\r$/, "") : line.slice(at, next);
        if (wasQuoted && rest) {
          this.reset();
          throw new RecordError(`${quoted(rest)} follows a quoted value; a quote inside one is written twice`);
        }
        this.row.push(this.value + rest);
        this.value = "";
        wasQuoted = false;
        if (next < 0) {
          const row = this.row;
          this.reset();
          return row;
        }
        at = next + 1;
      }
    }
  }
}
