// The page /ui: search with both passes side by side, collections, and reranking of pasted texts.
//
// Sections, in this order:
//   core          elements, numbers, calls of the server's REST, what is told to the eye and the ear
//   shell         tabs, theme, API key, the address's hash, the list of collections
//   search        settings, one search for both columns, lines, bars, spans, waterfall
//   judging       which hits are relevant, and the file of judgements
//   collections   what there is, and uploads
//   rerank        pasted passages in order
//   start
//
// Whatever comes from a document or the server becomes text, never markup.
"use strict";

/* ===== core ===== */

/**
 * Makes an element. Properties are those of the DOM; names with a dash are attributes.
 * Children that are null are left out.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.includes("-") || name === "role") made.setAttribute(name, String(value));
    else /** @type {any} */ (made)[name] = value;
  }
  made.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined)));
  return made;
}

/**
 * Makes an element of SVG with attributes.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElement}
 */
function drawn(tag, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/**
 * The element of an id that the page is known to have.
 *
 * @param {string} id
 * @returns {any}
 */
function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/** Whole numbers with separators, as in 5,807. @param {number | string} value */
function count(value) {
  return Number(value).toLocaleString("en");
}

/** A number and its noun. @param {number} value @param {string} one @param {string} [many] */
function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Milliseconds of a duration of proto JSON such as "0.0123s"; null where it is unset. @param {string | null | undefined} duration */
function milliseconds(duration) {
  return duration ? Number.parseFloat(duration) * 1000 : null;
}

/** Milliseconds for people. @param {number} value */
function told(value) {
  if (value >= 9_950) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 995) return `${(value / 1000).toFixed(1)} s`;
  return value >= 9.95 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

/** A call that failed: the status of HTTP (0 where nothing answered), the code, and the server's words. */
class ApiError extends Error {
  /**
   * @param {number} status
   * @param {string} code
   * @param {string} message
   */
  constructor(status, code, message) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

/**
 * Calls the server's REST with the key of the header.
 *
 * @param {string} method
 * @param {string} path Below /api/v1; the caller encodes names in it.
 * @param {unknown} [body] Sent as JSON.
 * @param {{signal?: AbortSignal}} [options]
 * @returns {Promise<any>} The answer's JSON.
 */
async function api(method, path, body, { signal } = {}) {
  /** @type {Record<string, string>} */
  const headers = {};
  if (key()) headers.authorization = `Bearer ${key()}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  /** @type {Response} */
  let response;
  try {
    response = await fetch(`/api/v1${path}`, { method, headers, body: body === undefined ? undefined : JSON.stringify(body), signal });
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") throw error;
    showServer(false);
    throw new ApiError(0, "unreachable", `${location.host} does not answer.`);
  }
  showServer(true);
  const text = await response.text();
  const answer = jsonOf(text);
  if (!response.ok) {
    const { code = `HTTP ${response.status}`, message = text || response.statusText } = answer ?? {};
    if (response.status === 401) wantKey();
    throw new ApiError(response.status, code, message);
  }
  if (answer === undefined) throw new ApiError(response.status, "not_json", "The answer is not JSON; is this address a twopass server's?");
  return answer;
}

/** What JSON says; undefined where it is none. @param {string} text */
function jsonOf(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** The path of a collection. @param {string} name */
function collectionPath(name) {
  return `/collections/${encodeURIComponent(name)}`;
}

/** Tells those who hear the page rather than see it. @param {string} text */
function say(text) {
  byId("live").textContent = text;
}

/**
 * What a failure means for a person: a title, the server's own words, and what can be done.
 *
 * @param {unknown} error
 * @param {() => void} [again] What tries it again; a button is offered where that may help.
 * @returns {HTMLElement}
 */
function failure(error, again) {
  const { status = -1, message = String(error) } = error instanceof ApiError ? error : { message: String(error) };
  const [title, way] =
    status === 0
      ? ["The server does not answer", "It may have ended, or be starting. What stands here is from before."]
      : status === 401
        ? [key() ? "This API key is unknown to the server" : "This server wants an API key", "Put it into the field at the top; it stays in this tab of your browser."]
        : status === 403
          ? ["This API key may not do that", "Another key, or another collection, may be what you need."]
          : status === 404
            ? ["There is no such thing", ""]
            : status === 429
              ? ["The server is full", "It takes no more work at the moment; try again shortly."]
              : status === 503
                ? ["The server is not ready", "It starts or ends, or its engine is being rebuilt; try again shortly."]
                : status === 504
                  ? ["It took too long", ""]
                  : status === 400
                    ? ["The server can't do that", ""]
                    : ["That went wrong", ""];
  const button = again && [0, 429, 503, 504].includes(status) ? element("button", { type: "button", textContent: "Try again", onclick: again }) : null;
  const toKey = status === 401 ? element("button", { type: "button", textContent: "To the field", onclick: () => byId("key").focus() }) : null;
  say(`${title}. ${message}`);
  return element(
    "div",
    { className: "notice bad" },
    element("h3", { textContent: title }),
    element("p", { textContent: message }),
    way ? element("p", { className: "soft", textContent: way }) : null,
    button || toKey ? element("div", { className: "actions" }, button, toKey) : null,
  );
}

/** Calls a function when it was not asked for again for some time. @param {number} delay @param {() => void} run */
function debounced(delay, run) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(run, delay);
  };
}

/** Copies text, also where the page is not trusted with the clipboard (plain HTTP from afar). @param {string} text */
async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return;
  } catch {
    // No clipboard here, or not allowed: the old way below.
  }
  const before = document.activeElement;
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
}

/** Offers a file to save. @param {string} name @param {string} content @param {string} type */
function saveFile(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/* ===== shell ===== */

const KEY = "twopass-key"; // as /docs has it
const THEME = "twopass-theme";
const TABS = ["search", "collections", "rerank"];
const THEMES = ["system", "light", "dark"];

/** What the page knows of the server. @type {{grpcPort: number, needsKey: boolean, models: any[], collections: any[] | null}} */
const server = { grpcPort: 50051, needsKey: false, models: [], collections: null };

/** Called with the collections whenever they were read. @type {((collections: any[]) => void)[]} */
const onCollections = [];

/** Called when a tab comes to the front, by its name. @type {Record<string, () => void>} */
const onTab = {};

function key() {
  return byId("key").value.trim();
}

function wantKey() {
  byId("key-form").classList.add("wanted");
}

/** @param {boolean} answers */
function showServer(answers) {
  byId("server").classList.toggle("lost", !answers);
  if (!answers) byId("server").textContent = "no answer";
}

/** The name and the settings in the address's hash, as in #search?collection=docs&q=sky. */
function readHash() {
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
function writeHash(tab, settings, isStep) {
  const hash = `#${tab}${settings.size ? `?${settings}` : ""}`;
  if (hash === location.hash) return;
  history[isStep ? "pushState" : "replaceState"](null, "", hash);
}

/** Brings a tab to the front. @param {string} name */
function showTab(name) {
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

function startTabs() {
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

function startTheme() {
  const button = byId("theme");
  let theme = localStorage.getItem(THEME) ?? "system";
  const show = () => {
    if (theme === "system") delete document.documentElement.dataset.theme;
    else document.documentElement.dataset.theme = theme;
    button.textContent = { system: "◐ Auto", light: "☀ Light", dark: "☾ Dark" }[theme];
    button.setAttribute("aria-label", `${button.textContent} colours`);
  };
  button.addEventListener("click", () => {
    theme = THEMES[(THEMES.indexOf(theme) + 1) % THEMES.length];
    localStorage.setItem(THEME, theme);
    show();
  });
  show();
}

function startKey() {
  const field = byId("key");
  field.value = sessionStorage.getItem(KEY) ?? "";
  const useKey = debounced(400, () => loadServer());
  field.addEventListener("input", () => {
    sessionStorage.setItem(KEY, key());
    byId("key-form").classList.remove("wanted");
    useKey();
  });
  byId("key-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    loadServer();
  });
}

/** Reads what there is: the server, its models, its collections. Failures are told above the tabs. */
async function loadServer() {
  const notice = byId("notice");
  try {
    const surroundings = await (await fetch("/ui/server.json")).json();
    server.grpcPort = surroundings.grpc_port;
    server.needsKey = surroundings.needs_key;
    byId("key").placeholder = server.needsKey ? "needed here" : "none needed";
    const [{ models }, info] = await Promise.all([api("GET", "/models"), api("GET", "/server"), loadCollections()]);
    server.models = models;
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

/** Reads the collections, and tells all who show them. */
async function loadCollections() {
  const found = [];
  let token = "";
  do {
    const page = await api("GET", `/collections?page_token=${encodeURIComponent(token)}`);
    found.push(...page.collections);
    token = page.next_page_token;
  } while (token);
  server.collections = found;
  for (const listener of onCollections) listener(found);
  return found;
}

/* ===== search ===== */

/* ===== judging ===== */

/* ===== collections ===== */

/* ===== rerank ===== */

/* ===== start ===== */

startTheme();
startKey();
startTabs();
showTab(readHash().tab);
window.addEventListener("hashchange", () => showTab(readHash().tab));
loadServer();
