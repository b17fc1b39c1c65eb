// The panel of the collections.

import { byId, keepingFocus } from "../elements.js";
import { onCollections, refreshCollections, server } from "../server.js";
import { onTab } from "../tabs.js";
import { showTargets } from "../upload/target.js";
import { counted } from "../words.js";
import { collectionCard } from "./card.js";
import { startCreating } from "./creating.js";

const MAX_CARDS = 60; // the others are found by a part of their names

/** Shows the cards of the collections, and how many there are. */
function showCollections() {
  const all = server.collections;
  if (all === null) return;
  const wanted = byId("stored-filter").value.trim().toLowerCase();
  const shown = all.filter(({ name, aliases }) => [name, ...aliases].some((each) => each.includes(wanted)));
  const numDocuments = all.reduce((sum, each) => sum + Number(each.num_documents ?? 0), 0);
  byId("stored-told").textContent = all.length ? `${counted(all.length, "collection")}, ${counted(numDocuments, "document")}` : "";
  byId("stored-filter").parentElement.hidden = all.length <= 12;
  const focused = document.activeElement;
  const hadFocus = byId("stored").contains(focused);
  keepingFocus(hadFocus ? focused : null, () => byId("stored").replaceChildren(...shown.slice(0, MAX_CARDS).map(collectionCard)));
  const more = shown.length - MAX_CARDS;
  byId("stored-more").textContent = !all.length
    ? "No collections yet. Drop files above, or make one: twopass finds what is in it, and puts the right answer on top."
    : more > 0
      ? `${counted(more, "more collection")}; type a part of a name to find one.`
      : shown.length
        ? ""
        : "No collection is called so.";
  showTargets(all);
}

/** Starts the collections. */
export function startCollections() {
  startCreating();
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog")?.close());
  byId("stored-filter").addEventListener("input", showCollections);
  onCollections.push(showCollections);
  onTab.collections = refreshCollections;
}
