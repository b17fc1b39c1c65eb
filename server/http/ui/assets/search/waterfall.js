// Where the time of a search went.

import { byId, element } from "../elements.js";
import { count, milliseconds, told } from "../words.js";
import { shown } from "./answer.js";

const STAGES = [
  ["tokenize", "Tokenise the query"],
  ["embed", "Embed it"],
  ["retrieve", "First pass"],
  ["load", "Load the tokens"],
  ["queue", "Wait for an engine"],
  ["rerank", "Second pass"],
  ["spans", "Find the sentences"],
];

/**
 * Shows the stages in the order in which they mostly run. The server tells how long each took and not
 * when it began: where some ran at the same time, so that all end to end would outlast the call, each
 * begins no later than lets it end with the call.
 */
export function showWaterfall() {
  const { timings } = shown.answer;
  const total = milliseconds(timings.total) ?? 0;
  const stages = STAGES.map(([name, label]) => ({ name, label, ms: milliseconds(timings[name]) ?? 0 })).filter((stage) => stage.ms > 0);
  const sum = stages.reduce((before, stage) => before + stage.ms, 0);
  const rest = total - sum;
  const isOverlapping = rest < -0.02 * total;
  if (rest > 0.05) stages.push({ name: "rest", label: "Read the hits, and the rest", ms: rest });
  const longest = Math.max(total, ...stages.map((stage) => stage.ms));
  const way = shown.roundTrip - longest;
  if (way > 0) stages.push({ name: "way", label: "Way to this page and back", ms: way });
  const whole = Math.max(longest + Math.max(way, 0), 0.001);
  let at = 0;
  byId("waterfall").replaceChildren(
    ...stages.map((stage) => {
      const fill = element("i", { className: stage.name });
      const from = stage.name === "way" ? longest : Math.min(at, longest - stage.ms);
      fill.style.left = `${(from / whole) * 100}%`;
      fill.style.width = `${Math.max((stage.ms / whole) * 100, 0.4)}%`;
      at = from + stage.ms;
      return element("li", {}, element("span", { className: "stage-name", textContent: stage.label }), element("span", { className: "track", "aria-hidden": "true" }, fill), element("span", { className: "value", textContent: told(stage.ms) }));
    }),
  );
  byId("waterfall-told").replaceChildren(element("strong", { textContent: told(total) }), ` in the server${included()}${isOverlapping ? "; stages ran at the same time" : ""}`);
}

/** What the time includes that a program which asks for the top alone may not wait for. */
function included() {
  const { answer, isWithout, wanted } = shown;
  if (!wanted || answer.hits.length <= wanted.top_n) return "";
  return isWithout ? `, for ${count(answer.hits.length)} hits without their texts` : `, with the texts of ${count(answer.hits.length)} hits`;
}
