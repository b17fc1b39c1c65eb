// The second step of an upload: what was understood of the files, to be looked at and changed.

import { askToCreate } from "../collections/creating.js";
import { byId, element, say, select } from "../elements.js";
import { bytesTold, counted, printable } from "../words.js";
import { showChoosing } from "./choosing.js";
import { groupsOf } from "./groups.js";
import { leftOutList } from "./progress.js";
import { KIND_NAMES, sourceOf } from "./reading/source.js";
import { ROLES, wrongRoles } from "./roles.js";
import { running, upload } from "./running.js";
import { showTarget } from "./target.js";

/** @import { Group } from "./groups.js" */
/** @import { LeftOut, Source } from "./reading/record.js" */
/** @import { Role } from "./roles.js" */

/**
 * Looks into chosen files, and shows what was understood of them.
 * @param {{ file: File, name: string, isNamed: boolean }[]} chosen
 */
export async function look(chosen) {
  if (running || !chosen.length) return;
  say(`Looking into ${counted(chosen.length, "file")}.`);
  byId("upload-step").replaceChildren(element("p", { className: "soft", textContent: `Looking into ${counted(chosen.length, "file")} …` }));
  const sources = [];
  const leftOut = [];
  for (const each of chosen) {
    const found = await sourceOf(each);
    if ("reason" in found) leftOut.push(found);
    else sources.push(found);
  }
  showReview(sources, leftOut, await groupsOf(sources));
}

/**
 * Shows which files were understood as what, and which field becomes what.
 * @param {Source[]} sources
 * @param {LeftOut[]} leftOut
 * @param {Group[]} groups
 */
function showReview(sources, leftOut, groups) {
  const numBytes = sources.reduce((sum, { file }) => sum + file.size, 0);
  const conflict = select("upload-conflict", "An id that is there already", [
    ["ON_CONFLICT_REPLACE", "is replaced"],
    ["ON_CONFLICT_SKIP", "stays as it is"],
    ["ON_CONFLICT_FAIL", "ends the upload"],
  ]);
  const policy = select("upload-policy", "A bad record", [
    ["stop", "ends the upload, and is named"],
    ["skip", "is left out, named and counted"],
  ]);
  const encoding = encodingChoice(sources);
  const wrong = element("div", { role: "alert" });
  const form = element(
    "form",
    { className: "review", noValidate: true },
    element("h4", { tabIndex: -1, textContent: sources.length ? `${counted(sources.length, "file")}, ${bytesTold(numBytes)}` : "Nothing that can be read here" }),
    fileList(sources),
    leftOut.length ? leftOutList(leftOut, leftOut.length) : null,
    ...groups.map((group) => roleTable(group, groups.length > 1)),
    sources.length ? element("div", { className: "choices" }, encoding, conflict, policy) : null,
    wrong,
    element(
      "div",
      { className: "actions" },
      sources.length ? element("button", { type: "submit", className: "primary", id: "upload-go" }) : null,
      element("button", { type: "button", textContent: "Choose others", onclick: () => (showChoosing(), byId("upload-files").focus()) }),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const reasons = groups.map(({ roles }) => wrongRoles(roles)).filter(Boolean);
    wrong.replaceChildren(...reasons.slice(0, 1).map((textContent) => element("p", { className: "problem", textContent })));
    if (reasons.length) return;
    const begin = (/** @type {string} */ collection) =>
      upload({ collection, sources, onConflict: conflict.querySelector("select")?.value ?? "", skips: policy.querySelector("select")?.value === "skip" });
    const collection = byId("upload-collection").value;
    if (collection) begin(collection);
    else askToCreate(begin);
  });
  byId("upload-step").replaceChildren(form);
  showTarget();
  form.querySelector("h4")?.focus();
}

/** Which files were understood as what. @param {Source[]} sources */
function fileList(sources) {
  const shown = sources.slice(0, 12).map(({ file, name, kind, gzip, encoding, delimiter }) =>
    element(
      "li",
      {},
      element("span", { className: "file-name", textContent: printable(name) }),
      element("span", {
        className: "soft",
        textContent: [
          `${KIND_NAMES[kind]}${gzip ? ", gzip" : ""}`,
          delimiter && delimiter !== "," ? `divided by ${delimiter === "\t" ? "tabs" : delimiter}` : "",
          encoding === "utf-8" ? "" : encoding,
          bytesTold(file.size),
        ].filter(Boolean).join(" · "),
      }),
    ),
  );
  if (sources.length > shown.length) shown.push(element("li", { className: "soft", textContent: `and ${counted(sources.length - shown.length, "more file")}` }));
  return element("ul", { className: "files" }, ...shown);
}

/** A row for each field: its first value, and what becomes of it. @param {Group} group @param {boolean} isNamed Whether the table names its files. */
function roleTable({ sources, roles, samples }, isNamed) {
  const files = sources.slice(0, 3).map(({ name }) => printable(name)).join(", ") + (sources.length > 3 ? " …" : "");
  const rows = [...roles].map(([name, role]) => {
    const value = samples.map((fields) => fields[name]).find((each) => each !== undefined && each !== null && each !== "");
    const choice = element(
      "select",
      { "aria-label": `${printable(name)} becomes` },
      ...ROLES.map(([each, told]) => element("option", { value: each, textContent: told, selected: each === role })),
    );
    choice.addEventListener("change", () => roles.set(name, /** @type {Role} */ (choice.value)));
    const shown = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
    return element(
      "tr",
      {},
      element("th", { scope: "row", textContent: printable(name) }),
      element("td", { className: "sample", textContent: printable(shown.slice(0, 200)) }),
      element("td", {}, choice),
    );
  });
  return element(
    "table",
    { className: "roles" },
    element("caption", { textContent: `Which field is what${isNamed ? `: ${files}` : ""}` }),
    element("thead", {}, element("tr", {}, ...["Field", "A value", "Becomes"].map((textContent) => element("th", { scope: "col", textContent })))),
    element("tbody", {}, ...rows),
  );
}

/** A choice for the files that are not UTF-8; null where all are. @param {Source[]} sources */
function encodingChoice(sources) {
  const guessed = sources.filter(({ encoding }) => encoding === "windows-1252");
  if (!guessed.length) return null;
  const labels = ["windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "iso-8859-2", "koi8-r", "shift_jis", "euc-jp", "gb18030", "big5", "euc-kr", "utf-8"];
  const choice = select("upload-encoding", `${counted(guessed.length, "file is", "files are")} not UTF-8, and read as`, labels.map((label) => [label, label]));
  choice.addEventListener("change", () => {
    for (const source of guessed) source.encoding = choice.querySelector("select")?.value ?? "utf-8";
  });
  return choice;
}
