// The upload within the panel of the collections.

import { byId } from "../elements.js";
import { droppedFiles, onChosen, showChoosing } from "./choosing.js";
import { look } from "./review.js";
import { running } from "./running.js";
import { showTarget } from "./target.js";

/** Starts the upload. */
export function startUpload() {
  onChosen.push(look);
  const panel = byId("panel-collections");
  let depth = 0;
  const mark = (/** @type {number} */ change) => {
    depth = Math.max(0, depth + change);
    byId("upload").classList.toggle("over", depth > 0 && !running);
  };
  byId("upload-collection").addEventListener("change", showTarget);
  panel.addEventListener("dragenter", () => mark(1));
  panel.addEventListener("dragleave", () => mark(-1));
  panel.addEventListener("dragover", (/** @type {DragEvent} */ event) => event.preventDefault());
  panel.addEventListener("drop", async (/** @type {DragEvent} */ event) => {
    event.preventDefault();
    mark(-depth);
    if (event.dataTransfer && !running) await look(await droppedFiles(event.dataTransfer));
  });
  for (const name of /** @type {const} */ (["dragover", "drop"])) document.addEventListener(name, takeElsewhere);
  showChoosing();
}

/** Takes files that are dropped beside the panel: a browser would leave the page for them. @param {DragEvent} event */
async function takeElsewhere(event) {
  const isOfOther = event.target instanceof HTMLInputElement && event.target.type === "file";
  if (event.defaultPrevented || isOfOther || !event.dataTransfer?.types.includes("Files")) return;
  event.preventDefault();
  if (event.type !== "drop" || running) return;
  const dropped = droppedFiles(event.dataTransfer); // readable until the event ends
  byId("tab-collections").click();
  await look(await dropped);
}
