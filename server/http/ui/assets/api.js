// Calls of the server's REST, with the key of the header.

import { byId } from "./elements.js";

/** The code of a failure: the key is one that HTTP can't carry. */
export const UNSENDABLE_KEY = "unsendable_key";

/** The API key that calls are made with; "" for none. @returns {string} */
export function key() {
  return byId("key").value.trim();
}

/** Shows the field of the API key as one that must be filled. */
function wantKey() {
  byId("key-form").hidden = false;
  byId("key-form").classList.add("wanted");
}

/** Shows in the header whether the server answers. @param {boolean} answers */
export function showServer(answers) {
  byId("server").classList.toggle("lost", !answers);
  if (!answers) byId("server").textContent = "no answer";
}

/** A call that failed: the status of HTTP (0 where nothing answered), the code, and the server's words. */
export class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   * @param {number} [retryAfter] Milliseconds after which the server would be asked again; 0 where it does not say.
   */
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
  }
}

/** A key that a header can carry. @param {string} given @throws {ApiError} */
function checkedKey(given) {
  const at = [...given].findIndex((each) => each > "\u00ff" || "\0\r\n".includes(each));
  if (at < 0) return given;
  wantKey();
  throw new ApiError(401, UNSENDABLE_KEY, `HTTP can’t carry its character ${at + 1} in a header: Latin letters, digits and signs are what keys are made of.`);
}

/**
 * Calls the server's REST with the key of the header.
 *
 * @param {string} method
 * @param {string} path Below /api/v1; the caller encodes names in it.
 * @param {unknown} [body] Sent as JSON.
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>} The answer's JSON.
 */
export async function api(method, path, body, { signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  const usedKey = key();
  if (usedKey) headers.authorization = `Bearer ${checkedKey(usedKey)}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const sent = body === undefined ? undefined : JSON.stringify(body);
  /** @type {Response} */
  let response;
  let text;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: sent, signal });
    text = await response.text(); // where the connection ends here, it was no answer either
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    showServer(false);
    throw new ApiError(0, "unreachable", `${location.host} does not answer.`);
  }
  showServer(true);
  const answer = jsonOf(text);
  if (!response.ok) {
    const { code = `HTTP ${response.status}`, message = text || response.statusText } = answer ?? {};
    if (response.status === 401 && usedKey === key()) wantKey();
    throw new ApiError(response.status, code, message, 1000 * Number(response.headers.get("retry-after") ?? 0));
  }
  if (answer === undefined) throw new ApiError(response.status, "not_json", "The answer is not JSON; is this address a twopass server's?");
  return answer;
}

/** What JSON says; undefined where it is none. @param {string} text */
export function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path of a collection. @param {string} name */
export function collectionPath(name) {
  return `/collections/${encodeURIComponent(name)}`;
}
