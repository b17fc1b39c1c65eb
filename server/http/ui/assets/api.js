// Calls of the server's REST, with the key of the header.

import { byId } from "./elements.js";

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
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  /** @type {Response} */
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    showServer(false);
    throw new ApiError(0, "unreachable", `${location.host} does not answer.`);
  }
  showServer(true);
  const text = await response.text();
  const answer = jsonOf(text);
  if (!response.ok) {
    const { code = `HTTP ${response.status}`, message = text || response.statusText } = answer ?? {};
    if (response.status === 401) wantKey();
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
