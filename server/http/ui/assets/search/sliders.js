// The sliders of the settings, whose stops are the values that make a difference.

import { byId, element } from "../elements.js";
import { server } from "../server.js";
import { count } from "../words.js";

/**
 * A slider's stops. `null` leaves the setting to the server. `own` is a value beside the stops that an address asked for.
 *
 * @typedef {{name: string, label: string, hint: string, stops: (number | null)[], unset: number | null, own?: number,
 *   told: (value: number | null) => string}} Slider
 */

const MOST_CANDIDATES = 2048;

/** @type {Slider} */
export const BLEND = {
  name: "blend",
  label: "Blend",
  hint: "The weight of the first pass in the final order: 0 is the second pass alone. Own: what the reranker’s makers chose.",
  stops: blendStops(Number.NaN),
  unset: null,
  told: (value) => (value !== null ? value.toFixed(2) : Number.isNaN(ownBlend()) ? "own" : `${ownBlend().toFixed(2)} (own)`),
};

/** @type {Record<string, Slider[]>} */
export const SLIDERS = {
  "sliders-first": [
    {
      name: "k",
      label: "Candidates",
      hint: "How many documents the first pass finds (k).",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, MOST_CANDIDATES],
      unset: 50,
      told: (value) => count(value ?? 50),
    },
  ],
  "sliders-second": [
    {
      name: "depth",
      label: "Depth",
      hint: "How many of the candidates the second pass reads.",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, null],
      unset: null,
      told: (value) => (value === null ? "all" : count(value)),
    },
    BLEND,
  ],
  "sliders-answer": [
    {
      name: "top_n",
      label: "Top",
      hint: "How many hits your application asks for (top_n).",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 50, 100],
      unset: 10,
      told: (value) => count(value ?? 10),
    },
    {
      name: "budget",
      label: "Time budget",
      hint: "How long the server may take; what is late is left out, and the answer says so.",
      stops: [5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, null],
      unset: null,
      told: (value) => (value === null ? "none" : value >= 1000 ? `${value / 1000} s` : `${value} ms`),
    },
  ],
};

/** The sliders of all parts of the settings. @returns {Slider[]} */
export function allSliders() {
  return Object.values(SLIDERS).flat();
}

/** The reranker that searches use now; undefined before the models were read. */
function rerankerInUse() {
  const chosen = byId("model").value;
  return server.models.find((model) => model.kind === "MODEL_KIND_RERANKER" && (chosen ? model.id === chosen : model.default));
}

/** The blend of the reranker in use; NaN before the models were read. @returns {number} */
function ownBlend() {
  return rerankerInUse()?.blend ?? Number.NaN;
}

/** Stops of the blend, with the model's own where its value belongs. @param {number} own */
function blendStops(own) {
  const others = Array.from({ length: 21 }, (_, step) => step / 20).filter((stop) => !(Math.abs(stop - own) <= 0.001));
  const place = others.filter((stop) => stop < own).length;
  return [...others.slice(0, place), null, ...others.slice(place)];
}

/** Puts the model's own blend where its value belongs. */
export function placeOwnBlend() {
  const value = sliderValue(BLEND);
  BLEND.stops = blendStops(ownBlend());
  setSlider(BLEND, value);
}

/** Where a slider stands. @param {Slider} slider @returns {number | null} */
export function sliderValue(slider) {
  return stopsOf(slider)[Number(byId(slider.name).value)];
}

/** The stops of a slider, with the one that an address asked for where it belongs. @param {Slider} slider */
function stopsOf({ stops, own }) {
  if (own === undefined) return stops;
  const place = stops.findIndex((stop) => stop !== null && stop > own);
  return [...stops.slice(0, place), own, ...stops.slice(place)];
}

/** Moves a slider. @param {Slider} slider @param {number | null} given A value beyond the stops is taken as the first or last of them; where whole numbers are needed, as the next one. */
export function setSlider(slider, given) {
  const numbers = slider.stops.filter((stop) => stop !== null);
  const [least, most] = [Math.min(...numbers), Math.max(...numbers)];
  const isWhole = numbers.every(Number.isInteger);
  const value = given === null ? null : Math.min(Math.max(isWhole ? Math.round(given) : given, least), most);
  const at = slider.stops.findIndex((stop) => stop === value || (stop !== null && value !== null && Math.abs(stop - value) < 1e-9));
  slider.own = at < 0 && value !== null ? value : undefined;
  const input = byId(slider.name);
  input.max = String(stopsOf(slider).length - 1);
  input.value = String(slider.own !== undefined ? stopsOf(slider).indexOf(slider.own) : at >= 0 ? at : slider.stops.indexOf(slider.unset));
  showSlider(slider);
}

/** Says beside a slider, and to those who hear it, where it stands. @param {Slider} slider */
export function showSlider(slider) {
  const input = byId(slider.name);
  const text = slider.told(sliderValue(slider));
  input.setAttribute("aria-valuetext", text);
  input.style.setProperty("--part", String(Number(input.value) / (stopsOf(slider).length - 1)));
  byId(`${slider.name}-told`).textContent = text;
}

/** Makes a slider. @param {Slider} slider @param {() => void} changed Called when it was moved. */
export function sliderElement(slider, changed) {
  const input = element("input", { type: "range", id: slider.name, min: "0", max: String(slider.stops.length - 1), step: "1", "aria-describedby": `${slider.name}-hint` });
  input.value = String(slider.stops.indexOf(slider.unset));
  input.addEventListener("input", () => {
    showSlider(slider);
    changed();
  });
  return element(
    "div",
    { className: "slider", title: slider.hint },
    element("label", { htmlFor: slider.name, textContent: slider.label }),
    element("output", { id: `${slider.name}-told`, "aria-live": "off" }),
    input,
    element("span", { id: `${slider.name}-hint`, className: "unseen", textContent: slider.hint }),
  );
}
