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
  showChoosing();
}
