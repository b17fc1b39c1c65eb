// The call of a search: one feeds both columns.

import { api, collectionPath } from "../api.js";
import { byId, debounced } from "../elements.js";
import { failure } from "../failure.js";
import { collectionOf, server } from "../server.js";
import { writeHash } from "../tabs.js";
import { hasCard, placed, shown } from "./answer.js";
import { FilterError, parsedFilter } from "./filter.js";
import { asked, beginning, hashOf, MODES, showSettings } from "./settings.js";

/** @import { Asked } from "./settings.js" */

const SETTLE_MS = 250; // how long a slider must rest before it searches
const FILTER_MS = 600; // how long nothing must be typed into the filter before it searches

// Of more candidates than this, texts are fetched for those that are shown alone; with a time budget
// of all, since a program that asks for the top alone spends no time of it on the texts of the others.
const MOST_WITH_TEXT = 200;

// Hits whose sentences a server looks at in one search.
const MOST_WITH_SPANS = 100;

// What a shown hit carries. Metadata as JSON keeps integers of 64 bits exact.
const CONTENT = { text: true, metadata: true, metadata_as_json: true };

/** Called when an answer has come, to show it. @type {(() => void)[]} */
export const onAnswer = [];

/**
 * The body of a search.
 *
 * @param {Asked} wanted
 * @param {number} topN How many hits to return.
 */
export function searchBody(wanted, topN) {
  // What is left out is the collection's default: where it has another than the form shows, the form's is sent.
  const own = beginning();
  const depth = wanted.depth ?? (own.depth ? wanted.k : null);
  const model = wanted.model || (collectionOf(wanted.collection)?.search_defaults?.reranker && server.models.find((each) => each.kind === "MODEL_KIND_RERANKER" && each.default)?.id);
  const rerank = wanted.rerank
    ? { ...(!own.rerank && { enabled: true }), ...(depth !== null && { depth: Math.min(depth, wanted.k) }), ...(wanted.blend !== null && { blend: wanted.blend }), ...(model && { model }) }
    : { enabled: false };
  const filter = parsedFilter(wanted.filter);
  return {
    query: wanted.query,
    top_n: topN,
    retrieve: { mode: /** @type {any} */ (MODES)[wanted.mode], k: wanted.k },
    ...(Object.keys(rerank).length && { rerank }),
    ...(filter && { filter: filter.filter }),
    ...(wanted.spans && { spans: { hits: Math.min(wanted.top_n, MOST_WITH_SPANS), max_spans: 1 } }),
    ...(wanted.budget !== null && { time_budget: `${wanted.budget / 1000}s` }),
  };
}

/** Whether a setting came to rest while another tab was in front. */
let isDue = false;

/** Searches if that was put off while another tab was in front. */
export function searchIfDue() {
  if (isDue) search(false);
}

/**
 * Searches for what the form says, once its tab is in front. One call feeds both columns: it returns all candidates in the
 * order of the second pass, each with its rank in the first.
 *
 * @param {boolean} isStep Whether the browser's back button returns to what was before.
 */
export async function search(isStep) {
  settingsSettled.cancel();
  filterSettled.cancel();
  // Behind another tab the address and the title are that tab's.
  isDue = byId("panel-search").hidden;
  if (isDue) return;
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
  showTitle();
  const isWithout = wanted.k > MOST_WITH_TEXT || wanted.budget !== null;
  const fields = isWithout ? { text: false, metadata: false } : CONTENT;
  performance.mark("search-asked");
  const began = performance.now();
  try {
    const answer = await api("POST", `${collectionPath(wanted.collection)}/search`, { ...body, fields }, { signal: running.signal });
    running.signal.throwIfAborted();
    performance.mark("search-answered");
    const roundTrip = performance.now() - began;
    if (isWithout) for (const hit of answer.hits) hit.content_omitted = true;
    await loadTexts(wanted, answer, false, running.signal);
    running.signal.throwIfAborted();
    Object.assign(shown, { wanted, answer, roundTrip, isWithout, showsAll: false });
    byId("search-notice").replaceChildren();
    for (const listener of onAnswer) listener();
    performance.mark("search-shown");
  } catch (error) {
    if (running.signal.aborted) return;
    for (const id of ["found", "examples", "beginning"]) byId(id).hidden = true;
    byId("search-notice").replaceChildren(failure(error, () => search(false)));
  } finally {
    if (shown.running === running) shown.running = null;
    if (shown.running === null) byId("panel-search").removeAttribute("aria-busy");
  }
}

/**
 * Fetches the texts of hits that have cards and came without: they were not asked for, too large, or late.
 *
 * @param {Asked} wanted
 * @param {any} answer
 * @param {boolean} showsAll Whether all hits have cards.
 * @param {AbortSignal} [signal]
 */
export async function loadTexts(wanted, answer, showsAll, signal) {
  const missing = placed(answer).second.filter((hit) => hit.content_omitted && hasCard(hit, wanted.top_n, showsAll));
  if (!missing.length) return;
  const found = await api("POST", `${collectionPath(wanted.collection)}/documents/get`, { ids: missing.map((hit) => hit.id), fields: CONTENT }, { signal });
  const byIdOf = new Map(found.documents.map((/** @type {any} */ document) => [document.id, document]));
  for (const hit of answer.hits) {
    const document = byIdOf.get(hit.id);
    if (document) Object.assign(hit, { title: document.title, text: document.text, metadata_json: document.metadata_json, content_omitted: false });
  }
}

/** Names the window after what is asked. */
export function showTitle() {
  const query = byId("query").value.trim();
  document.title = query ? `${query} · twopass` : "twopass: search";
}

const settingsSettled = debounced(SETTLE_MS, () => search(false));
export const filterSettled = debounced(FILTER_MS, () => search(false));

/** Searches again once the settings rest, if there is a query. */
export function settingsChanged() {
  showSettings();
  shown.running?.abort();
  settingsSettled();
}
