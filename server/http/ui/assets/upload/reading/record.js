// What reading gives: files, their records, and what is left out.

/** @import { Role } from "../roles.js" */

/**
 * A file of one or more documents.
 * @typedef {object} Source
 * @property {File} file
 * @property {string} name  Its path within what was chosen; the id of its document where it is one.
 * @property {"jsonl" | "csv" | "text" | "markdown" | "html"} kind
 * @property {boolean} gzip
 * @property {string} encoding  A label of TextDecoder.
 * @property {string} delimiter  Of CSV; "" elsewhere.
 * @property {boolean} isNamed  Whether it was chosen itself, rather than found in a folder.
 * @property {Map<string, Role>} roles  What becomes of its fields; those that are not in it are metadata.
 *
 * A document as it stands in its file.
 * @typedef {object} SourceRecord
 * @property {string} where  file:line, or the file where it is one document.
 * @property {Record<string, unknown>} fields
 *
 * What can't be read.
 * @typedef {object} LeftOut
 * @property {string} where
 * @property {string} reason  What is wrong, and the way out.
 *
 * @typedef {{ numBytes: number }} ReadSoFar
 */

/** What is wrong with a record. */
export class RecordError extends Error {}
