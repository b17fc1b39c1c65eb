// The tabs, and the part of the address that says what they show.

import { byId } from "./elements.js";

const TABS = ["search", "collections", "rerank"];

/** Called when a tab comes to the front, by its name. @type {Record<string, () => void>} */
export const onTab = {};

/** Whether the address's hash is that of a tab, rather than of a place in the page. */
export function namesTab() {
  const [name] = location.hash.slice(1).split("?");
  return name === "" || TABS.includes(name);
}

/** The name and the settings in the address's hash, as in #search?collection=docs&q=sky. */
export function readHash() {
  const [name = "", settings = ""] = location.hash.slice(1).split(/\?(.*)/s);
  return { tab: TABS.includes(name) ? name : "search", settings: new URLSearchParams(settings) };
}

/**
 * Puts a tab's settings into the address, so that a view can be shared.
 *
 * @param {string} tab
 * @param {URLSearchParams} settings
 * @param {boolean} isStep Whether the browser's back button returns to what was before.
 */
export function writeHash(tab, settings, isStep) {
  const hash = `#${tab}${settings.size ? `?${settings}` : ""}`;
  if (hash === location.hash) return;
  history[isStep ? "pushState" : "replaceState"](null, "", hash);
}

/** Opens the search of a collection. @param {string} name */
export function searchIn(name) {
  location.hash = `#search?${new URLSearchParams({ collection: name })}`;
}

/** Brings a tab to the front. @param {string} name */
export function showTab(name) {
  for (const each of TABS) {
    const isShown = each === name;
    const tab = byId(`tab-${each}`);
    tab.setAttribute("aria-selected", String(isShown));
    tab.tabIndex = isShown ? 0 : -1;
    byId(`panel-${each}`).hidden = !isShown;
  }
  document.title = `twopass: ${name}`;
  onTab[name]?.();
}

/** Starts the tabs, for the pointer and for the keys. */
export function startTabs() {
  for (const [at, name] of TABS.entries()) {
    const tab = byId(`tab-${name}`);
    tab.addEventListener("click", () => {
      showTab(name);
      if (name !== "search") writeHash(name, new URLSearchParams(), true);
    });
    tab.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
      const to = { ArrowRight: at + 1, ArrowLeft: at - 1, Home: 0, End: TABS.length - 1 }[event.key];
      if (to === undefined) return;
      event.preventDefault();
      const next = byId(`tab-${TABS[(to + TABS.length) % TABS.length]}`);
      next.focus();
      next.click();
    });
  }
}
