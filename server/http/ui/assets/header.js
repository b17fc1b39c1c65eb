// The header: the theme, the field of the API key, and reading what the server has.

import { api, ApiError, key, showServer } from "./api.js";
import { byId, debounced } from "./elements.js";
import { failure } from "./failure.js";
import { loadCollections, onModels, server } from "./server.js";
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

/** Reads what there is: the server, its models, its collections. Failures are told above the tabs. */
export async function loadServer() {
  const notice = byId("notice");
  try {
    const surroundings = await (await fetch("/ui/server.json")).json();
    server.grpcPort = surroundings.grpc_port;
    server.needsKey = surroundings.needs_key;
    byId("key-form").hidden = !server.needsKey && !key();
    const [{ models }, info] = await Promise.all([api("GET", "/models"), api("GET", "/server"), loadCollections()]);
    server.models = models;
    for (const listener of onModels) listener();
    byId("server").textContent = `version ${info.server.version}`;
    byId("key-form").classList.remove("wanted");
    notice.hidden = true;
  } catch (error) {
    const shown = error instanceof ApiError ? error : new ApiError(0, "unreachable", `${location.host} does not answer.`);
    if (shown.status === 0) showServer(false);
    notice.replaceChildren(...failure(shown, loadServer).childNodes);
    notice.className = "notice bad";
    notice.hidden = false;
  }
}
