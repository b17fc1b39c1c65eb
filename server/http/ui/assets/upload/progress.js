// How far an upload is, what it did and what it left out, in words.

import { element } from "../elements.js";
import { count, counted, printable } from "../words.js";
import { MAX_LEFT_OUT_SHOWN } from "./sending.js";

/** @import { LeftOut } from "./reading/record.js" */
/** @import { Upload } from "./sending.js" */

/** How far an upload is, in documents; how many there will be is known by the share of bytes that were read. @param {Upload} run */
export function progressTold(run) {
  const done = run.numOnDisk + run.numSkipped;
  const share = run.numBytes ? run.soFar.numBytes / run.numBytes : 0;
  const seconds = (performance.now() - run.began) / 1000;
  const parts = [];
  if (share >= 1) parts.push(`${count(done)} of ${counted(run.numRead, "document")} on disk`);
  else if (share > 0.02) parts.push(`${count(done)} of about ${counted(roughly(run.numRead / share), "document")} on disk`);
  else parts.push(`${counted(done, "document")} on disk`);
  const rate = done / seconds;
  if (done && seconds > 1) parts.push(`${count(Math.round(rate))} a second`);
  if (done && seconds > 3 && share > 0.02) {
    const left = (run.numRead / Math.min(1, share) - done) / rate;
    if (left > 1) parts.push(`about ${left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} minutes`} left`);
  }
  if (run.numLeftOut) parts.push(`${count(run.numLeftOut)} left out`);
  return parts.join(" · ");
}

/** A number of which two digits are known. @param {number} value */
function roughly(value) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.round(value / unit) * unit;
}

/** What an upload did, as `twopass index` tells it. @param {Upload} run */
export function summaryOf(run) {
  const parts = [`${count(run.numInserted)} inserted`, `${count(run.numReplaced)} replaced`];
  const split = run.numSplit ? ` (${count(run.numSplit)} of them split)` : "";
  if (run.numSkipped) parts.push(`${count(run.numSkipped)} known already`);
  if (run.numLeftOut) parts.push(`${count(run.numLeftOut)} left out`);
  return `${run.settings.collection}: ${parts.slice(0, 2).join(", ")}${split}${parts.slice(2).map((part) => `, ${part}`).join("")}.`;
}

/** What was left out, and why. @param {LeftOut[]} leftOut The first ones. @param {number} number How many there are. */
export function leftOutList(leftOut, number) {
  const shown = leftOut.slice(0, MAX_LEFT_OUT_SHOWN);
  return element(
    "details",
    { className: "left-out", open: number <= 5 },
    element("summary", { textContent: `${count(number)} left out` }),
    element(
      "ul",
      {},
      ...shown.map(({ where, reason }) => element("li", {}, element("b", { textContent: printable(where) }), ` ${printable(reason)}`)),
      number > shown.length ? element("li", { className: "soft", textContent: `and ${count(number - shown.length)} more` }) : null,
    ),
  );
}
