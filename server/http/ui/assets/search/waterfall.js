// Where the time of a search went.

import { byId, element } from "../elements.js";
import { milliseconds, told } from "../words.js";
import { shown } from "./answer.js";

const STAGES = [
  ["tokenize", "Tokenise the query"],
  ["embed", "Embed it"],
  ["retrieve", "First pass"],
  ["load", "Load the tokens"],
  ["queue", "Wait for an engine"],
  ["rerank", "Second pass"],
];

/** Shows the stages one after the other: in that order they mostly run, though they may overlap. */
export function showWaterfall() {
  const { timings } = shown.answer;
  const total = milliseconds(timings.total) ?? 0;
  const stages = STAGES.map(([name, label]) => ({ name, label, ms: milliseconds(timings[name]) ?? 0 })).filter((stage) => stage.ms > 0);
  const sum = stages.reduce((before, stage) => before + stage.ms, 0);
  const rest = total - sum;
  if (rest > 0.05) stages.push({ name: "rest", label: "Read the hits, and the rest", ms: rest });
  const way = shown.roundTrip - total;
  if (way > 0) stages.push({ name: "way", label: "Way to this page and back", ms: way });
  const whole = Math.max(sum + Math.max(rest, 0) + Math.max(way, 0), 0.001);
  let at = 0;
  byId("waterfall").replaceChildren(
    ...stages.map((stage) => {
      const fill = element("i", { className: stage.name });
      fill.style.left = `${(at / whole) * 100}%`;
      fill.style.width = `${Math.max((stage.ms / whole) * 100, 0.4)}%`;
      at += stage.ms;
      return element("li", {}, element("span", { className: "stage-name", textContent: stage.label }), element("span", { className: "track", "aria-hidden": "true" }, fill), element("span", { className: "value", textContent: told(stage.ms) }));
    }),
  );
  byId("waterfall-told").replaceChildren(element("strong", { textContent: told(total) }), " in the server");
}
