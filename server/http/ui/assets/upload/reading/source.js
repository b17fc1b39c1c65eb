// How a file is to be read, by its name and its beginning.

import { messageOf } from "../../words.js";
import { WHOLE_FILE_ROLES } from "../roles.js";

/** @import { LeftOut, Source } from "./record.js" */

/** A Map, since a file may end in anything, as `.constructor`. @type {Map<string, Source["kind"]>} */
const KINDS_BY_SUFFIX = new Map([
  ["jsonl", "jsonl"], ["ndjson", "jsonl"], ["csv", "csv"], ["tsv", "csv"],
  ["txt", "text"], ["text", "text"], ["rst", "text"], ["log", "text"],
  ["md", "markdown"], ["markdown", "markdown"], ["html", "html"], ["htm", "html"],
]);

export const KIND_NAMES = { jsonl: "JSONL", csv: "CSV", text: "text", markdown: "Markdown", html: "HTML" };
const LEFT_FOLDERS = new Set(["node_modules", "__pycache__"]);
export const SAMPLE_BYTES = 65_536;

/** Whether a path lies in a folder, or is a file, that nobody means to index: `.git`, `node_modules`. */
export function isHidden(/** @type {string} */ path) {
  return path.split("/").some((part) => part.startsWith(".") || LEFT_FOLDERS.has(part));
}

/**
 * Finds out how a file is to be read, from its name and its beginning.
 * @param {{ file: File, name: string, isNamed: boolean }} chosen
 * @returns {Promise<Source | LeftOut>}
 */
export async function sourceOf({ file, name, isNamed }) {
  const gzip = /\.gz$/i.test(name);
  const suffix = (/\.([^./]+)$/.exec(gzip ? name.slice(0, -3) : name)?.[1] ?? "").toLowerCase();
  if (suffix === "parquet") return { where: name, reason: "Parquet is read by the command alone: twopass index COLLECTION FILE" };
  if (suffix && suffix !== "json" && !KINDS_BY_SUFFIX.has(suffix) && !/^[0-9]+$/.test(suffix)) {
    return { where: name, reason: `.${suffix} is not read here; JSONL, CSV, TSV, text, Markdown and HTML are, each also .gz` };
  }
  let sample;
  try {
    sample = await beginningOf(file, gzip);
  } catch (error) {
    return { where: name, reason: gzip ? `not gzip: ${messageOf(error)}` : `can't be read: ${messageOf(error)}` };
  }
  const encoding = encodingOf(sample);
  if (encoding === null) return { where: name, reason: "holds no text" };
  const beginning = new TextDecoder(encoding).decode(sample);
  if (suffix === "json" && !isJson(beginning.trimStart().split("\n", 1)[0])) {
    return { where: name, reason: "one JSON object on each line is needed (JSONL); of a list, jq -c '.[]' makes that" };
  }
  const kind = suffix === "json" ? "jsonl" : (KINDS_BY_SUFFIX.get(suffix) ?? "text");
  const delimiter = kind === "csv" ? delimiterOf(beginning, suffix) : "";
  return { file, name, kind, gzip, encoding, delimiter, isNamed, roles: WHOLE_FILE_ROLES };
}

/** The first bytes of a file, unpacked. */
async function beginningOf(/** @type {File} */ file, /** @type {boolean} */ gzip) {
  if (!gzip) return new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const { value } = await reader.read();
  await reader.cancel().catch(() => undefined);
  return (value ?? new Uint8Array()).slice(0, SAMPLE_BYTES);
}

/**
 * UTF-16 with its mark; else UTF-8 or, where more lines are not UTF-8 than are, Windows-1252.
 * Null for what is no text.
 * @param {Uint8Array} sample
 */
function encodingOf(sample) {
  if (sample[0] === 0xff && sample[1] === 0xfe) return "utf-16le";
  if (sample[0] === 0xfe && sample[1] === 0xff) return "utf-16be";
  if (sample.includes(0)) return null;
  let balance = 0;
  for (let at = 0; at < sample.length; ) {
    const end = sample.indexOf(10, at);
    const line = sample.subarray(at, end < 0 ? sample.length : end);
    if (line.some((byte) => byte >= 0x80)) balance += isUtf8(line) ? 1 : -1;
    at += line.length + 1;
  }
  return balance < 0 ? "windows-1252" : "utf-8";
}

/** Whether bytes are UTF-8; a character may be cut at their end. @param {Uint8Array} bytes */
function isUtf8(bytes) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

/** Whether a text is JSON. */
function isJson(/** @type {string} */ text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The delimiter that the first line has most often outside of quotes. */
function delimiterOf(/** @type {string} */ beginning, /** @type {string} */ suffix) {
  const header = beginning.split("\n", 1)[0].replace(/"[^"]*"/g, "");
  const counts = [",", ";", "\t", "|"].map((delimiter) => ({ delimiter, count: header.split(delimiter).length }));
  counts.sort((a, b) => b.count - a.count);
  if (counts[0].count > 1) return counts[0].delimiter;
  return suffix === "tsv" ? "\t" : ",";
}
