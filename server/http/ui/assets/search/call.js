// The call of a search: one feeds both columns.

import { api, collectionPath } from "../api.js";
import { byId, debounced } from "../elements.js";
import { failure } from "../failure.js";
import { writeHash } from "../tabs.js";
import { shown, shownHits } from "./answer.js";
import { FilterError, parsedFilter } from "./filter.js";
import { asked, hashOf, MODES, showSettings } from "./settings.js";

/** @import { Asked } from "./settings.js" */

const SETTLE_MS = 250; // how long a slider must rest before it searches
const FILTER_MS = 600; // how long nothing must be typed into the filter before it searches

// Of more candidates than this, texts are fetched for those that are shown alone.
const MOST_WITH_TEXT = 200;

/** Called when an answer has come, to show it. @type {(() => void)[]} */
export const onAnswer = [];

/**
 * The body of a search.
 *
 * @param {Asked} wanted
 * @param {number} topN How many hits to return.
 */
export function searchBody(wanted, topN) {
  const rerank = wanted.rerank
    ? { ...(wanted.depth !== null && { depth: Math.min(wanted.depth, wanted.k) }), ...(wanted.blend !== null && { blend: wanted.blend }), ...(wanted.model && { model: wanted.model }) }
    : { enabled: false };
  const filter = parsedFilter(wanted.filter);
  return {
    query: wanted.query,
    top_n: topN,
    retrieve: { mode: /** @type {any} */ (MODES)[wanted.mode], k: wanted.k },
    ...(Object.keys(rerank).length && { rerank }),
    ...(filter && { filter: filter.filter }),
    ...(wanted.budget !== null && { time_budget: `${wanted.budget / 1000}s` }),
  };
}

/**
 * Searches for what the form says. One call feeds both columns: it returns all candidates in the
 * order of the second pass, each with its rank in the first.
 *
 * @param {boolean} isStep Whether the browser's back button returns to what was before.
 */
export async function search(isStep) {
  settingsSettled.cancel();
  filterSettled.cancel();
  const wanted = asked();
  showSettings();
  writeHash("search", hashOf(wanted), isStep);
  shown.running?.abort();
  shown.running = null;
  byId("filter-told").textContent = "";
  if (!wanted.query || !wanted.collection) return;
  let body;
  try {
    body = searchBody(wanted, wanted.k);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    byId("filter-told").textContent = error.message;
    byId("settings").open = true;
    return;
  }
  const running = new AbortController();
  shown.running = running;
  byId("panel-search").setAttribute("aria-busy", "true");
  document.title = `${wanted.query} · twopass`;
  const carries = wanted.k > MOST_WITH_TEXT ? { fields: { text: false, metadata: false } } : {};
  performance.mark("search-asked");
  const began = performance.now();
  try {
    const answer = await api("POST", `${collectionPath(wanted.collection)}/search`, { ...body, ...carries }, { signal: running.signal });
    performance.mark("search-answered");
    Object.assign(shown, { wanted, answer, roundTrip: performance.now() - began, showsAll: false, running: null });
    await loadTexts(running.signal);
    byId("search-notice").replaceChildren();
    for (const listener of onAnswer) listener();
    performance.mark("search-shown");
  } catch (error) {
    if (running.signal.aborted) return;
    shown.running = null;
    for (const id of ["found", "examples", "beginning"]) byId(id).hidden = true;
    byId("search-notice").replaceChildren(failure(error, () => search(false)));
  } finally {
    if (shown.running === null || shown.running === running) byId("panel-search").removeAttribute("aria-busy");
  }
}

/** Fetches the texts of hits that are shown and came without: too many, too large, or late. @param {AbortSignal} [signal] */
export async function loadTexts(signal) {
  const { wanted, answer } = shown;
  if (!wanted) return;
  const isWithout = wanted.k > MOST_WITH_TEXT;
  const missing = shownHits().filter((hit) => (isWithout && hit.text === "" && hit.title === "") || hit.content_omitted);
  if (!missing.length) return;
  const found = await api("POST", `${collectionPath(wanted.collection)}/documents/get`, { ids: missing.map((hit) => hit.id) }, { signal });
  const byIdOf = new Map(found.documents.map((/** @type {any} */ document) => [document.id, document]));
  for (const hit of answer.hits) {
    const document = byIdOf.get(hit.id);
    if (document) Object.assign(hit, { title: document.title, text: document.text, metadata: document.metadata, content_omitted: false });
  }
}

const settingsSettled = debounced(SETTLE_MS, () => search(false));
export const filterSettled = debounced(FILTER_MS, () => search(false));

/** Searches again once the settings rest, if there is a query. */
export function settingsChanged() {
  showSettings();
  shown.running?.abort();
  settingsSettled();
}
