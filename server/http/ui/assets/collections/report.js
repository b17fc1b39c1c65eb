// The dialog that tells whether the second pass pays, by what it changed in a collection's searches.

import { api, collectionPath } from "../api.js";
import { byId, drawn, element, say } from "../elements.js";
import { failure } from "../failure.js";
import { count, counted, milliseconds, told } from "../words.js";

const WIDTH = 400;
const HEIGHT = 72;

/** Number of the report asked for last: what was asked for before it, perhaps of another time, comes too late. */
let last = 0;

/** Opens the report of a collection. @param {string} name */
export function openReport(name) {
  byId("report-title").textContent = `Does the second pass pay? ${name}`;
  byId("report-window").onchange = () => load(name);
  byId("report-body").replaceChildren();
  byId("report").showModal();
  load(name);
}

/** Reads the report of the time that is chosen, and shows it. @param {string} name */
async function load(name) {
  const own = (last += 1);
  const body = byId("report-body");
  body.setAttribute("aria-busy", "true");
  try {
    const { report } = await api("GET", `${collectionPath(name)}/report?window=${byId("report-window").value}`);
    if (own !== last) return;
    body.replaceChildren(...parts(report));
    say(report.summary);
  } catch (error) {
    if (own === last) body.replaceChildren(failure(error, () => load(name)));
  } finally {
    if (own === last) body.removeAttribute("aria-busy");
  }
}

/** What a report says, from what matters most to the figures behind it. @param {any} report */
function parts(report) {
  const { order, time } = report;
  const compared = Number(order.num_compared);
  const [second, whole] = [milliseconds(time.total), milliseconds(time.search_total)];
  return [
    element("p", { textContent: report.summary }),
    report.advice.length
      ? element("ul", { className: "advice" }, ...report.advice.map((/** @type {any} */ each) => element("li", {}, ...withCommands(each.text))))
      : null,
    compared
      ? element(
          "div",
          { className: "measures" },
          element("p", { className: "hint", textContent: "Searches in which the second pass changed it; the hits that the first pass had too." }),
          bar("first hit", Number(order.num_first_changed) / compared),
          bar("first three", Number(order.num_three_changed) / compared),
          bar("hits kept", order.overlap),
          second && whole ? bar("share of time", second / whole) : null,
        )
      : null,
    time.median ? scores(report.top_scores) : null,
    element("dl", { className: "counts" }, ...rows(report).map(([term, fact]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: fact })))),
  ].filter((part) => part !== null);
}

/** The figures behind it that are not zero. @param {any} report @returns {[string, string][]} */
function rows(report) {
  const { passages, time, top_scores: top } = report;
  /** @type {[string, string][]} */
  const found = [["searches", count(report.num_searches)]];
  for (const [which, statuses] of [["first pass", report.retrieve_statuses], ["second pass", report.rerank_statuses]])
    for (const [status, times] of Object.entries(statuses)) found.push([`${which}: ${status.replaceAll("_", " ")}`, count(/** @type {string} */ (times))]);
  for (const [what, times] of [
    ["queries cut", report.num_queries_truncated],
    ["passages cut", passages.num_truncated],
    ["passages below min_score", passages.num_below_min_score],
    ["searches left empty", top.num_left_empty],
  ])
    if (Number(times)) found.push([what, count(times)]);
  const { feedback, shadows } = report;
  if (Number(top.num_unanswerable)) found.push(["searches that nothing answers", count(top.num_unanswerable)]);
  if (Number(feedback?.num_clicks)) found.push(["clicks, on the first hit", `${count(feedback.num_clicks)}, ${count(feedback.num_first_clicks)}`]);
  if (Number(feedback?.num_judgements)) found.push(["judgements, relevant", `${count(feedback.num_judgements)}, ${count(feedback.num_relevant)}`]);
  for (const { name, comparisons } of shadows)
    for (const { num_compared: compared, equal_first: same } of comparisons)
      found.push([`shadow ${name}`, `${counted(Number(compared), "search", "searches")}, ${(100 * same).toFixed(0)}% with the same first hit`]);
  for (const [what, median, p99] of [
    ["second pass", time.median, time.p99],
    ["whole search", time.search_median, time.search_p99],
  ])
    if (median) found.push([`${what}, median and 99%`, `${told(milliseconds(median) ?? 0)}, ${told(milliseconds(p99) ?? 0)}`]);
  return found;
}

/** A share as a bar with its name. @param {string} name @param {number} share */
function bar(name, share) {
  const filled = element("i");
  filled.style.width = `${100 * share}%`;
  const percent = share && share < 0.1 ? (100 * share).toFixed(1) : (100 * share).toFixed(0);
  return element(
    "div",
    { className: "measure second" },
    element("span", { textContent: name }),
    element("span", { className: "track" }, filled),
    element("strong", { textContent: `${percent}%` }),
  );
}

/** How good the best candidates were, as a picture. @param {any} top */
function scores(top) {
  const counts = top.scores.map((/** @type {any} */ each) => Number(each.count));
  const most = Math.max(...counts, 1);
  const wide = WIDTH / counts.length;
  const picture = drawn("svg", { viewBox: `0 0 ${WIDTH} ${HEIGHT + 16}`, class: "scores", role: "img", "aria-label": `Scores of the best candidates: half are above ${top.median_score.toFixed(2)}` });
  for (const [at, each] of counts.entries()) {
    const tall = each ? Math.max(1.5, (HEIGHT * each) / most) : 0;
    const rect = drawn("rect", { x: at * wide + 1, y: HEIGHT - tall, width: wide - 2, height: tall });
    const title = drawn("title", {});
    title.textContent = `${(at / counts.length).toFixed(2)} to ${((at + 1) / counts.length).toFixed(2)}: ${counted(each, "search", "searches")}`;
    rect.append(title);
    picture.append(rect);
  }
  for (const [at, text] of [[0, "0"], [WIDTH / 2, "score of the best candidate"], [WIDTH, "1"]]) {
    const label = drawn("text", { x: at, y: HEIGHT + 13, "text-anchor": at === 0 ? "start" : at === WIDTH ? "end" : "middle" });
    label.textContent = String(text);
    picture.append(label);
  }
  return picture;
}

/** A sentence whose commands stand between backticks. @param {string} text */
function withCommands(text) {
  return text.split("`").map((part, at) => (at % 2 ? element("code", { textContent: part }) : part));
}
