// Sending documents in chunks that grow and shrink, so that each takes about a second: progress is seen, and
// little waits for the disk.

import { api, ApiError, collectionPath } from "../api.js";
import { quoted, told } from "../words.js";
import { documentOrLeftOut } from "./documents.js";
import { recordsOf } from "./reading/records.js";

/** @import { Outgoing } from "./documents.js" */
/** @import { LeftOut, Source } from "./reading/record.js" */

const FIRST_CHUNK_DOCUMENTS = 16;
const MAX_CHUNK_DOCUMENTS = 256;
const SHORT_CHUNK_MS = 500;
const LONG_CHUNK_MS = 2000;
const MAX_CHUNK_BYTES = 1 << 20;
const MAX_TRIES = 8;
export const MAX_LEFT_OUT_SHOWN = 100;

/**
 * What an upload is to do.
 * @typedef {object} UploadSettings
 * @property {string} collection
 * @property {Source[]} sources
 * @property {string} onConflict  A value of OnConflict.
 * @property {boolean} skips  Whether bad records are left out and counted; else they end the upload.
 */

/** What ended an upload before its end. */
export class UploadStopped extends Error {}

/** One upload: which files, with which fields, into which collection. */
export class Upload {
  /**
   * @param {UploadSettings} settings
   * @param {any} limits  Those of the server.
   * @param {(told: string) => Promise<void>} whenLost  Resolves when a server that does not answer is to be tried again.
   */
  constructor(settings, limits, whenLost) {
    this.settings = settings;
    this.whenLost = whenLost;
    this.mostDocuments = Math.min(MAX_CHUNK_DOCUMENTS, Number(limits.max_documents));
    this.maxDocuments = Math.min(FIRST_CHUNK_DOCUMENTS, this.mostDocuments);
    this.maxTextBytes = Number(limits.max_passage_bytes);
    this.cancelling = new AbortController();
    this.soFar = { numBytes: 0 };
    this.numBytes = settings.sources.reduce((sum, { file }) => sum + file.size, 0);
    this.numRead = 0;
    this.numOnDisk = 0;
    this.numInserted = 0;
    this.numReplaced = 0;
    this.numSkipped = 0;
    this.numSplit = 0;
    this.numLeftOut = 0;
    /** The first ones. @type {LeftOut[]} */
    this.leftOut = [];
    /** What it waits for, in words; "" while it does not. */
    this.waiting = "";
    this.began = performance.now();
  }

  /** Writes all documents. @throws {UploadStopped} @throws {ApiError} */
  async run() {
    /** @type {(Outgoing & { source: Source })[]} */
    let chunk = [];
    let ids = new Set();
    let numBytes = 0;
    const flush = async () => {
      const full = chunk;
      chunk = [];
      ids = new Set();
      numBytes = 0;
      if (full.length) await this.send(full);
    };
    for (const source of this.settings.sources) {
      for await (const record of recordsOf(source, this.soFar, this.maxTextBytes)) {
        this.cancelling.signal.throwIfAborted();
        const found = documentOrLeftOut(record, source.roles);
        if ("reason" in found) {
          if (this.stopsAt(source)) await flush(); // what comes before it is written
          this.leaveOut(found, source);
          continue;
        }
        this.numRead += 1;
        // The later of two documents of one id counts; a request must not have both.
        const { id } = found.body;
        if (chunk.length >= this.maxDocuments || numBytes + found.numBytes > MAX_CHUNK_BYTES || ids.has(id)) await flush();
        chunk.push({ ...found, source });
        ids.add(id);
        numBytes += found.numBytes;
      }
    }
    await flush();
  }

  /** Whether something bad in a file ends the upload: not where a folder held a file that can't be read. @param {Source} source */
  stopsAt(source) {
    return !this.settings.skips && (source.isNamed || source.kind === "jsonl" || source.kind === "csv");
  }

  /** @param {LeftOut} leftOut @param {Source} source @throws {UploadStopped} */
  leaveOut(leftOut, source) {
    if (this.stopsAt(source)) throw new UploadStopped(`${leftOut.where}: ${leftOut.reason}`);
    this.numLeftOut += 1;
    if (this.leftOut.length < MAX_LEFT_OUT_SHOWN) this.leftOut.push(leftOut);
  }

  /**
   * Writes a chunk, without the documents that the server refuses; where one of those ends the
   * upload, the others are written first.
   *
   * A refusal names the first bad document. Those before it go alone then, and the next ones in parts
   * that double while they are taken: however many are refused, few documents are sent more than twice.
   *
   * @param {(Outgoing & { source: Source })[]} chunk
   */
  async send(chunk) {
    const path = `${collectionPath(this.settings.collection)}/documents`;
    /** @type {{ leftOut: LeftOut, source: Source }[]} */
    const refused = [];
    let size = chunk.length; // how many go at once
    const refuse = (/** @type {number} */ at, /** @type {string} */ reason) => {
      const { where, body, source } = chunk[at];
      refused.push({ leftOut: { where, reason: `id ${quoted(String(body.id))}: ${reason}` }, source });
      chunk = chunk.filter((_, each) => each !== at);
      size = Math.max(1, at);
    };
    for (let tries = 0; chunk.length; ) {
      const part = chunk.slice(0, size);
      try {
        const documents = part.map(({ body }) => body);
        const sent = performance.now();
        this.count(await api("PUT", path, { documents, on_conflict: this.settings.onConflict }, { signal: this.cancelling.signal }));
        const milliseconds = performance.now() - sent;
        if (milliseconds < SHORT_CHUNK_MS && part.length * 2 > this.maxDocuments) this.maxDocuments = Math.min(2 * this.maxDocuments, this.mostDocuments);
        else if (milliseconds > LONG_CHUNK_MS) this.maxDocuments = Math.max(1, this.maxDocuments >> 1);
        chunk = chunk.slice(part.length);
        size = 2 * part.length;
        tries = 0;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const at = refusedDocument(error);
        if (at !== null && at < part.length) {
          refuse(at, error.message.replace(/^documents\[\d+\]\.?/, ""));
        } else if (error.status === 413 && part.length > 1) {
          size = part.length >> 1;
        } else if (error.status === 413) {
          refuse(0, error.message);
        } else if ((error.status === 429 || error.status === 503) && tries < MAX_TRIES) {
          const wait = Math.min(30_000, Math.max(error.retryAfter, 500 * 2 ** tries));
          this.waiting = `${error.status === 429 ? "The server is full" : "The server is not ready"}; it is asked again in ${told(wait)}.`;
          await pause(wait, this.cancelling.signal);
          tries += 1;
        } else if (error.status === 0) {
          await this.whenLost(error.message);
          this.cancelling.signal.throwIfAborted();
        } else {
          throw error;
        }
      }
    }
    for (const { leftOut, source } of refused) this.leaveOut(leftOut, source);
  }

  /** @param {any} answer Of the server to a chunk. */
  count(answer) {
    this.waiting = "";
    this.numInserted += answer.num_inserted;
    this.numReplaced += answer.num_replaced;
    this.numSkipped += answer.num_skipped;
    this.numSplit += answer.num_split;
    this.numOnDisk += answer.num_inserted + answer.num_replaced;
  }
}

/** The place in its request of the document that a refusal names; null where it names none. @param {ApiError} error */
function refusedDocument(error) {
  const found = error.status === 400 && /^documents\[(\d+)\]/.exec(error.message);
  return found ? Number(found[1]) : null;
}

/** Waits, until a signal has it end sooner. @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}
