// The scores of a hit as bars.

import { element } from "../elements.js";
import { shown } from "./answer.js";

/** The range of each score over an answer, for bars. @param {any[]} hits */
export function scalesOf(hits) {
  /** @type {Record<string, [number, number]>} */
  const scales = {};
  for (const name of ["dense_score", "lexical_score", "fused_score", "logit", "blended_score"]) {
    const values = hits.map((hit) => hit[name]).filter((value) => value !== undefined && value !== null);
    const least = Math.min(...values);
    const signed = name === "logit" || name === "blended_score" || least < 0;
    scales[name] = [signed ? least - (Math.max(...values) - least) * 0.04 : 0, Math.max(...values)];
  }
  scales.score = [0, 1];
  return scales;
}

/** A score as a bar; one that orders its column is set off. @param {string} kind @param {string} name @param {number | undefined} value @param {[number, number]} scale @param {{isOrder: boolean, digits: number, place?: number}} how */
function bar(kind, name, value, scale, { isOrder, digits, place }) {
  const isThere = value !== undefined && value !== null;
  const [least, most] = scale;
  const part = isThere ? (most > least ? Math.min(1, Math.max(0, (value - least) / (most - least))) : 1) : 0;
  const fill = element("i", {});
  fill.style.width = `${(part * 100).toFixed(1)}%`;
  return element(
    "div",
    { className: `bar ${kind}${isOrder ? " orders" : ""}${isThere ? "" : " none"}` },
    element("dt", { textContent: name }),
    element(
      "dd",
      {},
      element("span", { className: "track", "aria-hidden": "true" }, fill),
      element("span", { className: "value", textContent: isThere ? value.toFixed(digits) : "–" }),
      place === undefined ? null : element("span", { className: "nth", textContent: place ? `#${place}` : "" }),
    ),
  );
}

/** The scores of a hit that a column shows; null where there are none. @param {"first" | "second"} column @param {any} hit @param {Record<string, [number, number]>} scales */
export function scoresOf(column, hit, scales) {
  const mode = shown.wanted?.mode;
  const blend = shown.answer.blend;
  if (column === "second") {
    if (shown.answer.num_reranked === 0) return null;
    const hasBlend = hit.blended_score !== undefined && hit.blended_score !== null && blend > 0;
    return element(
      "dl",
      { className: "scores" },
      bar("score", "score", hit.score, scales.score, { isOrder: false, digits: 3 }),
      bar("logit", "logit", hit.logit, scales.logit, { isOrder: blend === 0, digits: 2 }),
      hasBlend ? bar("blended", "blended", hit.blended_score, scales.blended_score, { isOrder: true, digits: 2 }) : null,
    );
  }
  return element(
    "dl",
    { className: "scores" },
    mode === "lexical" ? null : bar("dense", "meaning", hit.dense_score, scales.dense_score, { isOrder: mode === "dense", digits: 3, place: hit.dense_rank ?? 0 }),
    mode === "dense" ? null : bar("lexical", "words", hit.lexical_score, scales.lexical_score, { isOrder: mode === "lexical", digits: 2, place: hit.lexical_rank ?? 0 }),
    mode === "hybrid" ? bar("fused", "fused", hit.fused_score, scales.fused_score, { isOrder: true, digits: 3, place: 0 }) : null,
  );
}
