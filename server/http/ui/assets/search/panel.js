// The panel of the search: what its parts do when they are used.

import { byId, element, say } from "../elements.js";
import { failure } from "../failure.js";
import { collectionOf, onCollections, onModels } from "../server.js";
import { inBrowser } from "../storage.js";
import { onTab, readHash, writeHash } from "../tabs.js";
import { quoted } from "../words.js";
import { shown } from "./answer.js";
import { showBeginning } from "./beginning.js";
import { filterSettled, loadTexts, onAnswer, search, searchIfDue, settingsChanged, showTitle } from "./call.js";
import { startCopy } from "./copies.js";
import { showFound } from "./found.js";
import { focusedCard, keyInList, keyInQuery, showWhich } from "./keys.js";
import { drawLines, setOff } from "./lines.js";
import { asked, fillForm, hashOf, showRerankers, takeBeginning } from "./settings.js";
import { placeOwnBlend, sliderElement, SLIDERS } from "./sliders.js";

/** Whether there were collections to search. */
let hasBegun = false;

/** Searches for the query that the form has; without one shows what there is to begin with. */
function begin() {
  hasBegun = true;
  const { tab, settings } = readHash();
  const named = tab === "search" ? settings.get("collection") : null;
  if (named && !collectionOf(named)) showMissing(named);
  else if (byId("query").value.trim()) search(false);
  else showBeginning();
}

/** Says that the address asks for a collection that is not there, rather than search another one. @param {string} name */
function showMissing(name) {
  showBeginning();
  const title = `There is no collection ${quoted(name)} here`;
  const way = "It may have been deleted or renamed since the address was shared, or be another server’s. Choose a collection above to search.";
  byId("search-notice").replaceChildren(
    element("div", { className: "notice bad" }, element("p", { className: "notice-title", textContent: title }), element("p", { className: "soft", textContent: way })),
  );
  say(`${title}. ${way}`);
}

/** Searches for what was typed; without a query goes back to the beginning. */
function submit() {
  if (byId("query").value.trim()) search(true);
  else clear();
}

/** Goes back to before the first search, in the address and the title too. */
function clear() {
  showBeginning();
  writeHash("search", hashOf(asked()), false);
  showTitle();
}

/** Searches for what the address asks for, if it is not shown already. */
export function followHash() {
  const { tab, settings } = readHash();
  if (tab !== "search") return;
  fillForm(settings);
  if (hasBegun) begin();
}

/** Fills the choice of collections; says what to do where there are none. @param {any[]} collections */
function showCollectionChoice(collections) {
  const select = byId("collection");
  const before = select.value || (readHash().tab === "search" ? readHash().settings.get("collection") : "") || inBrowser.get("twopass-collection");
  const names = collections.flatMap((collection) => [collection.name, ...collection.aliases]);
  select.replaceChildren(...collections.flatMap((collection) => [
    element("option", { value: collection.name, textContent: collection.name }),
    ...collection.aliases.map((/** @type {string} */ alias) => element("option", { value: alias, textContent: `${alias} → ${collection.name}` })),
  ]));
  if (before && names.includes(before)) select.value = before;
  takeBeginning(readHash().tab === "search" ? readHash().settings : undefined);
  // The hits of a collection that was deleted go with it.
  if (shown.wanted && !names.includes(shown.wanted.collection)) showBeginning();
  const isNone = collections.length === 0;
  for (const id of ["collection", "query", "search-go"]) byId(id).disabled = isNone;
  byId("settings").hidden = isNone;
  if (isNone) {
    byId("search-notice").replaceChildren(
      element(
        "div",
        { className: "notice welcome" },
        element("h3", { textContent: "Nothing to search yet" }),
        element("p", { textContent: "Bring documents in, as lines of JSON, CSV, Markdown or plain text, and see what each of the two passes makes of a question." }),
        element("div", { className: "actions" }, element("button", { type: "button", className: "primary", textContent: "Bring documents in", onclick: () => byId("tab-collections").click() })),
      ),
    );
    for (const id of ["examples", "beginning"]) byId(id).hidden = true;
    return;
  }
  if (byId("search-notice").querySelector(".welcome")) byId("search-notice").replaceChildren();
  if (!hasBegun) begin();
}

/** Starts the search. */
export function startSearch() {
  onAnswer.push(showFound);
  onModels.push(showRerankers, () => takeBeginning(readHash().tab === "search" ? readHash().settings : undefined));
  for (const [place, sliders] of Object.entries(SLIDERS)) byId(place).replaceChildren(...sliders.map((slider) => sliderElement(slider, settingsChanged)));
  byId("settings").open = matchMedia("(min-width: 62rem)").matches;
  byId("search-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    inBrowser.set("twopass-collection", byId("collection").value);
    submit();
  });
  byId("collection").addEventListener("change", () => {
    inBrowser.set("twopass-collection", byId("collection").value);
    takeBeginning();
    showBeginning();
    submit();
  });
  byId("query").addEventListener("input", () => {
    if (!byId("query").value) clear();
  });
  byId("model").addEventListener("change", placeOwnBlend);
  for (const radio of document.querySelectorAll("input[name=mode], #rerank-on, #spans-on, #model")) radio.addEventListener("change", settingsChanged);
  byId("filter").addEventListener("input", filterSettled);
  byId("settings-reset").addEventListener("click", () => {
    const kept = new URLSearchParams({ collection: byId("collection").value, q: byId("query").value });
    fillForm(kept);
    search(false);
  });
  for (const radio of document.querySelectorAll("input[name=which]")) radio.addEventListener("change", () => showWhich(/** @type {any} */ (radio).value));
  byId("show-all").addEventListener("click", async () => {
    const { wanted, answer } = shown;
    const showsAll = !shown.showsAll;
    if (!wanted) return;
    try {
      await loadTexts(wanted, answer, showsAll);
    } catch (error) {
      byId("search-notice").replaceChildren(failure(error));
      return;
    }
    // Another answer may be shown by now.
    if (shown.answer !== answer) return;
    shown.showsAll = showsAll;
    showFound();
  });
  const passes = byId("passes");
  passes.addEventListener("keydown", keyInList);
  byId("query").addEventListener("keydown", keyInQuery);
  const over = (/** @type {Event} */ event) => setOff(/** @type {HTMLElement} */ (/** @type {HTMLElement} */ (event.target).closest(".hit"))?.dataset.id);
  passes.addEventListener("pointerover", over);
  passes.addEventListener("focusin", over);
  passes.addEventListener("pointerleave", () => setOff(focusedCard()?.id));
  passes.addEventListener("focusout", () => setOff(undefined));
  new ResizeObserver(drawLines).observe(passes);
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target instanceof HTMLElement && event.target.matches("input:not([type=range], [type=radio], [type=checkbox]), textarea, select");
    if (event.key !== "/" || isTyping || event.ctrlKey || event.metaKey || event.altKey) return;
    event.preventDefault();
    if (byId("panel-search").hidden) byId("tab-search").click();
    byId("query").focus();
    byId("query").select();
  });
  startCopy();
  onCollections.push(showCollectionChoice);
  onTab.search = () => {
    // Where the address says otherwise, the tab was chosen here rather than by the address.
    if (readHash().tab !== "search") writeHash("search", hashOf(asked()), true);
    showTitle();
    searchIfDue();
    requestAnimationFrame(drawLines);
  };
}
