// What is asked for: the form, the address, and a line of words say the same.

import { byId, element } from "../elements.js";
import { collectionOf, server } from "../server.js";
import { readHash } from "../tabs.js";
import { count } from "../words.js";
import { allSliders, BLEND, placeOwnBlend, setSlider, showSlider, SLIDERS, sliderValue } from "./sliders.js";

/**
 * What is asked for.
 *
 * @typedef {{collection: string, query: string, mode: string, rerank: boolean, spans: boolean, model: string, filter: string,
 *   k: number, depth: number | null, blend: number | null, top_n: number, budget: number | null}} Asked
 */

export const MODES = { hybrid: "RETRIEVE_MODE_HYBRID", dense: "RETRIEVE_MODE_DENSE", lexical: "RETRIEVE_MODE_LEXICAL" };

/**
 * What is asked for of the chosen collection before anything is moved: its search defaults, or else the page's. They are sent like
 * what was moved, so that the form never says one thing and the server does another.
 *
 * @returns {Record<string, any>}
 */
export function beginning() {
  const collection = collectionOf(byId("collection").value);
  const own = collection?.search_defaults ?? {};
  const byDefault = server.models.find((model) => model.kind === "MODEL_KIND_RERANKER" && model.default)?.id;
  const isApplied = !collection?.search_defaults_problem;
  return {
    mode: Object.entries(MODES).find(([, name]) => name === own.mode)?.[0] ?? "hybrid",
    rerank: own.rerank ?? true,
    model: isApplied && own.reranker && own.reranker !== byDefault ? own.reranker : "",
    ...(own.k && { k: own.k }),
    ...(own.depth && { depth: own.depth }),
    ...(isApplied && typeof own.blend === "number" && { blend: own.blend }),
  };
}

/** What the form was last filled by. */
let begun = "";

/** Fills the form anew where the chosen collection begins with other settings than the one before. @param {URLSearchParams} [settings] The address; unset: what was moved is dropped. */
export function takeBeginning(settings = new URLSearchParams()) {
  if (JSON.stringify(beginning()) === begun) return;
  const kept = new URLSearchParams(settings);
  kept.set("q", byId("query").value);
  if (!kept.has("filter")) kept.set("filter", byId("filter").value);
  kept.delete("collection");
  fillForm(kept);
}

/** Reads what is asked for from the form. @returns {Asked} */
export function asked() {
  const numbers = Object.fromEntries(allSliders().map((slider) => [slider.name, sliderValue(slider)]));
  return /** @type {Asked} */ ({
    collection: byId("collection").value,
    query: byId("query").value.trim(),
    mode: /** @type {HTMLInputElement} */ (document.querySelector("input[name=mode]:checked")).value,
    rerank: byId("rerank-on").checked,
    spans: byId("spans-on").checked,
    model: byId("model").value,
    filter: byId("filter").value.trim(),
    ...numbers,
  });
}

/** What differs from the defaults, for the address. @param {Asked} wanted */
export function hashOf(wanted) {
  const settings = new URLSearchParams();
  if (wanted.collection) settings.set("collection", wanted.collection);
  if (wanted.query) settings.set("q", wanted.query);
  const own = beginning();
  if (wanted.mode !== own.mode) settings.set("mode", wanted.mode);
  if (wanted.rerank !== own.rerank) settings.set("rerank", wanted.rerank ? "on" : "off");
  if (!wanted.spans) settings.set("spans", "off");
  if (wanted.model !== own.model) settings.set("model", wanted.model);
  if (wanted.filter) settings.set("filter", wanted.filter);
  for (const slider of allSliders()) {
    const value = /** @type {any} */ (wanted)[slider.name];
    if (value !== (own[slider.name] ?? slider.unset)) settings.set(slider.name, String(value));
  }
  return settings;
}

/** Fills the form from the address. @param {URLSearchParams} settings */
export function fillForm(settings) {
  const collection = settings.get("collection");
  if (collection && [...byId("collection").options].some((option) => option.value === collection)) byId("collection").value = collection;
  byId("query").value = settings.get("q") ?? "";
  const own = beginning();
  begun = JSON.stringify(own);
  const mode = settings.get("mode") ?? own.mode;
  for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=mode]"))) radio.checked = radio.value === (Object.hasOwn(MODES, mode) ? mode : "hybrid");
  byId("rerank-on").checked = settings.has("rerank") ? settings.get("rerank") !== "off" : own.rerank;
  byId("spans-on").checked = settings.get("spans") !== "off";
  byId("model").value = settings.get("model") ?? own.model;
  byId("filter").value = settings.get("filter") ?? "";
  for (const slider of allSliders()) {
    const given = Number.parseFloat(settings.get(slider.name) ?? "");
    const start = settings.has(slider.name) ? slider.unset : (own[slider.name] ?? slider.unset);
    setSlider(slider, Number.isNaN(given) ? start : given);
  }
  showSettings();
}

/** Says in a line what is set, for when the settings are folded. */
export function showSettings() {
  const wanted = asked();
  const isOff = !wanted.rerank;
  for (const slider of SLIDERS["sliders-second"]) byId(slider.name).disabled = isOff;
  const parts = [
    { hybrid: "meaning and words", dense: "meaning", lexical: "words" }[wanted.mode],
    `${count(wanted.k)} candidates`,
    isOff ? "no second pass" : `depth ${SLIDERS["sliders-second"][0].told(wanted.depth)}`,
    isOff ? null : `blend ${BLEND.told(wanted.blend)}`,
    `top ${wanted.top_n}`,
    wanted.budget === null ? null : `${SLIDERS["sliders-answer"][1].told(wanted.budget)} budget`,
    wanted.filter || null,
  ];
  byId("settings-told").textContent = parts.filter((part) => part !== null).join(" · ");
}

/** Fills the choice of rerankers. */
export function showRerankers() {
  const rerankers = server.models.filter((model) => model.kind === "MODEL_KIND_RERANKER");
  const select = byId("model");
  const before = select.value || (readHash().settings.get("model") ?? "");
  select.replaceChildren(...rerankers.map((model) => element("option", { value: model.default ? "" : model.id, textContent: model.id })));
  select.value = before;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  byId("model-label").hidden = rerankers.length < 2;
  placeOwnBlend();
  for (const slider of allSliders()) showSlider(slider);
  showSettings();
}
