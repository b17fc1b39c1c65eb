// The header: the theme, and the field of the API key.

import { key } from "./api.js";
import { byId, debounced } from "./elements.js";
import { loadServer } from "./server.js";
import { inBrowser, inTab } from "./storage.js";

const KEY = "twopass-key"; // as /docs has it
const THEME = "twopass-theme";
const THEMES = ["system", "light", "dark"];

/** Starts the button that chooses between light, dark, and what the system prefers. */
export function startTheme() {
  const button = byId("theme");
  let theme = inBrowser.get(THEME) ?? "";
  if (!THEMES.includes(theme)) theme = "system";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = { system: "◐ Auto", light: "☀ Light", dark: "☾ Dark" }[theme];
    button.setAttribute("aria-label", `${button.textContent} colours`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    inBrowser.set(THEME, theme);
    show();
  });
  show();
}

/** Starts the field of the API key: what is typed is kept for this tab of the browser, and tried. */
export function startKey() {
  const field = byId("key");
  field.value = inTab.get(KEY) ?? "";
  const useKey = debounced(400, () => loadServer());
  field.addEventListener("input", () => {
    inTab.set(KEY, key());
    byId("key-form").classList.remove("wanted");
    useKey();
  });
  byId("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    loadServer();
  });
}
