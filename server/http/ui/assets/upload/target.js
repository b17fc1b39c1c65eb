// Which collection files go to.

import { byId, element } from "../elements.js";

/** Says on the button where the files will go. */
export function showTarget() {
  const button = document.getElementById("upload-go");
  if (button) button.textContent = `Upload to ${byId("upload-collection").value || "a new collection"}`;
}

/** Fills the choice of where files go. @param {any[]} all */
export function showTargets(all) {
  const choice = byId("upload-collection");
  const chosen = choice.value;
  choice.replaceChildren(
    ...all.map(({ name }) => element("option", { value: name, textContent: name })),
    element("option", { value: "", textContent: "a new collection…" }),
  );
  choice.value = all.some(({ name }) => name === chosen) ? chosen : (all[0]?.name ?? "");
  showTarget();
}

/** Chooses where files go, and leads to where they are chosen. @param {string} name */
export function addTo(name) {
  byId("upload-collection").value = name;
  showTarget();
  byId("upload").scrollIntoView({ block: "nearest" });
  (document.getElementById("upload-files") ?? byId("upload-collection")).focus();
}
