// The first step of an upload: files are dropped or chosen.

import { byId, element } from "../elements.js";
import { isHidden } from "./reading/source.js";

/** Called with the files that were chosen. @type {((chosen: { file: File, name: string, isNamed: boolean }[]) => void)[]} */
export const onChosen = [];

/** Puts the first step where the steps are shown: choosing files. */
export function showChoosing() {
  const files = element("input", { type: "file", multiple: true, className: "unseen", id: "upload-input", tabIndex: -1, "aria-label": "Files" });
  const folder = element("input", { type: "file", className: "unseen", id: "upload-folder-input", tabIndex: -1, "aria-label": "Folder", webkitdirectory: true });
  for (const input of [files, folder]) input.addEventListener("change", () => tellChosen(/** @type {FileList} */ (input.files)));
  const hasFolders = "webkitdirectory" in folder;
  byId("upload-step").replaceChildren(
    element(
      "div",
      { className: "drop" },
      element("p", { className: "drop-told" }, element("b", { textContent: "Drop files or folders here" })),
      element("p", { className: "soft", textContent: "JSONL, CSV, TSV, text, Markdown and HTML, each also .gz; of any size" }),
      element(
        "div",
        { className: "actions" },
        element("button", { type: "button", id: "upload-files", textContent: "Choose files", onclick: () => files.click() }),
        hasFolders ? element("button", { type: "button", textContent: "Choose a folder", onclick: () => folder.click() }) : null,
      ),
      files,
      hasFolders ? folder : null,
    ),
  );
}

/** Tells which files were chosen. @param {FileList} list */
function tellChosen(list) {
  for (const listener of onChosen) listener(chosenFiles(list));
}

/** Files that were chosen, without the hidden ones of a folder. @param {FileList} list @returns {{ file: File, name: string, isNamed: boolean }[]} */
function chosenFiles(list) {
  return [...list]
    .map((file) => ({ file, name: file.webkitRelativePath || file.name, isNamed: !file.webkitRelativePath }))
    .filter(({ name, isNamed }) => isNamed || !isHidden(name.split("/").slice(1).join("/")));
}

/**
 * The files that were dropped, with those within folders.
 * @param {DataTransfer} dropped  Readable until the event ends, so entries are taken before the first await.
 * @returns {Promise<{ file: File, name: string, isNamed: boolean }[]>}
 */
export async function droppedFiles(dropped) {
  const entries = [...dropped.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, name: entry.name, isNamed: true });
    else if (entry) for await (const each of filesOfEntry(entry, "", true)) found.push(each);
  }
  return found;
}

/**
 * The files of an entry of a file system, with those within folders.
 * @param {any} entry  Of a file or a folder.
 * @param {string} folder
 * @param {boolean} isNamed
 * @returns {AsyncGenerator<{ file: File, name: string, isNamed: boolean }>}
 */
async function* filesOfEntry(entry, folder, isNamed) {
  const name = folder + entry.name;
  if (!isNamed && isHidden(entry.name)) return;
  if (entry.isFile) {
    const file = await new Promise((resolve, reject) => entry.file(resolve, reject)).catch(() => null);
    if (file) yield { file: /** @type {File} */ (file), name, isNamed };
    return;
  }
  const reader = entry.createReader();
  for (;;) {
    // A reader gives a hundred entries at a time, and none at the end.
    const entries = /** @type {any[]} */ (await new Promise((resolve, reject) => reader.readEntries(resolve, reject)).catch(() => []));
    if (!entries.length) return;
    for (const each of entries) yield* filesOfEntry(each, `${name}/`, false);
  }
}
