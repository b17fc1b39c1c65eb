// The page /ui: search with both passes side by side, collections, and reranking of pasted texts.
//
// Sections, in this order:
//   core          elements, numbers, calls of the server's REST, what is told to the eye and the ear
//   shell         tabs, theme, API key, the address's hash, the list of collections
//   search        settings, one search for both columns, lines, bars, spans, waterfall
//   judging       which hits are relevant, and the file of judgements
//   collections   what there is, creating and deleting
//   upload        fields of files become documents, and documents go to the server in chunks
//   reading files records of what was chosen, streamed
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
   * @param {number} [retryAfter] Milliseconds after which the server would be asked again; 0 where it does not say.
   */
  constructor(status, code, message, retryAfter = 0) {
    super(message);
    this.status = status;
    this.code = code;
    this.retryAfter = retryAfter;
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
    throw new ApiError(response.status, code, message, 1000 * Number(response.headers.get("retry-after") ?? 0));
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

/** What is known of a collection by its name or an alias; undefined for none. @param {string} name */
function collectionOf(name) {
  return server.collections?.find((each) => each.name === name || each.aliases.includes(name));
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
                  ? ["Nothing was ready in time", "A larger time budget, or none, gives it the time; so do fewer candidates."]
                  : status === 400
                    ? ["The server can't do that", ""]
                    : ["That went wrong", ""];
  const button = again && [0, 429, 503, 504].includes(status) ? element("button", { type: "button", textContent: "Try again", onclick: again }) : null;
  const toKey = status === 401 ? element("button", { type: "button", textContent: "To the field", onclick: () => byId("key").focus() }) : null;
  // What the server says of a missing key, programs need: the page has a field for it.
  const told = status === 401 ? "" : message;
  say(`${title}. ${told || way}`);
  return element(
    "div",
    { className: "notice bad" },
    element("p", { className: "notice-title", textContent: title }),
    told ? element("p", { textContent: told }) : null,
    way ? element("p", { className: "soft", textContent: way }) : null,
    button || toKey ? element("div", { className: "actions" }, button, toKey) : null,
  );
}

/**
 * A text with what can't be seen made visible: control characters as their pictures, and what turns
 * the direction of writing as its code. Line feeds and tabs stay.
 *
 * @param {string} text
 */
function printable(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (found) => {
    const code = found.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/**
 * A function that runs another when it was not called again for some time; `cancel` forgets a call.
 *
 * @param {number} delay Milliseconds.
 * @param {() => void} run
 */
function debounced(delay, run) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(run, delay);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
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
  byId("key-form").hidden = false;
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
    byId("key-form").hidden = !server.needsKey && !key();
    const [{ models }, info] = await Promise.all([api("GET", "/models"), api("GET", "/server"), loadCollections()]);
    server.models = models;
    showRerankers();
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

/* --- search: settings --- */

/**
 * A slider's stops. `null` leaves the setting to the server.
 *
 * @typedef {{name: string, label: string, hint: string, stops: (number | null)[], unset: number | null,
 *   told: (value: number | null) => string}} Slider
 */

const MOST_CANDIDATES = 2048;

/** @type {Slider} */
const BLEND = {
  name: "blend",
  label: "Blend",
  hint: "The weight of the first pass in the final order: 0 is the second pass alone. Own: what the reranker’s makers chose.",
  stops: blendStops(Number.NaN),
  unset: null,
  told: (value) => (value !== null ? value.toFixed(2) : Number.isNaN(ownBlend()) ? "own" : `${ownBlend().toFixed(2)} (own)`),
};

/** @type {Record<string, Slider[]>} */
const SLIDERS = {
  "sliders-first": [
    {
      name: "k",
      label: "Candidates",
      hint: "How many documents the first pass finds (k).",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, MOST_CANDIDATES],
      unset: 50,
      told: (value) => count(value ?? 50),
    },
  ],
  "sliders-second": [
    {
      name: "depth",
      label: "Depth",
      hint: "How many of the candidates the second pass reads.",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, null],
      unset: null,
      told: (value) => (value === null ? "all" : count(value)),
    },
    BLEND,
  ],
  "sliders-answer": [
    {
      name: "top_n",
      label: "Top",
      hint: "How many hits your application asks for (top_n).",
      stops: [1, 2, 3, 5, 10, 15, 20, 30, 50, 100],
      unset: 10,
      told: (value) => count(value ?? 10),
    },
    {
      name: "budget",
      label: "Time budget",
      hint: "How long the server may take; what is late is left out, and the answer says so.",
      stops: [5, 10, 15, 20, 30, 40, 50, 75, 100, 150, 200, 300, 500, 1000, 2000, 5000, null],
      unset: null,
      told: (value) => (value === null ? "none" : value >= 1000 ? `${value / 1000} s` : `${value} ms`),
    },
  ],
};

const MODES = { hybrid: "RETRIEVE_MODE_HYBRID", dense: "RETRIEVE_MODE_DENSE", lexical: "RETRIEVE_MODE_LEXICAL" };
const SETTLE_MS = 250; // how long a slider must rest before it searches
const FILTER_MS = 600; // and how long nothing must be typed into the filter

/** @returns {Slider[]} */
function allSliders() {
  return Object.values(SLIDERS).flat();
}

/** The reranker that searches use now; undefined before the models were read. */
function rerankerInUse() {
  const chosen = byId("model").value;
  return server.models.find((model) => model.kind === "MODEL_KIND_RERANKER" && (chosen ? model.id === chosen : model.default));
}

/** The blend of the reranker in use; NaN before the models were read. @returns {number} */
function ownBlend() {
  return rerankerInUse()?.blend ?? Number.NaN;
}

/** Stops of the blend, with the model's own where its value belongs. @param {number} own */
function blendStops(own) {
  const others = Array.from({ length: 21 }, (_, step) => step / 20).filter((stop) => !(Math.abs(stop - own) <= 0.001));
  const place = others.filter((stop) => stop < own).length;
  return [...others.slice(0, place), null, ...others.slice(place)];
}

/** Puts the model's own blend where its value belongs. */
function placeOwnBlend() {
  const value = sliderValue(BLEND);
  BLEND.stops = blendStops(ownBlend());
  byId("blend").max = String(BLEND.stops.length - 1);
  setSlider(BLEND, value);
}

/** @param {Slider} slider @returns {number | null} */
function sliderValue(slider) {
  return slider.stops[Number(byId(slider.name).value)];
}

/** @param {Slider} slider @param {number | null} value The nearest stop is taken. */
function setSlider(slider, value) {
  const distance = (/** @type {number | null} */ stop) => (value === null || stop === null ? (stop === value ? 0 : Infinity) : Math.abs(stop - value));
  const nearest = slider.stops.reduce((/** @type {number} */ best, stop, at) => (distance(stop) < distance(slider.stops[best]) ? at : best), 0);
  byId(slider.name).value = distance(slider.stops[nearest]) === Infinity ? slider.stops.indexOf(slider.unset) : nearest;
  showSlider(slider);
}

/** @param {Slider} slider */
function showSlider(slider) {
  const input = byId(slider.name);
  const text = slider.told(sliderValue(slider));
  input.setAttribute("aria-valuetext", text);
  input.style.setProperty("--part", String(Number(input.value) / (slider.stops.length - 1)));
  byId(`${slider.name}-told`).textContent = text;
}

/** @param {Slider} slider */
function sliderElement(slider) {
  const input = element("input", { type: "range", id: slider.name, min: "0", max: String(slider.stops.length - 1), step: "1", "aria-describedby": `${slider.name}-hint` });
  input.value = String(slider.stops.indexOf(slider.unset));
  input.addEventListener("input", () => {
    showSlider(slider);
    settingsChanged();
  });
  return element(
    "div",
    { className: "slider", title: slider.hint },
    element("label", { htmlFor: slider.name, textContent: slider.label }),
    element("output", { id: `${slider.name}-told`, "aria-live": "off" }),
    input,
    element("span", { id: `${slider.name}-hint`, className: "unseen", textContent: slider.hint }),
  );
}

/**
 * What is asked for.
 *
 * @typedef {{collection: string, query: string, mode: string, rerank: boolean, model: string, filter: string,
 *   k: number, depth: number | null, blend: number | null, top_n: number, budget: number | null}} Asked
 */

/** Reads what is asked for from the form. @returns {Asked} */
function asked() {
  const numbers = Object.fromEntries(allSliders().map((slider) => [slider.name, sliderValue(slider)]));
  return /** @type {Asked} */ ({
    collection: byId("collection").value,
    query: byId("query").value.trim(),
    mode: /** @type {HTMLInputElement} */ (document.querySelector("input[name=mode]:checked")).value,
    rerank: byId("rerank-on").checked,
    model: byId("model").value,
    filter: byId("filter").value.trim(),
    ...numbers,
  });
}

/** What differs from the defaults, for the address. @param {Asked} wanted */
function hashOf(wanted) {
  const settings = new URLSearchParams();
  if (wanted.collection) settings.set("collection", wanted.collection);
  if (wanted.query) settings.set("q", wanted.query);
  if (wanted.mode !== "hybrid") settings.set("mode", wanted.mode);
  if (!wanted.rerank) settings.set("rerank", "off");
  if (wanted.model) settings.set("model", wanted.model);
  if (wanted.filter) settings.set("filter", wanted.filter);
  for (const slider of allSliders()) {
    const value = /** @type {any} */ (wanted)[slider.name];
    if (value !== slider.unset) settings.set(slider.name, String(value));
  }
  return settings;
}

/** Fills the form from the address. @param {URLSearchParams} settings */
function fillForm(settings) {
  const collection = settings.get("collection");
  if (collection && [...byId("collection").options].some((option) => option.value === collection)) byId("collection").value = collection;
  byId("query").value = settings.get("q") ?? "";
  const mode = settings.get("mode") ?? "hybrid";
  for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=mode]"))) radio.checked = radio.value === (mode in MODES ? mode : "hybrid");
  byId("rerank-on").checked = settings.get("rerank") !== "off";
  byId("model").value = settings.get("model") ?? "";
  byId("filter").value = settings.get("filter") ?? "";
  for (const slider of allSliders()) {
    const given = Number.parseFloat(settings.get(slider.name) ?? "");
    setSlider(slider, Number.isNaN(given) ? slider.unset : given);
  }
  showSettings();
}

/** Says in a line what is set, for when the settings are folded. */
function showSettings() {
  const wanted = asked();
  const isOff = !wanted.rerank;
  for (const slider of SLIDERS["sliders-second"]) byId(slider.name).disabled = isOff;
  const parts = [
    { hybrid: "meaning and words", dense: "meaning", lexical: "words" }[wanted.mode],
    `${count(wanted.k)} candidates`,
    isOff ? "no second pass" : `depth ${SLIDERS["sliders-second"][0].told(wanted.depth)}`,
    isOff ? null : `blend ${BLEND.told(wanted.blend)}`,
    `top ${wanted.top_n}`,
    wanted.budget === null ? null : `${SLIDERS["sliders-answer"][1].told(wanted.budget)} budget`,
    wanted.filter || null,
  ];
  byId("settings-told").textContent = parts.filter((part) => part !== null).join(" · ");
}

/* --- search: filters as the command has them --- */

const FIELD = String.raw`(?:"(?:[^"\\]|\\.)*"|[^!=<>^&])+?`;
const CONDITION = new RegExp(String.raw`^(${FIELD})\s*(!=|>=|<=|\^=|=|>|<)\s*(.*)$`, "s");
const ALONE = new RegExp(String.raw`^(!?)\s*(${FIELD})$`, "s");
const TIME = /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/;
const BOUNDS = /** @type {Record<string, string>} */ ({ ">": "gt", ">=": "gte", "<": "lt", "<=": "lte" });

/** A filter that can't be read, told beside its field. */
class FilterError extends Error {}

/**
 * Reads conditions joined by `&`, or a Filter of the contract in JSON.
 *
 * @param {string} text
 * @returns {{filter: any, python: string} | null} The filter, and the same in Python; null for none.
 */
function parsedFilter(text) {
  if (!text) return null;
  if (text.startsWith("{")) {
    const filter = jsonOf(text);
    if (typeof filter !== "object" || filter === null) throw new FilterError("This begins as JSON and is none.");
    return { filter, python: `Parse(${pythonText(JSON.stringify(filter))}, Filter())` };
  }
  const conditions = text.split(/\s*&\s*/).filter(Boolean).map(parsedCondition);
  const must = conditions.filter((each) => !each.isNot).map((each) => ({ field: each.condition }));
  const mustNot = conditions.filter((each) => each.isNot).map((each) => ({ field: each.condition }));
  return {
    filter: { ...(must.length && { must }), ...(mustNot.length && { must_not: mustNot }) },
    python: conditions.map((each) => (conditions.length > 1 ? `(${each.python})` : each.python)).join(" & "),
  };
}

/** @param {string} given @returns {{condition: any, isNot: boolean, python: string}} */
function parsedCondition(given) {
  const match = CONDITION.exec(given);
  if (!match) {
    const alone = ALONE.exec(given);
    if (!alone) throw new FilterError(`“${given}” is no condition; write it as in year>=1990.`);
    const name = alone[2].trim();
    const exists = !alone[1];
    return { condition: { field: name, exists }, isNot: false, python: `field(${pythonText(name)}).${exists ? "exists" : "is_missing"}()` };
  }
  const [, spaced, operator, value] = match;
  const name = spaced.trim();
  const field = `field(${pythonText(name)})`;
  if (operator === "^=") {
    const parsed = jsonOf(value);
    const prefix = typeof parsed === "string" ? parsed : value;
    return { condition: { field: name, prefix }, isNot: false, python: `${field}.starts_with(${pythonText(prefix)})` };
  }
  if (operator in BOUNDS) {
    const bound = boundOf(value);
    return { condition: { field: name, interval: { [BOUNDS[operator]]: bound.literal } }, isNot: false, python: `${field} ${operator} ${bound.python}` };
  }
  const parsed = jsonOf(value);
  const values = Array.isArray(parsed) ? parsed : [numberIn(value) ?? (parsed === undefined ? value : parsed)];
  const literals = values.map(literalOf);
  const isNot = operator === "!=";
  const python = literals.length === 1 ? `${field}.equals(${literals[0].python})` : `${field}.is_in([${literals.map((each) => each.python).join(", ")}])`;
  return { condition: { field: name, any_of_literals: { values: literals.map((each) => each.literal) } }, isNot, python: isNot ? `~${field}.is_in([${literals.map((each) => each.python).join(", ")}])` : python };
}

/** A whole number as a bigint, so that none is rounded; undefined for anything else. @param {string} text */
function numberIn(text) {
  return /^-?(0|[1-9]\d*)$/.test(text) ? BigInt(text) : undefined;
}

/** @param {any} value @returns {{literal: any, python: string}} */
function literalOf(value) {
  if (typeof value === "bigint" || Number.isSafeInteger(value)) return { literal: { integer: String(value) }, python: String(value) };
  if (typeof value === "number") return { literal: { number: value }, python: String(value) };
  if (typeof value === "string") return { literal: { text: value }, python: pythonText(value) };
  if (typeof value === "boolean") return { literal: { boolean: value }, python: value ? "True" : "False" };
  if (value === null) return { literal: { null: "NULL_VALUE" }, python: "None" };
  throw new FilterError("Fields are compared with text, numbers, true, false and null.");
}

/** @param {string} value */
function boundOf(value) {
  if (TIME.test(value)) {
    const time = value.toUpperCase().replace(" ", "T");
    return { literal: { time }, python: `datetime.fromisoformat(${pythonText(time)})` };
  }
  const parsed = jsonOf(value);
  if (!value || typeof parsed === "boolean" || (typeof parsed === "object" && parsed !== undefined)) {
    throw new FilterError(`“${value}” is no bound; a number, a text or a time is needed.`);
  }
  return literalOf(numberIn(value) ?? (parsed === undefined ? value : parsed));
}

/* --- search: the call --- */

/** What is shown, and what runs. @type {{wanted: Asked | null, answer: any, roundTrip: number, showsAll: boolean, running: AbortController | null}} */
const shown = { wanted: null, answer: null, roundTrip: 0, showsAll: false, running: null };

/**
 * The body of a search.
 *
 * @param {Asked} wanted
 * @param {number} topN How many hits to return.
 */
function searchBody(wanted, topN) {
  const rerank = wanted.rerank
    ? { ...(wanted.depth !== null && { depth: Math.min(wanted.depth, wanted.k) }), ...(wanted.blend !== null && { blend: wanted.blend }), ...(wanted.model && { model: wanted.model }) }
    : { enabled: false };
  const filter = parsedFilter(wanted.filter);
  return {
    query: wanted.query,
    top_n: topN,
    retrieve: { mode: /** @type {any} */ (MODES)[wanted.mode], k: wanted.k },
    ...(Object.keys(rerank).length && { rerank }),
    ...(filter && { filter: filter.filter }),
    ...(wanted.budget !== null && { time_budget: `${wanted.budget / 1000}s` }),
  };
}

// Above so many candidates their texts are fetched for those that are shown alone.
const MOST_WITH_TEXT = 200;

/**
 * Searches for what the form says. One call feeds both columns: it returns all candidates in the
 * order of the second pass, each with its rank in the first.
 *
 * @param {boolean} isStep Whether the browser's back button returns to what was before.
 */
async function search(isStep) {
  settingsSettled.cancel();
  filterSettled.cancel();
  const wanted = asked();
  showSettings();
  writeHash("search", hashOf(wanted), isStep);
  shown.running?.abort();
  shown.running = null;
  byId("filter-told").textContent = "";
  if (!wanted.query || !wanted.collection) return;
  let body;
  try {
    body = searchBody(wanted, wanted.k);
  } catch (error) {
    if (!(error instanceof FilterError)) throw error;
    byId("filter-told").textContent = error.message;
    byId("settings").open = true;
    return;
  }
  const running = new AbortController();
  shown.running = running;
  byId("panel-search").setAttribute("aria-busy", "true");
  document.title = `${wanted.query} · twopass`;
  const carries = wanted.k > MOST_WITH_TEXT ? { fields: { text: false, metadata: false } } : {};
  performance.mark("search-asked");
  const began = performance.now();
  try {
    const answer = await api("POST", `${collectionPath(wanted.collection)}/search`, { ...body, ...carries }, { signal: running.signal });
    performance.mark("search-answered");
    Object.assign(shown, { wanted, answer, roundTrip: performance.now() - began, showsAll: false, running: null });
    await loadTexts(running.signal);
    byId("search-notice").replaceChildren();
    showFound();
    performance.mark("search-shown");
  } catch (error) {
    if (running.signal.aborted) return;
    shown.running = null;
    for (const id of ["found", "examples", "beginning"]) byId(id).hidden = true;
    byId("search-notice").replaceChildren(failure(error, () => search(false)));
  } finally {
    if (shown.running === null || shown.running === running) byId("panel-search").removeAttribute("aria-busy");
  }
}

/** Fetches the texts of hits that are shown and came without: too many, too large, or late. @param {AbortSignal} [signal] */
async function loadTexts(signal) {
  const { wanted, answer } = shown;
  if (!wanted) return;
  const isWithout = wanted.k > MOST_WITH_TEXT;
  const missing = shownHits().filter((hit) => (isWithout && hit.text === "" && hit.title === "") || hit.content_omitted);
  if (!missing.length) return;
  const found = await api("POST", `${collectionPath(wanted.collection)}/documents/get`, { ids: missing.map((hit) => hit.id) }, { signal });
  const byIdOf = new Map(found.documents.map((/** @type {any} */ document) => [document.id, document]));
  for (const hit of answer.hits) {
    const document = byIdOf.get(hit.id);
    if (document) Object.assign(hit, { title: document.title, text: document.text, metadata: document.metadata, content_omitted: false });
  }
}

const settingsSettled = debounced(SETTLE_MS, () => search(false));
const filterSettled = debounced(FILTER_MS, () => search(false));

/** Searches again once the settings rest, if there is a query. */
function settingsChanged() {
  showSettings();
  shown.running?.abort();
  settingsSettled();
}

/* --- search: what was found --- */

const WORST_SHOWN = 300; // of the candidates beyond the cut

/** Hits by their places in both orders. */
function placed() {
  const hits = /** @type {any[]} */ (shown.answer.hits).map((hit, at) => Object.assign(hit, { second_rank: at + 1 }));
  return { first: [...hits].sort((a, b) => a.first_pass_rank - b.first_pass_rank), second: hits };
}

/** Whether a hit has a card: it is in the top of either pass, or all are shown. @param {any} hit */
function hasCard(hit) {
  const topN = shown.wanted?.top_n ?? 10;
  if (shown.showsAll) return Math.min(hit.first_pass_rank, hit.second_rank) <= WORST_SHOWN;
  return hit.first_pass_rank <= topN || hit.second_rank <= topN;
}

function shownHits() {
  return placed().second.filter(hasCard);
}

/** Cards by document id, in each column. @type {{first: Map<string, HTMLElement>, second: Map<string, HTMLElement>}} */
const cards = { first: new Map(), second: new Map() };

/** Back to before the first search: examples, and what the two passes are. */
function showBeginning() {
  shown.running?.abort();
  Object.assign(shown, { answer: null, wanted: null, running: null });
  for (const column of /** @type {const} */ (["first", "second"])) cards[column].clear();
  byId("found").hidden = true;
  const isEmpty = server.collections?.length === 0;
  if (!isEmpty) byId("search-notice").replaceChildren();
  byId("beginning").hidden = isEmpty;
  showExamples();
  showJudged();
}

/** Shows the answer in both columns. Cards that were there glide to their new places. */
function showFound() {
  const { answer, wanted } = shown;
  if (!wanted) return;
  const before = cardPlaces();
  const focused = focusedCard();
  const opened = new Set([...document.querySelectorAll(".hit.open")].map((card) => /** @type {HTMLElement} */ (card).dataset.id));
  byId("found").hidden = answer.hits.length === 0;
  for (const id of ["examples", "beginning"]) byId(id).hidden = true;
  if (!answer.hits.length) {
    byId("search-notice").replaceChildren(nothingFound(wanted, answer));
    showJudged();
    return;
  }
  const { first, second } = placed();
  const scales = scalesOf(second);
  const isReranked = answer.rerank_status !== "RERANK_STATUS_DISABLED";
  byId("passes").classList.toggle("alone", !isReranked);
  fillColumn("first", first, scales);
  fillColumn("second", isReranked ? second : [], scales);
  for (const id of opened) for (const column of /** @type {const} */ (["first", "second"])) if (id !== undefined && cards[column].has(id)) openCard(column, id, true);
  showHeads(isReranked);
  showFilterExample(second);
  showStory();
  showWaterfall();
  showCopy(wanted);
  showJudged();
  const beyond = answer.hits.length - shownHits().length;
  byId("show-all").hidden = !beyond && !shown.showsAll;
  byId("show-all").textContent = shown.showsAll ? `Show the top ${wanted.top_n} of both alone` : `Show all ${count(answer.hits.length)} candidates`;
  if (focused) focusCard(focused.column, focused.id);
  drawLines();
  // A setting moves cards from where they were; another question has an answer of its own, at once.
  const question = `${wanted.collection} ${wanted.query}`;
  if (question === lastQuestion) glide(before);
  lastQuestion = question;
}

/** The question that the cards answer. */
let lastQuestion = "";

/** The range of each score over an answer, for bars. @param {any[]} hits */
function scalesOf(hits) {
  /** @type {Record<string, [number, number]>} */
  const scales = {};
  for (const name of ["dense_score", "lexical_score", "fused_score", "logit", "blended_score"]) {
    const values = hits.map((hit) => hit[name]).filter((value) => value !== undefined && value !== null);
    const least = Math.min(...values);
    const signed = name === "logit" || name === "blended_score" || least < 0;
    scales[name] = [signed ? least - (Math.max(...values) - least) * 0.04 : 0, Math.max(...values)];
  }
  scales.score = [0, 1];
  return scales;
}

/** @param {"first" | "second"} column @param {any[]} hits @param {Record<string, [number, number]>} scales */
function fillColumn(column, hits, scales) {
  const topN = shown.wanted?.top_n ?? 10;
  const rankOf = (/** @type {any} */ hit) => (column === "first" ? hit.first_pass_rank : hit.second_rank);
  const list = byId(`${column}-hits`);
  const made = [];
  cards[column].clear();
  let last = 0;
  for (const hit of hits.filter(hasCard)) {
    const rank = rankOf(hit);
    const isCut = rank > topN && last <= topN && last > 0;
    if (isCut) made.push(element("li", { className: "cut" }, element("span", { textContent: `the top ${topN} end here` })));
    if (rank > last + 1) made.push(element("li", { className: "gap", textContent: `${counted(rank - last - 1, "more candidate")}` }));
    last = rank;
    const card = cardOf(column, hit, rank, scales);
    card.classList.toggle("beyond", rank > topN);
    cards[column].set(hit.id, card);
    made.push(card);
  }
  if (last && last < hits.length) made.push(element("li", { className: "gap", textContent: `${counted(hits.length - last, "more candidate")}` }));
  list.replaceChildren(...made);
  const [one] = cards[column].values();
  if (one) one.tabIndex = 0;
}

/** @param {any} hit */
function moveOf(hit) {
  if (shown.answer.rerank_status === "RERANK_STATUS_DISABLED") return "same";
  const by = hit.first_pass_rank - hit.second_rank;
  return by > 0 ? "up" : by < 0 ? "down" : "same";
}

/** The same in words, for a card of a column. @param {"first" | "second"} column @param {any} hit */
function moveWords(column, hit) {
  const move = moveOf(hit);
  if (move === "same") return column === "first" ? "stays" : "as before";
  return column === "first" ? `${move} to ${hit.second_rank}` : `${move} from ${hit.first_pass_rank}`;
}

/**
 * @param {"first" | "second"} column
 * @param {any} hit
 * @param {number} rank
 * @param {Record<string, [number, number]>} scales
 */
function cardOf(column, hit, rank, scales) {
  const move = moveOf(hit);
  const name = nameOf(hit);
  const isDisabled = shown.answer.rerank_status === "RERANK_STATUS_DISABLED";
  const arrow = { up: "▲", down: "▼", same: "=" }[move];
  const chip = isDisabled
    ? null
    : element("span", { className: `move ${move}`, title: moveWords(column, hit) }, move === "same" ? arrow : `${arrow} ${Math.abs(hit.first_pass_rank - hit.second_rank)}`);
  const card = element(
    "li",
    { className: `hit ${move}`, tabIndex: -1, "aria-label": `${rank}${isDisabled ? "" : `, ${moveWords(column, hit)}`}: ${name}` },
    element("div", { className: "rank" }, element("span", { className: "place", textContent: String(rank) }), chip),
    element(
      "div",
      { className: "words" },
      element("h4", { textContent: name }),
      element("p", { className: "passage" }, ...passageOf(hit, false)),
      badgesOf(column, hit),
    ),
    scoresOf(column, hit, scales),
    element("div", { className: "acts" }, ...judgeButtons(hit), wholeButton(column, hit)),
  );
  card.dataset.id = hit.id;
  card.dataset.column = column;
  return card;
}

/** What a hit is called: its title, the beginning of its text, or its id. @param {any} hit */
function nameOf(hit) {
  return printable(hit.title || hit.id);
}

/** The passage that models read. @param {any} hit */
function wholePassage(hit) {
  return hit.title ? `${hit.title} ${hit.text ?? ""}`.trim() : (hit.text ?? "");
}

/**
 * The text of a hit as nodes: its best span marked, the query's words set off.
 *
 * A span counts code points of title, a space and text together.
 *
 * @param {any} hit
 * @param {boolean} isWhole Whether the whole text is shown; else it begins at the best span.
 */
function passageOf(hit, isWhole) {
  if (hit.content_omitted) return [element("em", { className: "soft", textContent: "Its text did not fit into the answer." })];
  const wanted = isWhole ? Infinity : (hit.span?.start ?? 0) + (hit.title?.length ?? 0) + 2 * PREVIEW;
  const whole = [...wholePassage(hit).slice(0, 2 * wanted)]; // a code point has at most two units
  const titleLength = hit.title ? [...hit.title].length + 1 : 0;
  let start = hit.span ? Math.max(hit.span.start, titleLength) : titleLength;
  // A part may begin inside a word, which a preview shows whole.
  while (!isWhole && start > titleLength && /[\p{L}\p{N}]/u.test(whole[start - 1])) start -= 1;
  const end = hit.span ? Math.max(hit.span.end, start) : whole.length;
  const piece = (/** @type {number} */ from, /** @type {number} */ to) => whole.slice(from, to).join("");
  if (!hit.span) return withWords(isWhole ? piece(titleLength, whole.length) : piece(titleLength, titleLength + PREVIEW));
  const marked = element("mark", {}, ...withWords(isWhole ? piece(start, end) : piece(start, Math.min(end, start + PREVIEW))));
  if (isWhole) return [...withWords(piece(titleLength, start)), marked, ...withWords(piece(end, whole.length))];
  return start > titleLength ? [element("span", { className: "soft", textContent: "… " }), marked] : [marked];
}

const PREVIEW = 360; // characters of a passage before it is opened

/** Text with the query's words set off. @param {string} given @returns {(Node | string)[]} */
function withWords(given) {
  const text = printable(given);
  const wanted = queryWords();
  if (!wanted.length) return [text];
  /** @type {(Node | string)[]} */
  const made = [];
  let at = 0;
  for (const match of text.matchAll(/[\p{L}\p{N}]+/gu)) {
    const word = folded(match[0]);
    if (!wanted.some((stem) => (stem.length < 4 ? word === stem : word.startsWith(stem) && word.length <= stem.length + 3))) continue;
    made.push(text.slice(at, match.index), element("b", { textContent: match[0] }));
    at = match.index + match[0].length;
  }
  made.push(text.slice(at));
  return made;
}

/** @param {string} word */
function folded(word) {
  return word.normalize("NFKD").replace(/\p{M}/gu, "").toLowerCase();
}

const COMMON = new Set("a an and are as at be by can did do does for from had has have how i if in into is it its my of on or that the their this to was were what when where which who why will with you your".split(" "));

/** The words of the last query that was asked for them. */
const lastWords = { query: "", words: /** @type {string[]} */ ([]) };

/** The query's words without the most common ones, longer ones without their endings. */
function queryWords() {
  const query = shown.wanted?.query ?? "";
  if (lastWords.query !== query) Object.assign(lastWords, { query, words: wordsOf(query) });
  return lastWords.words;
}

/** @param {string} query */
function wordsOf(query) {
  const words = [...query.matchAll(/[\p{L}\p{N}]+/gu)].map((match) => folded(match[0]));
  return words.filter((word) => !COMMON.has(word)).map((word) => (word.length > 5 ? word.replace(/(ing|ed|es|s|e)$/, "") : word.length > 4 ? word.replace(/(s|e)$/, "") : word));
}

/** What must be known about a hit beside its scores. @param {"first" | "second"} column @param {any} hit */
function badgesOf(column, hit) {
  const badges = [];
  if (hit.title && hit.title !== hit.id) badges.push(element("code", { textContent: printable(hit.id) }));
  if (hit.span) badges.push(element("span", { textContent: `best part: characters ${count(hit.span.start)} to ${count(hit.span.end)}` }));
  if (column === "second" && hit.truncated) badges.push(element("span", { className: "warn", textContent: "its end was not read" }));
  if (column === "second" && (hit.logit === undefined || hit.logit === null) && shown.answer.num_reranked > 0) badges.push(element("span", { className: "warn", textContent: "not read by the second pass" }));
  return badges.length ? element("p", { className: "badges" }, ...badges) : null;
}

/** @param {string} kind @param {string} name @param {number | undefined} value @param {[number, number]} scale @param {{isOrder: boolean, digits: number, place?: number}} how */
function bar(kind, name, value, scale, { isOrder, digits, place }) {
  const isThere = value !== undefined && value !== null;
  const [least, most] = scale;
  const part = isThere ? (most > least ? Math.min(1, Math.max(0, (value - least) / (most - least))) : 1) : 0;
  const fill = element("i", {});
  fill.style.width = `${(part * 100).toFixed(1)}%`;
  return element(
    "div",
    { className: `bar ${kind}${isOrder ? " orders" : ""}${isThere ? "" : " none"}` },
    element("dt", { textContent: name }),
    element(
      "dd",
      {},
      element("span", { className: "track", "aria-hidden": "true" }, fill),
      element("span", { className: "value", textContent: isThere ? value.toFixed(digits) : "–" }),
      place === undefined ? null : element("span", { className: "nth", textContent: place ? `#${place}` : "" }),
    ),
  );
}

/** @param {"first" | "second"} column @param {any} hit @param {Record<string, [number, number]>} scales */
function scoresOf(column, hit, scales) {
  const mode = shown.wanted?.mode;
  const blend = shown.answer.blend;
  if (column === "second") {
    if (shown.answer.num_reranked === 0) return null;
    const hasBlend = hit.blended_score !== undefined && hit.blended_score !== null && blend > 0;
    return element(
      "dl",
      { className: "scores" },
      bar("score", "score", hit.score, scales.score, { isOrder: false, digits: 3 }),
      bar("logit", "logit", hit.logit, scales.logit, { isOrder: blend === 0, digits: 2 }),
      hasBlend ? bar("blended", "blended", hit.blended_score, scales.blended_score, { isOrder: true, digits: 2 }) : null,
    );
  }
  return element(
    "dl",
    { className: "scores" },
    mode === "lexical" ? null : bar("dense", "meaning", hit.dense_score, scales.dense_score, { isOrder: mode === "dense", digits: 3, place: hit.dense_rank ?? 0 }),
    mode === "dense" ? null : bar("lexical", "words", hit.lexical_score, scales.lexical_score, { isOrder: mode === "lexical", digits: 2, place: hit.lexical_rank ?? 0 }),
    mode === "hybrid" ? bar("fused", "fused", hit.fused_score, scales.fused_score, { isOrder: true, digits: 3, place: 0 }) : null,
  );
}

/** @param {"first" | "second"} column @param {any} hit */
function wholeButton(column, hit) {
  const button = element("button", { type: "button", className: "act whole", textContent: "Whole", "aria-expanded": "false", "aria-label": `The whole of ${nameOf(hit)}` });
  button.addEventListener("click", () => openCard(column, hit.id));
  return button;
}

/** Shows the whole of a hit in its card, or folds it. @param {"first" | "second"} column @param {string} id @param {boolean} [isOpen] */
function openCard(column, id, isOpen) {
  const card = cards[column].get(id);
  const hit = shown.answer.hits.find((/** @type {any} */ each) => each.id === id);
  if (!card || !hit) return;
  const opens = isOpen ?? !card.classList.contains("open");
  card.classList.toggle("open", opens);
  card.querySelector(".whole")?.setAttribute("aria-expanded", String(opens));
  const passage = /** @type {HTMLElement} */ (card.querySelector(".passage"));
  passage.replaceChildren(...passageOf(hit, opens));
  card.querySelector(".detail")?.remove();
  if (opens) card.append(detailOf(hit));
  showBestPart(passage);
  drawLines();
}

/** Scrolls a long text to its best part, and lets the keys scroll it too. @param {HTMLElement} passage */
function showBestPart(passage) {
  const isLonger = passage.closest(".open") !== null && passage.scrollHeight > passage.clientHeight;
  const mark = passage.querySelector("mark");
  if (isLonger) {
    passage.tabIndex = 0;
    passage.setAttribute("role", "group");
    passage.setAttribute("aria-label", "The whole text");
    if (mark) passage.scrollTop = mark.offsetTop - passage.offsetTop - 2 * LINE_PX;
  } else for (const name of ["tabindex", "role", "aria-label"]) passage.removeAttribute(name);
}

const LINE_PX = 22;

/** Metadata of a hit. @param {any} hit */
function detailOf(hit) {
  const fields = Object.entries(hit.metadata ?? {});
  if (!fields.length) return element("p", { className: "detail soft", textContent: `Document ${printable(hit.id)}; it has no metadata.` });
  const rows = fields.map(([name, value]) => element("div", {}, element("dt", { textContent: printable(name) }), element("dd", { textContent: printable(typeof value === "string" ? value : JSON.stringify(value)) })));
  return element("dl", { className: "detail" }, element("div", {}, element("dt", { textContent: "id" }), element("dd", { textContent: printable(hit.id) })), ...rows);
}

/* --- search: in words --- */

const RETRIEVE_WORDS = /** @type {Record<string, [string, string]>} */ ({
  RETRIEVE_STATUS_LEXICAL_DEADLINE: ["warn", "By words alone: the query’s embedding, or its neighbours, came too late for the time budget."],
  RETRIEVE_STATUS_LEXICAL_OVERLOAD: ["warn", "By words alone: the encoder’s queue was full."],
  RETRIEVE_STATUS_LEXICAL_FAILED: ["warn", "By words alone: the encoder or the vector index failed; the server’s log says why."],
  RETRIEVE_STATUS_DENSE_DEADLINE: ["warn", "By meaning alone: the search by words came too late for the time budget."],
  RETRIEVE_STATUS_DENSE_OVERLOAD: ["warn", "By meaning alone: too many searches by words and filters were waiting."],
  RETRIEVE_STATUS_DENSE_FAILED: ["warn", "By meaning alone: the index of words could not be read; the server’s log says why."],
});

/** What became of the first pass. @param {any} answer @param {Asked} wanted @returns {[string, string]} */
function retrieveWords(answer, wanted) {
  const known = RETRIEVE_WORDS[answer.retrieve_status];
  if (known) return known;
  const how = { hybrid: "by meaning and by words", dense: "by meaning", lexical: "by words" }[wanted.mode];
  return ["good", `Found ${counted(answer.num_candidates, "candidate")} ${how}.`];
}

/** What became of the second pass. @param {any} answer @returns {[string, string]} */
function rerankWords(answer) {
  const { num_reranked: read, num_candidates: found, reranker } = answer;
  const rest = found - read;
  switch (answer.rerank_status) {
    case "RERANK_STATUS_COMPLETE":
      return ["good", rest > 0 ? `${reranker} read the first ${count(read)} with the query, as deep as was asked; ${count(rest)} follow in first-pass order.` : `${reranker} read ${read === 1 ? "it" : `all ${count(read)}`} with the query.`];
    case "RERANK_STATUS_PARTIAL":
      return ["warn", `The time budget was enough for ${count(read)} of ${count(found)}; the others follow in first-pass order.`];
    case "RERANK_STATUS_DISABLED":
      return ["plain", "The second pass is off."];
    case "RERANK_STATUS_SKIPPED_DEADLINE":
      return ["warn", "In first-pass order: the time budget was not enough for a second pass."];
    case "RERANK_STATUS_SKIPPED_OVERLOAD":
      return ["warn", "In first-pass order: the reranker’s queue was full."];
    case "RERANK_STATUS_FAILED":
      return ["warn", "In first-pass order: the reranker failed; the server’s log says why."];
    default:
      return ["warn", `The server says ${answer.rerank_status}, which this page does not know.`];
  }
}

/** What else must be known to read the answer right. @param {any} answer @returns {[string, string][]} */
function otherWords(answer) {
  /** @type {[string, string][]} */
  const said = [];
  if (answer.exact === true) said.push(["good", "Exact: every vector that may be an answer was compared."]);
  if (answer.exact === false) said.push(["plain", "Approximate: the index chose which vectors to compare, so that a near one may be missing."]);
  if (answer.query_truncated) said.push(["warn", "A model did not read the query’s end: it is longer than the model reads. The search by words read all of it."]);
  if (answer.num_words_dropped) said.push(["warn", `The search by words ignored the query’s ${counted(answer.num_words_dropped, "most frequent word")}.`]);
  if (answer.num_below_min_score) said.push(["plain", `${counted(answer.num_below_min_score, "hit")} below the least score ${answer.num_below_min_score === 1 ? "is" : "are"} left out.`]);
  return said;
}

/** What the second pass changed, in one sentence. */
function headline() {
  const { answer, wanted } = shown;
  const topN = Math.min(wanted?.top_n ?? 10, answer.hits.length);
  const ordered = ["RERANK_STATUS_COMPLETE", "RERANK_STATUS_PARTIAL"].includes(answer.rerank_status);
  if (!ordered) return `${counted(answer.num_candidates, "candidate")} in first-pass order`;
  const top = answer.hits.slice(0, topN);
  const moved = top.filter((/** @type {any} */ hit) => hit.first_pass_rank !== hit.second_rank);
  const lifted = top.filter((/** @type {any} */ hit) => hit.first_pass_rank > topN);
  if (!moved.length) return `The second pass agrees: the top ${topN} stay as they were`;
  const deepest = Math.max(...lifted.map((/** @type {any} */ hit) => hit.first_pass_rank));
  const from = lifted.length === 0 ? "" : lifted.length === 1 ? `; one came from place ${deepest}` : `; ${lifted.length} came from outside, one from place ${deepest}`;
  return `The second pass moved ${moved.length} of the top ${topN}${from}`;
}

function showStory() {
  const { answer, wanted } = shown;
  if (!wanted) return;
  byId("headline").textContent = headline();
  const said = [retrieveWords(answer, wanted), rerankWords(answer), ...otherWords(answer)];
  byId("facts").replaceChildren(...said.map(([kind, text]) => element("li", { className: kind, textContent: text })));
  say(`${said[0][1]} ${said[1][1]} First: ${nameOf(answer.hits[0])}. ${told(milliseconds(answer.timings.total) ?? shown.roundTrip)}.`);
}

/** What each column is ordered by. @param {boolean} isReranked */
function showHeads(isReranked) {
  const { answer, wanted } = shown;
  if (!wanted) return;
  const collection = collectionOf(wanted.collection);
  const total = collection ? ` of ${counted(Number(collection.num_documents), "document")}` : "";
  const by = { hybrid: "the fused score of meaning and words", dense: "nearness in meaning", lexical: "the score of words (BM25)" }[wanted.mode];
  byId("first-told").textContent = `${count(answer.num_candidates)}${total}, ordered by ${by}`;
  const own = wanted.blend === null ? ", the model’s own blend" : "";
  byId("second-told").textContent = !isReranked
    ? "off"
    : answer.num_reranked === 0
      ? "did not run; this is the first pass’s order"
      : answer.blend > 0
        ? `${count(answer.num_reranked)} read, ordered by ${answer.blend.toFixed(2)} × first pass + ${(1 - answer.blend).toFixed(2)} × logit${own}`
        : `${count(answer.num_reranked)} read, ordered by the logit alone`;
  byId("second-off").replaceChildren(
    ...(isReranked
      ? []
      : [
          element("p", { textContent: "A cross-encoder would read each candidate together with the query, and put the right ones on top." }),
          element("button", { type: "button", textContent: "Turn it on", onclick: () => { byId("rerank-on").checked = true; search(false); } }),
        ]),
  );
}

/** Shows how a filter is written by a field that the hits have. @param {any[]} hits */
function showFilterExample(hits) {
  const fields = hits.flatMap((hit) => Object.entries(hit.metadata ?? {}));
  const simple = fields.find(([name, value]) => /^[\w.-]{1,24}$/.test(name) && (typeof value === "number" || typeof value === "boolean" || (typeof value === "string" && /^[^&]{1,24}$/.test(value))));
  if (simple) byId("filter").placeholder = `Filter, as in ${simple[0]}=${simple[1]}`;
}

/** @param {Asked} wanted @param {any} answer */
function nothingFound(wanted, answer) {
  const collection = collectionOf(wanted.collection);
  const isEmpty = collection && Number(collection.num_documents) === 0;
  const ways = isEmpty
    ? "The collection has no documents yet."
    : wanted.filter
      ? "No document passes the filter and matches."
      : wanted.mode === "lexical"
        ? "No document has any of the query’s words."
        : retrieveWords(answer, wanted)[1];
  say(`Nothing was found. ${ways}`);
  const toUpload = isEmpty ? element("button", { type: "button", className: "primary", textContent: "Bring documents in", onclick: () => byId("tab-collections").click() }) : null;
  const byMeaning = !isEmpty && wanted.mode === "lexical" ? element("button", { type: "button", textContent: "Search by meaning too", onclick: () => { /** @type {any} */ (document.querySelector("input[name=mode][value=hybrid]")).checked = true; search(false); } }) : null;
  const noFilter = !isEmpty && wanted.filter ? element("button", { type: "button", textContent: "Without the filter", onclick: () => { byId("filter").value = ""; search(false); } }) : null;
  return element("div", { className: "notice" }, element("h3", { textContent: "Nothing was found" }), element("p", { textContent: ways }), element("div", { className: "actions" }, toUpload, byMeaning, noFilter));
}

/* --- search: waterfall --- */

const STAGES = [
  ["tokenize", "Tokenise the query"],
  ["embed", "Embed it"],
  ["retrieve", "First pass"],
  ["load", "Load the tokens"],
  ["queue", "Wait for an engine"],
  ["rerank", "Second pass"],
];

/** Shows the stages one after the other: in that order they mostly run, though they may overlap. */
function showWaterfall() {
  const { timings } = shown.answer;
  const total = milliseconds(timings.total) ?? 0;
  const stages = STAGES.map(([name, label]) => ({ name, label, ms: milliseconds(timings[name]) ?? 0 })).filter((stage) => stage.ms > 0);
  const sum = stages.reduce((before, stage) => before + stage.ms, 0);
  const rest = total - sum;
  if (rest > 0.05) stages.push({ name: "rest", label: "Read the hits, and the rest", ms: rest });
  const way = shown.roundTrip - total;
  if (way > 0) stages.push({ name: "way", label: "Way to this page and back", ms: way });
  const whole = Math.max(sum + Math.max(rest, 0) + Math.max(way, 0), 0.001);
  let at = 0;
  byId("waterfall").replaceChildren(
    ...stages.map((stage) => {
      const fill = element("i", { className: stage.name });
      fill.style.left = `${(at / whole) * 100}%`;
      fill.style.width = `${Math.max((stage.ms / whole) * 100, 0.4)}%`;
      at += stage.ms;
      return element("li", {}, element("span", { className: "stage-name", textContent: stage.label }), element("span", { className: "track", "aria-hidden": "true" }, fill), element("span", { className: "value", textContent: told(stage.ms) }));
    }),
  );
  byId("waterfall-told").replaceChildren(element("strong", { textContent: told(total) }), " in the server");
}

/* --- search: lines between the columns --- */

/** @type {Map<string, SVGElement>} */
const lines = new Map();

/** Draws a line between both cards of each document. */
function drawLines() {
  const svg = byId("lines");
  const gutter = svg.getBoundingClientRect();
  lines.clear();
  const made = [];
  if (gutter.width > 0) {
    for (const [id, from] of cards.first) {
      const to = cards.second.get(id);
      if (!to) continue;
      const move = ["up", "down", "same"].find((each) => from.classList.contains(each)) ?? "same";
      const line = drawn("path", { class: `line ${move}${from.classList.contains("beyond") || to.classList.contains("beyond") ? " crosses" : ""}`, d: pathOf(from, to, gutter) });
      lines.set(id, line);
      made.push(line);
    }
  }
  svg.replaceChildren(...made);
  setOff(linkedId);
}

/** @param {HTMLElement} from @param {HTMLElement} to @param {DOMRect} gutter */
function pathOf(from, to, gutter) {
  const place = (/** @type {HTMLElement} */ card) => {
    const box = card.getBoundingClientRect();
    return Math.min(box.top + 30, box.top + box.height / 2) - gutter.top;
  };
  const [start, end, width] = [place(from), place(to), gutter.width];
  const bend = width * 0.55;
  return `M0 ${start.toFixed(1)} C${bend.toFixed(1)} ${start.toFixed(1)} ${(width - bend).toFixed(1)} ${end.toFixed(1)} ${width} ${end.toFixed(1)}`;
}

function moveLines() {
  const gutter = byId("lines").getBoundingClientRect();
  for (const [id, line] of lines) {
    const [from, to] = [cards.first.get(id), cards.second.get(id)];
    if (from && to) line.setAttribute("d", pathOf(from, to, gutter));
  }
}

/** The document that is set off. @type {string | undefined} */
let linkedId;

/** Sets a document off in both columns. @param {string | undefined} id Undefined for none. */
function setOff(id) {
  linkedId = id !== undefined && (cards.first.has(id) || cards.second.has(id)) ? id : undefined;
  byId("passes").classList.toggle("linked", linkedId !== undefined);
  for (const each of document.querySelectorAll(".passes .linked")) each.classList.remove("linked");
  if (id === undefined || linkedId === undefined) return;
  const line = lines.get(id);
  line?.classList.add("linked");
  line?.parentElement?.append(line);
  cards.first.get(id)?.classList.add("linked");
  cards.second.get(id)?.classList.add("linked");
}

/** Where the cards stand, by column and id. */
function cardPlaces() {
  const places = new Map();
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) if (card.isConnected) places.set(`${column} ${id}`, card.getBoundingClientRect().top);
  }
  return places;
}

const GLIDE_MS = 320;

/** Lets cards glide from where they were, and their lines with them. @param {Map<string, number>} before */
function glide(before) {
  if (matchMedia("(prefers-reduced-motion: reduce)").matches || !before.size) return;
  // All places are read before the first card is moved, which would have the browser lay out anew.
  const moves = [...cardPlaces()].map(([place, top]) => {
    const [column, id] = place.split(/ (.*)/s);
    const was = before.get(place);
    return { card: cards[/** @type {"first" | "second"} */ (column)].get(id), by: was === undefined ? 0 : was - top };
  });
  for (const { card, by } of moves) {
    if (Math.abs(by) > 1) card?.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "cubic-bezier(.2,.7,.2,1)" });
  }
  if (!moves.some(({ by }) => Math.abs(by) > 1)) return;
  const end = performance.now() + GLIDE_MS + 50;
  const follow = () => {
    moveLines();
    if (performance.now() < end) requestAnimationFrame(follow);
  };
  requestAnimationFrame(follow);
}

/* --- search: keys in the lists --- */

function focusedCard() {
  const card = /** @type {HTMLElement | null} */ (document.activeElement?.closest?.(".hit") ?? null);
  return card?.dataset.id === undefined ? null : { column: /** @type {"first" | "second"} */ (card.dataset.column), id: card.dataset.id };
}

/** @param {"first" | "second"} column @param {string} id */
function focusCard(column, id) {
  const card = cards[column].get(id);
  if (!card) return;
  for (const each of cards[column].values()) each.tabIndex = -1;
  card.tabIndex = 0;
  card.focus();
}

/** @param {KeyboardEvent} event */
function keyInList(event) {
  const at = focusedCard();
  if (!at || event.ctrlKey || event.metaKey || event.altKey) return;
  const isOnButton = document.activeElement?.tagName === "BUTTON";
  const ids = [...cards[at.column].keys()];
  const place = ids.indexOf(at.id);
  const other = at.column === "first" ? "second" : "first";
  /** @type {Record<string, () => void>} */
  const does = {
    ArrowDown: () => focusCard(at.column, ids[Math.min(place + 1, ids.length - 1)]),
    ArrowUp: () => focusCard(at.column, ids[Math.max(place - 1, 0)]),
    Home: () => focusCard(at.column, ids[0]),
    End: () => focusCard(at.column, ids[ids.length - 1]),
    ArrowLeft: () => at.column === "second" && toOther(other, at.id),
    ArrowRight: () => at.column === "first" && toOther(other, at.id),
    r: () => judge(at.id, 1),
    n: () => judge(at.id, 0),
  };
  if (!isOnButton) does.Enter = () => openCard(at.column, at.id);
  const run = does[event.key.length === 1 ? event.key.toLowerCase() : event.key];
  if (!run) return;
  event.preventDefault();
  run();
}

/** @param {"first" | "second"} column @param {string} id */
function toOther(column, id) {
  showWhich(column);
  focusCard(column, id);
}

/** Which column narrow screens show. @param {"first" | "second"} column */
function showWhich(column) {
  byId("passes").dataset.shown = column;
  for (const radio of /** @type {NodeListOf<HTMLInputElement>} */ (document.querySelectorAll("input[name=which]"))) radio.checked = radio.value === column;
}

/* --- search: the same for a program --- */

/** @param {string} text */
function shellText(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A literal of Python: JSON's strings are Python's too. @param {string} text */
function pythonText(text) {
  return JSON.stringify(text);
}

function grpcTarget() {
  const host = location.hostname.includes(":") ? `[${location.hostname.replace(/[[\]]/g, "")}]` : location.hostname;
  return server.grpcPort ? `${host}:${server.grpcPort}` : "localhost:50051";
}

/** @param {Asked} wanted */
function asCurl(wanted) {
  const body = JSON.stringify(searchBody(wanted, wanted.top_n));
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  return `curl${header} --json ${shellText(body)} \\\n  ${shellText(`${location.origin}/api/v1${collectionPath(wanted.collection)}/search`)}`;
}

/** @param {Asked} wanted */
function asGrpcurl(wanted) {
  const body = JSON.stringify({ collection: wanted.collection, ...searchBody(wanted, wanted.top_n) });
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  const plain = location.protocol === "https:" ? "" : " -plaintext";
  return `grpcurl${plain}${header} -d ${shellText(body)} \\\n  ${grpcTarget()} twopass.v1.SearchService/Search`;
}

/** @param {Asked} wanted */
function asPython(wanted) {
  const filter = parsedFilter(wanted.filter);
  const isTls = location.protocol === "https:";
  const names = ["Client"];
  if (wanted.rerank && (wanted.depth !== null || wanted.blend !== null || wanted.model)) names.push("Rerank");
  names.push("Retrieve");
  if (filter?.python.includes("field(")) names.push("field");
  const imports = [
    ...(filter?.python.includes("datetime.") ? ["from datetime import datetime"] : []),
    ...(key() ? ["import os"] : []),
    ...(isTls ? ["import grpc"] : []),
    ...(filter?.python.startsWith("Parse(") ? ["from google.protobuf.json_format import Parse"] : []),
    `from twopass.client import ${names.join(", ")}`,
    ...(filter?.python.startsWith("Parse(") ? ["from twopass.v1.filter_pb2 import Filter"] : []),
  ];
  const options = [
    pythonText(grpcTarget()),
    ...(key() ? ['api_key=os.environ["TWOPASS_API_KEY"]'] : []),
    ...(isTls ? ["credentials=grpc.ssl_channel_credentials()"] : []),
  ];
  const rerank = [
    ...(wanted.depth !== null ? [`depth=${Math.min(wanted.depth, wanted.k)}`] : []),
    ...(wanted.blend !== null ? [`blend=${wanted.blend}`] : []),
    ...(wanted.model ? [`model=${pythonText(wanted.model)}`] : []),
  ];
  const given = [
    pythonText(wanted.collection),
    pythonText(wanted.query),
    `top_n=${wanted.top_n}`,
    `retrieve=Retrieve(mode="${wanted.mode}", k=${wanted.k})`,
    ...(!wanted.rerank ? ["rerank=False"] : rerank.length ? [`rerank=Rerank(${rerank.join(", ")})`] : []),
    ...(filter ? [`filter=${filter.python}`] : []),
    ...(wanted.budget !== null ? [`time_budget=${wanted.budget / 1000}`] : []),
  ];
  return [
    ...imports,
    "",
    `with Client(${options.join(", ")}) as client:`,
    "    result = client.search(",
    ...given.map((each) => `        ${each},`),
    "    )",
    "    for rank, hit in enumerate(result.hits, 1):",
    '        print(f"{rank:>3}  was {hit.first_pass_rank:>3}  {hit.id}")',
    "    print(result.rerank_status)",
  ].join("\n");
}

const COPIES = /** @type {Record<string, (wanted: Asked) => string>} */ ({ curl: asCurl, Python: asPython, grpcurl: asGrpcurl });
let copyShown = "";

/** Keeps the code that is open in step with the settings. @param {Asked} wanted */
function showCopy(wanted) {
  byId("copy-told").textContent = "";
  if (copyShown) byId("copy-code").replaceChildren(codeOf(COPIES[copyShown](wanted), `The search as ${copyShown}`));
}

/** @param {string} text @param {string} label */
function codeOf(text, label) {
  return element("pre", { tabIndex: 0, role: "region", "aria-label": label }, element("code", { textContent: text }));
}

function startCopy() {
  byId("copy-buttons").replaceChildren(
    ...Object.keys(COPIES).map((name) => {
      const button = element("button", { type: "button", textContent: name, "aria-expanded": "false", "aria-controls": "copy-code", title: `Copy the search as ${name}` });
      button.addEventListener("click", async () => {
        if (!shown.wanted) return;
        copyShown = copyShown === name ? "" : name;
        for (const each of byId("copy-buttons").children) each.setAttribute("aria-expanded", String(each === button && copyShown !== ""));
        byId("copy-code").hidden = !copyShown;
        showCopy(shown.wanted);
        if (!copyShown) return;
        await copyText(COPIES[name](shown.wanted));
        byId("copy-told").textContent = "copied";
      });
      return button;
    }),
  );
}

/* --- search: examples from what the collection holds --- */

const NUM_EXAMPLES = 6;
let examplesOf = "";

/** Offers queries made of a few documents, so that a stranger can begin with a click. @param {boolean} [again] */
async function showExamples(again) {
  const name = byId("collection").value;
  const collection = collectionOf(name);
  const box = byId("examples");
  if (!collection || Number(collection.num_documents) === 0) {
    box.hidden = true;
    return;
  }
  if (examplesOf !== name || again) {
    examplesOf = name;
    /** @type {string[]} */
    let queries = [];
    try {
      queries = await exampleQueries(collection);
    } catch {
      // Without examples the page works as well: what is wrong, a search will tell.
    }
    if (byId("collection").value !== name) return;
    box.replaceChildren(
      element("span", { className: "soft", textContent: "Try" }),
      ...queries.map((query) => element("button", { type: "button", className: "chip", textContent: query, onclick: () => { byId("query").value = query; search(true); } })),
      element("button", { type: "button", className: "plain", textContent: "Others", onclick: () => showExamples(true) }),
    );
    if (!queries.length) box.replaceChildren();
  }
  box.hidden = !box.childElementCount || shown.answer !== null;
}

/**
 * Queries from documents near random points of the collection's space, which are of many kinds.
 *
 * @param {any} collection
 */
async function exampleQueries(collection) {
  const dimension = collection.schema.dimension;
  const searches = Array.from({ length: NUM_EXAMPLES * 2 }, () => ({
    collection: collection.name,
    vector: { values: Array.from({ length: dimension }, () => Math.random() - 0.5) },
    top_n: 6,
    retrieve: { mode: "RETRIEVE_MODE_DENSE", k: 6 },
    rerank: { enabled: false },
    fields: { text: true, metadata: false },
  }));
  const { results } = await api("POST", "/search/batch", { searches });
  /** @type {Set<string>} */
  const queries = new Set();
  for (const result of results) {
    const hits = result.response?.hits ?? [];
    const made = hits.map(exampleOf).filter(Boolean).sort(() => Math.random() - 0.5)[0];
    if (made) queries.add(made);
    if (queries.size === NUM_EXAMPLES) break;
  }
  return [...queries].sort((a, b) => a.length - b.length);
}

/** A query that a document may answer: its first short sentence, or its title. @param {any} hit */
function exampleOf(hit) {
  const sentence = (hit.text ?? "").trim().split(/(?<=[.?!])\s|\n\s*\n/)[0]?.replace(/\s+/g, " ").replace(/[.:;]$/, "") ?? "";
  const words = sentence.split(" ");
  if (words.length >= 4 && sentence.length <= 70 && /^[\p{L}\p{N} ,.'’?-]+$/u.test(sentence)) return sentence;
  return hit.title && hit.title.includes(" ") && hit.title.length <= 70 ? hit.title : "";
}

/* --- search: start --- */

/** Fills the choice of collections; says what to do where there are none. @param {any[]} collections */
function showCollectionChoice(collections) {
  const select = byId("collection");
  const before = select.value || (readHash().tab === "search" ? readHash().settings.get("collection") : "") || localStorage.getItem("twopass-collection");
  const names = collections.flatMap((collection) => [collection.name, ...collection.aliases]);
  select.replaceChildren(...collections.flatMap((collection) => [
    element("option", { value: collection.name, textContent: collection.name }),
    ...collection.aliases.map((/** @type {string} */ alias) => element("option", { value: alias, textContent: `${alias} → ${collection.name}` })),
  ]));
  if (before && names.includes(before)) select.value = before;
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

function showRerankers() {
  const rerankers = server.models.filter((model) => model.kind === "MODEL_KIND_RERANKER");
  const select = byId("model");
  const before = select.value || (readHash().settings.get("model") ?? "");
  select.replaceChildren(...rerankers.map((model) => element("option", { value: model.default ? "" : model.id, textContent: model.id })));
  select.value = before;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  byId("model-label").hidden = rerankers.length < 2;
  placeOwnBlend();
  for (const slider of allSliders()) showSlider(slider);
  showSettings();
}

function startSearch() {
  for (const [place, sliders] of Object.entries(SLIDERS)) byId(place).replaceChildren(...sliders.map(sliderElement));
  byId("settings").open = matchMedia("(min-width: 62rem)").matches;
  byId("search-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    localStorage.setItem("twopass-collection", byId("collection").value);
    search(true);
  });
  byId("collection").addEventListener("change", () => {
    localStorage.setItem("twopass-collection", byId("collection").value);
    showBeginning();
    if (byId("query").value.trim()) search(true);
  });
  byId("query").addEventListener("input", () => {
    if (byId("query").value || !shown.answer) return;
    showBeginning();
  });
  byId("model").addEventListener("change", placeOwnBlend);
  for (const radio of document.querySelectorAll("input[name=mode], #rerank-on, #model")) radio.addEventListener("change", settingsChanged);
  byId("filter").addEventListener("input", filterSettled);
  byId("settings-reset").addEventListener("click", () => {
    const kept = new URLSearchParams({ collection: byId("collection").value, q: byId("query").value });
    fillForm(kept);
    search(false);
  });
  for (const radio of document.querySelectorAll("input[name=which]")) radio.addEventListener("change", () => showWhich(/** @type {any} */ (radio).value));
  byId("show-all").addEventListener("click", async () => {
    shown.showsAll = !shown.showsAll;
    await loadTexts();
    showFound();
  });
  const passes = byId("passes");
  passes.addEventListener("keydown", keyInList);
  byId("query").addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || event.ctrlKey || event.metaKey || event.altKey || byId("found").hidden) return;
    const column = passes.dataset.shown === "first" || passes.classList.contains("alone") ? "first" : "second";
    const [id] = cards[column].keys();
    if (id === undefined) return;
    event.preventDefault();
    focusCard(column, id);
  });
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
    if (shown.wanted && readHash().tab !== "search") writeHash("search", hashOf(shown.wanted), true);
    requestAnimationFrame(drawLines);
  };
}

/** Searches for what the address asks for, if it is not shown already. */
function followHash() {
  const { tab, settings } = readHash();
  if (tab !== "search") return;
  fillForm(settings);
  if (hasBegun) begin();
}

/** Whether there were collections to search. */
let hasBegun = false;

/** Searches for the query that the form has; without one shows what there is to begin with. */
function begin() {
  hasBegun = true;
  if (byId("query").value.trim()) search(false);
  else showBeginning();
}

/* ===== judging ===== */

/**
 * Judgements of a collection: for each query the grade of each document that was judged, 1 for
 * relevant and 0 for not. They are kept in this browser, by collection.
 *
 * @typedef {Record<string, Record<string, number>>} Judgements
 */

const JUDGED = "twopass-judged:";

/** @param {string} collection @returns {Judgements} */
function judgementsOf(collection) {
  const kept = jsonOf(localStorage.getItem(JUDGED + collection) ?? "{}");
  return typeof kept === "object" && kept !== null ? kept : {};
}

/** @param {string} collection @param {Judgements} judgements */
function keepJudgements(collection, judgements) {
  if (Object.keys(judgements).length) localStorage.setItem(JUDGED + collection, JSON.stringify(judgements));
  else localStorage.removeItem(JUDGED + collection);
}

/** @param {any} hit */
function judgeButtons(hit) {
  const made = (/** @type {number} */ grade, /** @type {string} */ sign, /** @type {string} */ label) => {
    const button = element("button", { type: "button", className: `act judge g${grade}`, textContent: sign, title: label, "aria-label": `${label}: ${nameOf(hit)}`, "aria-pressed": "false" });
    button.addEventListener("click", () => judge(hit.id, grade));
    return button;
  };
  return [made(1, "✓", "Relevant"), made(0, "✗", "Not relevant")];
}

/** Judges a document for the query that is shown; the same judgement again takes it back. @param {string} id @param {number} grade */
function judge(id, grade) {
  const { wanted } = shown;
  if (!wanted) return;
  const judgements = judgementsOf(wanted.collection);
  const ofQuery = judgements[wanted.query] ?? {};
  const isTakenBack = ofQuery[id] === grade;
  if (isTakenBack) delete ofQuery[id];
  else ofQuery[id] = grade;
  if (Object.keys(ofQuery).length) judgements[wanted.query] = ofQuery;
  else delete judgements[wanted.query];
  keepJudgements(wanted.collection, judgements);
  showJudged();
  say(isTakenBack ? "no longer judged" : grade ? "relevant" : "not relevant");
}

/** nDCG@10 (Järvelin and Kekäläinen 2002) of an order; what is not judged counts as not relevant. @param {string[]} ids @param {Record<string, number>} grades */
function ndcg10(ids, grades) {
  const gain = (/** @type {number[]} */ ordered) => ordered.slice(0, 10).reduce((sum, grade, at) => sum + grade / Math.log2(at + 2), 0);
  const ideal = gain(Object.values(grades).sort((a, b) => b - a));
  return ideal > 0 ? gain(ids.map((id) => grades[id] ?? 0)) / ideal : null;
}

/** Shows what was judged: on the cards, and what it says about both passes. */
function showJudged() {
  const collection = byId("collection").value;
  const judgements = judgementsOf(collection);
  const ofQuery = judgements[shown.wanted?.query ?? ""] ?? {};
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) {
      card.classList.toggle("relevant", ofQuery[id] === 1);
      card.classList.toggle("irrelevant", ofQuery[id] === 0);
      card.querySelector(".judge.g1")?.setAttribute("aria-pressed", String(ofQuery[id] === 1));
      card.querySelector(".judge.g0")?.setAttribute("aria-pressed", String(ofQuery[id] === 0));
    }
  }
  const numQueries = Object.keys(judgements).length;
  const numJudged = Object.values(judgements).reduce((sum, each) => sum + Object.keys(each).length, 0);
  byId("judged").hidden = !shown.answer?.hits.length && !numJudged;
  byId("judged-told").textContent = numJudged
    ? `${counted(numJudged, "judgement")} on ${counted(numQueries, "query", "queries")} of ${collection}, kept in this browser.`
    : "Say with ✓ and ✗ which hits answer the query. A few queries judged so measure both passes on your own questions.";
  byId("judged-save").disabled = !numJudged;
  byId("judged-clear").hidden = !numJudged;
  if (!numJudged) byId("judged-next").hidden = true;
  showMeasures(ofQuery);
}

/** nDCG@10 of both orders of the query that is shown. @param {Record<string, number>} grades */
function showMeasures(grades) {
  const box = byId("judged-measures");
  const isReranked = shown.answer && shown.answer.num_reranked > 0;
  if (!shown.answer?.hits.length || !Object.values(grades).some((grade) => grade > 0)) {
    box.replaceChildren();
    return;
  }
  const { first, second } = placed();
  const rows = /** @type {[string, string, any[]][]} */ ([["first", "First pass", first], ...(isReranked ? [["second", "Second pass", second]] : [])]);
  box.replaceChildren(
    element("p", { className: "soft", textContent: "nDCG@10 of this query, what is not judged counting as not relevant:" }),
    ...rows.map(([kind, name, hits]) => {
      const value = ndcg10(hits.map((hit) => hit.id), grades) ?? 0;
      const fill = element("i", {});
      fill.style.width = `${value * 100}%`;
      return element("p", { className: `measure ${kind}` }, element("span", { textContent: name }), element("span", { className: "track", "aria-hidden": "true" }, fill), element("strong", { textContent: value.toFixed(3) }));
    }),
  );
}

/** The file that `twopass eval` reads: a line for each query. @param {string} collection */
function judgementFile(collection) {
  return Object.entries(judgementsOf(collection))
    .map(([query, judgements]) => `${JSON.stringify({ collection, query, judgements })}\n`)
    .join("");
}

function saveJudgements() {
  const collection = byId("collection").value;
  const name = `judgements-${collection}.jsonl`;
  saveFile(name, judgementFile(collection), "application/jsonl");
  const target = grpcTarget() === "localhost:50051" ? "" : ` --target ${grpcTarget()}`;
  const next = byId("judged-next");
  next.hidden = false;
  next.replaceChildren(
    element("p", { textContent: "Saved. In the folder with that file, this measures every way of searching on it:" }),
    codeOf(`${location.protocol === "https:" ? "TWOPASS_CA=system " : ""}twopass eval ${name}${target}`, "The command that measures"),
    key() ? element("p", { className: "soft", textContent: "It takes the API key from the environment variable TWOPASS_API_KEY." }) : "",
  );
  say(`Saved as ${name}.`);
}

/** Adds the judgements of a file to those of their collections. @param {File} file */
async function loadJudgements(file) {
  const lines = (await file.text()).split("\n").filter((line) => line.trim());
  const read = lines.map((line) => jsonOf(line));
  const wrong = read.findIndex((each) => typeof each?.query !== "string" || typeof each?.judgements !== "object");
  if (wrong >= 0) {
    byId("judged-told").textContent = `${file.name}, line ${wrong + 1}: not a query with judgements, as this page saves them.`;
    return;
  }
  for (const { collection = byId("collection").value, query, judgements } of read) {
    const kept = judgementsOf(collection);
    kept[query] = { ...kept[query], ...judgements };
    keepJudgements(collection, kept);
  }
  showJudged();
}

function startJudging() {
  byId("judged-save").addEventListener("click", saveJudgements);
  byId("judged-load").addEventListener("change", async (/** @type {Event} */ event) => {
    const input = /** @type {HTMLInputElement} */ (event.target);
    if (input.files?.[0]) await loadJudgements(input.files[0]);
    input.value = "";
  });
  byId("judged-clear").addEventListener("click", () => {
    const collection = byId("collection").value;
    if (!confirm(`Forget all judgements of ${collection} in this browser?`)) return;
    keepJudgements(collection, {});
    showJudged();
  });
}

/* ===== collections ===== */

const LANGUAGES = "ar ca cs da de el en eo es et eu fa fi fr ga hi hu hy id it lt nb ne nl nn no pl pt ro ru sr st sv ta tr yi".split(" ");
const INDEX_KINDS = /** @type {[string, string][]} */ ([
  ["Flat", "Flat: exact, quick to about 100,000 documents"],
  ["HNSW32", "HNSW32: a graph, quick with millions"],
  ["HNSW32,SQfp16", "HNSW32,SQfp16: the same in half the memory"],
]);
const MAX_CARDS = 60;

/** A language's name in English, as in "German"; the code itself where the browser knows none. @param {string} code */
function languageName(code) {
  if (code === "none") return "none, words as they stand";
  return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
}

/** How documents that are longer than the encoder reads are treated, in words. @param {any} schema */
function splittingOf(schema) {
  if (schema.client_vectors) return "not split";
  if (schema.whole_documents || !schema.chunking) return "not split, the beginning counts";
  return `windows of ${count(schema.chunking.window_tokens)} tokens`;
}

/** @param {any} collection */
function collectionCard(collection) {
  const { name, schema, aliases } = collection;
  const numDocuments = Number(collection.num_documents ?? 0);
  // A collection that can't be opened has no schema; its problem says why.
  const facts = !schema
    ? []
    : [
        ["Encoder", schema.client_vectors ? "vectors come with the documents" : schema.encoder],
        ["Vectors", `${count(schema.dimension)} dimensions, index ${schema.index_kind}`],
        ["Language", schema.lexical_tokenizer === "LEXICAL_TOKENIZER_PORTER" ? "English (Porter)" : languageName(schema.language)],
        ["Long texts", splittingOf(schema)],
        ["Filters", schema.indexed_fields.map((/** @type {any} */ each) => each.field).join(", ")],
        ["Created", new Date(collection.create_time).toLocaleDateString("en", { dateStyle: "medium" })],
      ];
  const id = `card-${name}`;
  return element(
    "li",
    { className: "stored", "aria-labelledby": id },
    element("h3", { id, textContent: name }),
    aliases.length ? element("p", { className: "soft", textContent: `also called ${aliases.join(", ")}` }) : null,
    element(
      "p",
      { className: "stored-count" },
      element("b", { textContent: count(numDocuments) }),
      ` ${numDocuments === 1 ? "document" : "documents"}`,
      Number(collection.num_split) ? element("span", { className: "soft", textContent: `, ${count(collection.num_split)} of them split` }) : null,
    ),
    ...[collection.read_only_reason && `Takes no writes: ${collection.read_only_reason}`, collection.encoder_problem]
      .filter(Boolean)
      .map((problem) => element("p", { className: "problem", textContent: problem })),
    element(
      "dl",
      {},
      ...facts.filter(([, fact]) => fact).map(([term, fact]) => element("div", {}, element("dt", { textContent: term }), element("dd", { textContent: fact }))),
    ),
    element(
      "div",
      { className: "actions" },
      element("button", { type: "button", textContent: "Search", "aria-label": `Search ${name}`, onclick: () => searchIn(name) }),
      element("button", { type: "button", textContent: "Add files", "aria-label": `Add files to ${name}`, onclick: () => addTo(name) }),
      element("button", { type: "button", className: "plain", textContent: "Rename", "aria-label": `Rename ${name}`, onclick: () => askToRename(name) }),
      element("button", { type: "button", className: "plain danger", textContent: "Delete", "aria-label": `Delete ${name}`, onclick: () => askToDelete(collection) }),
    ),
  );
}

function showCollections() {
  const all = server.collections;
  if (all === null) return;
  const wanted = byId("stored-filter").value.trim().toLowerCase();
  const shown = all.filter(({ name, aliases }) => [name, ...aliases].some((each) => each.includes(wanted)));
  const numDocuments = all.reduce((sum, each) => sum + Number(each.num_documents ?? 0), 0);
  byId("stored-told").textContent = all.length ? `${counted(all.length, "collection")}, ${counted(numDocuments, "document")}` : "";
  byId("stored-filter").parentElement.hidden = all.length <= 12;
  byId("stored").replaceChildren(...shown.slice(0, MAX_CARDS).map(collectionCard));
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

/** Reads the collections again, and tells a failure where they would stand. */
async function refreshCollections() {
  try {
    await loadCollections();
  } catch (error) {
    byId("stored-more").replaceChildren(failure(error, refreshCollections));
  }
}

/** Opens the search of a collection. @param {string} name */
function searchIn(name) {
  location.hash = `#search?${new URLSearchParams({ collection: name })}`;
}

/** Chooses where files go, and leads to where they are chosen. @param {string} name */
function addTo(name) {
  byId("upload-collection").value = name;
  showTarget();
  byId("upload").scrollIntoView({ block: "nearest" });
  (document.getElementById("upload-files") ?? byId("upload-collection")).focus();
}

/** Fills the choice of where files go. @param {any[]} all */
function showTargets(all) {
  const choice = byId("upload-collection");
  const chosen = choice.value;
  choice.replaceChildren(
    ...all.map(({ name }) => element("option", { value: name, textContent: name })),
    element("option", { value: "", textContent: "a new collection…" }),
  );
  choice.value = all.some(({ name }) => name === chosen) ? chosen : (all[0]?.name ?? "");
  showTarget();
}

// --- creating ---

/** Called with the name of the collection that the dialog makes next. @type {((name: string) => void) | null} */
let onCreated = null;

/** Opens the dialog that makes a collection. @param {((name: string) => void) | null} [then] */
function askToCreate(then = null) {
  onCreated = then;
  const form = byId("create-form");
  form.reset();
  const encoders = server.models.filter(({ kind }) => kind === "MODEL_KIND_ENCODER");
  byId("create-encoder").replaceChildren(
    ...encoders.map((model) => element("option", { value: model.id, textContent: `${model.id}: ${count(model.dimension)} dimensions${model.default ? ", the default" : ""}` })),
    element("option", { value: "", textContent: "none: documents and queries bring vectors of their own" }),
  );
  byId("create-error").replaceChildren();
  showCreateChoices();
  byId("create").showModal();
  byId("create-name").focus();
}

/** Shows the fields that the choices ask for, and no others. */
function showCreateChoices() {
  const brings = byId("create-encoder").value === "";
  byId("create-dimension").closest("p").hidden = !brings;
  byId("create-dimension").required = brings;
  byId("create-long").closest("p").hidden = brings;
  const inWindows = !brings && byId("create-long").value === "windows";
  for (const id of ["create-window", "create-overlap"]) {
    byId(id).closest("p").hidden = !inWindows;
    byId(id).required = inWindows;
  }
  const isOther = byId("create-index").value === "";
  byId("create-other-index").closest("p").hidden = !isOther;
  byId("create-other-index").required = isOther;
}

/** The schema that the form describes; what is left as it was is the server's choice. */
function schemaOfForm() {
  const encoder = byId("create-encoder").value;
  /** @type {Record<string, unknown>} */
  const schema = { index_kind: byId("create-index").value || byId("create-other-index").value.trim() };
  if (encoder) schema.encoder = encoder;
  else Object.assign(schema, { client_vectors: true, dimension: byId("create-dimension").valueAsNumber });
  if (byId("create-language").value) schema.language = byId("create-language").value;
  if (encoder && byId("create-long").value === "whole") schema.whole_documents = true;
  if (encoder && byId("create-long").value === "windows") {
    schema.chunking = { window_tokens: byId("create-window").valueAsNumber, overlap_tokens: byId("create-overlap").valueAsNumber };
  }
  schema.indexed_fields = byId("create-fields").value.split(",").map((/** @type {string} */ each) => each.trim()).filter(Boolean).map(indexedField);
  return schema;
}

/** A field with its type, as in "year:number". @param {string} told */
function indexedField(told) {
  const [field, type = "text"] = told.split(/\s*:\s*(?=[a-z]+$)/);
  if (!["text", "number", "bool", "time"].includes(type)) throw new ApiError(400, "", `Fields for filters: ${quoted(type)} of ${quoted(told)} is no type; text, number, bool and time are.`);
  return { field, type: `FIELD_TYPE_${type.toUpperCase()}` };
}

async function create() {
  const name = byId("create-name").value.trim();
  const button = byId("create-go");
  button.disabled = true;
  try {
    await api("POST", "/collections", { name, schema: schemaOfForm() });
    byId("create").close();
    await refreshCollections();
    byId("upload-collection").value = name;
    say(`Collection ${name} is created.`);
    onCreated?.(name);
  } catch (error) {
    byId("create-error").replaceChildren(failure(error));
  } finally {
    button.disabled = false;
  }
}

// --- renaming and deleting ---

/** @param {string} name */
function askToRename(name) {
  byId("rename-title").textContent = `Rename ${name}`;
  byId("rename-alias-label").textContent = `${name} stays as an alias: programs that use it go on`;
  byId("rename-error").replaceChildren();
  byId("rename-name").value = name;
  byId("rename-alias").checked = true;
  byId("rename-form").onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    rename(name);
  };
  byId("rename").showModal();
  byId("rename-name").select();
}

/** @param {string} name */
async function rename(name) {
  const button = byId("rename-go");
  const newName = byId("rename-name").value.trim();
  button.disabled = true;
  try {
    await api("POST", `${collectionPath(name)}/rename`, { new_name: newName, keep_alias: byId("rename-alias").checked });
    byId("rename").close();
    say(`${name} is called ${newName} now.`);
    await refreshCollections();
  } catch (error) {
    byId("rename-error").replaceChildren(failure(error));
  } finally {
    button.disabled = false;
  }
}

/** @param {any} collection */
function askToDelete(collection) {
  const { name, num_documents: numDocuments, aliases } = collection;
  byId("delete-told").textContent =
    `${name} and its ${counted(Number(numDocuments), "document")} are gone at once and for good; its snapshots stay.` +
    (aliases.length ? ` It is also called ${aliases.join(", ")}: ${aliases.length > 1 ? "these aliases are" : "this alias is"} removed first.` : "");
  byId("delete-label").textContent = `Type ${name} to confirm`;
  byId("delete-error").replaceChildren();
  const typed = byId("delete-name");
  const button = byId("delete-go");
  typed.value = "";
  button.disabled = true;
  typed.oninput = () => {
    button.disabled = typed.value.trim() !== name;
  };
  byId("delete-form").onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!button.disabled) remove(collection);
  };
  byId("delete").showModal();
  typed.focus();
}

/** @param {any} collection */
async function remove({ name, aliases }) {
  const button = byId("delete-go");
  button.disabled = true;
  try {
    if (aliases.length) await api("POST", "/aliases", { changes: aliases.map((/** @type {string} */ alias) => ({ alias, collection: "" })) });
    await api("DELETE", collectionPath(name));
    byId("delete").close();
    say(`Collection ${name} is deleted.`);
    await refreshCollections();
    byId("panel-collections").focus();
  } catch (error) {
    byId("delete-error").replaceChildren(failure(error));
    button.disabled = false;
  }
}

function startCollections() {
  for (const code of LANGUAGES) byId("create-language").append(element("option", { value: code, textContent: `${languageName(code)} (${code})` }));
  for (const [value, textContent] of INDEX_KINDS) byId("create-index").append(element("option", { value, textContent }));
  byId("create-index").append(element("option", { value: "", textContent: "another, by its faiss factory string" }));
  byId("create-open").addEventListener("click", () => askToCreate());
  for (const id of ["create-encoder", "create-long", "create-index"]) byId(id).addEventListener("change", showCreateChoices);
  byId("create-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    create();
  });
  for (const close of document.querySelectorAll("dialog .close")) close.addEventListener("click", () => close.closest("dialog")?.close());
  byId("stored-filter").addEventListener("input", showCollections);
  onCollections.push(showCollections);
  onTab.collections = refreshCollections;
}

/* ===== upload: fields of files become documents, and documents go to the server in chunks ===== */

// Chunks grow and shrink so that each takes about a second: progress is seen, and little waits for the disk.
const FIRST_CHUNK_DOCUMENTS = 16;
const MAX_CHUNK_DOCUMENTS = 256;
const SHORT_CHUNK_MS = 500;
const LONG_CHUNK_MS = 2000;
const MAX_CHUNK_BYTES = 1 << 20;
const MAX_TRIES = 8;
const MAX_LEFT_OUT_SHOWN = 100;
const SAMPLED_RECORDS = 20;

/**
 * What becomes of a field. "number": metadata, its text read as a number. "none": it is dropped.
 * @typedef {"id" | "title" | "text" | "vector" | "metadata" | "number" | "none"} Role
 *
 * @typedef {object} UploadSettings
 * @property {string} collection
 * @property {Source[]} sources
 * @property {string} onConflict  A value of OnConflict.
 * @property {boolean} skips  Whether bad records are left out and counted; else they end the upload.
 *
 * A document with where it came from.
 * @typedef {{ where: string, body: Record<string, unknown>, numBytes: number }} Outgoing
 */

const ROLES = /** @type {[Role, string][]} */ ([
  ["id", "the id"],
  ["title", "the title"],
  ["text", "the text"],
  ["metadata", "metadata"],
  ["number", "metadata, a number"],
  ["vector", "the vector"],
  ["none", "nothing, left out"],
]);

const ROLE_NAMES = /** @type {[Role, RegExp][]} */ ([
  ["id", /^(_?id|doc_?id|document_?id|uuid|guid|key|pk|url|uri|link)$/i],
  ["title", /^(title|name|heading|headline|subject|question)$/i],
  ["text", /^(text|body|content|contents|passage|document|abstract|description|summary|answer)$/i],
]);

/**
 * Guesses which field is the id, the title and the text: by name, the text else by length.
 * @param {Record<string, unknown>[]} samples  Fields of some records.
 * @returns {Map<string, Role>}
 */
function guessedRoles(samples) {
  const names = [...new Set(samples.flatMap((fields) => Object.keys(fields)))];
  /** @type {Map<string, Role>} */
  const roles = new Map(names.map((name) => [name, "metadata"]));
  const free = () => names.filter((name) => roles.get(name) === "metadata");
  for (const [role, pattern] of ROLE_NAMES) {
    // Of several that match, the one that the pattern names first.
    const alternatives = pattern.source.slice(2, -2).split("|").map((each) => new RegExp(`^(?:${each})$`, "i"));
    const found = alternatives.map((each) => free().find((name) => each.test(name))).find((name) => name !== undefined);
    if (found !== undefined) roles.set(found, role);
  }
  const lengthOf = (/** @type {string} */ name) =>
    samples.reduce((sum, fields) => sum + (typeof fields[name] === "string" ? /** @type {string} */ (fields[name]).length : 0), 0);
  if (![...roles.values()].includes("text")) {
    const longest = free().sort((a, b) => lengthOf(b) - lengthOf(a))[0];
    if (longest !== undefined && lengthOf(longest) > 0) roles.set(longest, "text");
  }
  return roles;
}

/**
 * Makes a document of a record.
 * @param {SourceRecord} record
 * @param {Map<string, Role>} roles
 * @returns {Outgoing}
 * @throws {RecordError}  A field is missing or of the wrong type.
 */
function documentOf(record, roles) {
  /** @type {Record<string, unknown>} */
  const body = {};
  /** @type {[string, unknown][]} */
  const metadata = [];
  let hasId = false;
  for (const [name, value] of Object.entries(record.fields)) {
    const role = roles.get(name) ?? "metadata";
    if (role === "id") {
      hasId = true;
      body.id = idOf(name, value);
    } else if (role === "title" || role === "text") body[role] = textOf(name, value);
    else if (role === "vector") body.vector = { values: vectorOf(name, value) };
    else if (role === "number") metadata.push([name, numberOf(name, value)]);
    else if (role === "metadata") metadata.push([name, value]);
  }
  const idField = [...roles].find(([, role]) => role === "id")?.[0];
  if (!hasId) {
    if (idField !== undefined) throw new RecordError(`no field ${quoted(idField)}, which was chosen as the id`);
    body.id = record.where;
  }
  if (!body.text && !body.title) {
    const told = [...roles].filter(([, role]) => role === "text" || role === "title").map(([name]) => quoted(name));
    throw new RecordError(`id ${quoted(String(body.id))}: neither a text nor a title${told.length ? `, in ${told.join(" and ")}` : "; choose a field"}`);
  }
  try {
    if (metadata.length) body.metadata_json = JSON.stringify(Object.fromEntries(metadata));
  } catch {
    throw new RecordError(`id ${quoted(String(body.id))}: its metadata is nested too deep`);
  }
  return { where: record.where, body, numBytes: JSON.stringify(body).length };
}

function idOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (typeof unwrapped(value) === "number") return JSON.stringify(value);
  if (typeof value !== "string" || !value) throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, an id is needed`);
  return value;
}

function textOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof unwrapped(value) === "number" || typeof value === "boolean") return JSON.stringify(value);
  throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, a text is needed`);
}

function numberOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (value === null || value === "" || typeof unwrapped(value) === "number") return value === "" ? null : value;
  const number = typeof value === "string" && value.trim() ? Number(value) : NaN;
  if (!Number.isFinite(number)) throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, a number is needed`);
  return number;
}

function vectorOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  const values = (typeof value === "string" ? jsonOf(value) : Array.isArray(value) ? value.map(unwrapped) : value) ?? null;
  if (!Array.isArray(values) || !values.every((each) => typeof each === "number")) {
    throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, a list of numbers is needed`);
  }
  return values;
}

/** A value for a message: what it is, and how it begins. @param {unknown} value */
function kindOf(value) {
  if (value === null || value === undefined) return "empty";
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object") return "an object";
  return value === "" ? "empty" : quoted(String(value));
}

/** A text in quotes, its beginning alone where it is long. @param {string} text */
function quoted(text) {
  return `“${text.length > 60 ? `${text.slice(0, 60)}…` : text}”`;
}

/** What ended an upload before its end. */
class UploadStopped extends Error {}

/** One upload: which files, with which fields, into which collection. */
class Upload {
  /**
   * @param {UploadSettings} settings
   * @param {any} limits  Those of the server.
   * @param {(told: string) => Promise<void>} whenLost  Resolves when a server that does not answer is to be tried again.
   */
  constructor(settings, limits, whenLost) {
    this.settings = settings;
    this.whenLost = whenLost;
    this.mostDocuments = Math.min(MAX_CHUNK_DOCUMENTS, Number(limits.max_documents));
    this.maxDocuments = Math.min(FIRST_CHUNK_DOCUMENTS, this.mostDocuments);
    this.maxTextBytes = Number(limits.max_passage_bytes);
    this.cancelling = new AbortController();
    this.soFar = { numBytes: 0 };
    this.numBytes = settings.sources.reduce((sum, { file }) => sum + file.size, 0);
    this.numRead = 0;
    this.numOnDisk = 0;
    this.numInserted = 0;
    this.numReplaced = 0;
    this.numSkipped = 0;
    this.numSplit = 0;
    this.numLeftOut = 0;
    /** The first ones. @type {LeftOut[]} */
    this.leftOut = [];
    /** What it waits for, in words; "" while it does not. */
    this.waiting = "";
    this.began = performance.now();
  }

  /** Writes all documents. @throws {UploadStopped} @throws {ApiError} */
  async run() {
    /** @type {(Outgoing & { source: Source })[]} */
    let chunk = [];
    let ids = new Set();
    let numBytes = 0;
    const flush = async () => {
      const full = chunk;
      chunk = [];
      ids = new Set();
      numBytes = 0;
      if (full.length) await this.send(full);
    };
    for (const source of this.settings.sources) {
      for await (const record of recordsOf(source, this.soFar, this.maxTextBytes)) {
        this.cancelling.signal.throwIfAborted();
        const found = documentOrLeftOut(record, source.roles);
        if ("reason" in found) {
          if (this.stopsAt(source)) await flush(); // what comes before it is written
          this.leaveOut(found, source);
          continue;
        }
        this.numRead += 1;
        // The later of two documents of one id counts; a request must not have both.
        const { id } = found.body;
        if (chunk.length >= this.maxDocuments || numBytes + found.numBytes > MAX_CHUNK_BYTES || ids.has(id)) await flush();
        chunk.push({ ...found, source });
        ids.add(id);
        numBytes += found.numBytes;
      }
    }
    await flush();
  }

  /** Whether something bad in a file ends the upload: not where a folder held a file that can't be read. @param {Source} source */
  stopsAt(source) {
    return !this.settings.skips && (source.isNamed || source.kind === "jsonl" || source.kind === "csv");
  }

  /** @param {LeftOut} leftOut @param {Source} source @throws {UploadStopped} */
  leaveOut(leftOut, source) {
    if (this.stopsAt(source)) throw new UploadStopped(`${leftOut.where}: ${leftOut.reason}`);
    this.numLeftOut += 1;
    if (this.leftOut.length < MAX_LEFT_OUT_SHOWN) this.leftOut.push(leftOut);
  }

  /**
   * Writes a chunk, without the documents that the server refuses; where one of those ends the
   * upload, the others are written first.
   * @param {(Outgoing & { source: Source })[]} chunk
   */
  async send(chunk) {
    const path = `${collectionPath(this.settings.collection)}/documents`;
    /** @type {{ leftOut: LeftOut, source: Source }[]} */
    const refused = [];
    const refuse = (/** @type {number} */ at, /** @type {string} */ reason) => {
      const { where, body, source } = chunk[at];
      refused.push({ leftOut: { where, reason: `id ${quoted(String(body.id))}: ${reason}` }, source });
      chunk = chunk.filter((_, each) => each !== at);
    };
    for (let tries = 0; chunk.length; ) {
      try {
        const documents = chunk.map(({ body }) => body);
        const sent = performance.now();
        this.count(await api("PUT", path, { documents, on_conflict: this.settings.onConflict }, { signal: this.cancelling.signal }));
        const milliseconds = performance.now() - sent;
        if (milliseconds < SHORT_CHUNK_MS) this.maxDocuments = Math.min(2 * this.maxDocuments, this.mostDocuments);
        else if (milliseconds > LONG_CHUNK_MS) this.maxDocuments = Math.max(1, this.maxDocuments >> 1);
        break;
      } catch (error) {
        if (!(error instanceof ApiError)) throw error;
        const at = refusedDocument(error);
        if (at !== null && at < chunk.length) {
          refuse(at, error.message.replace(/^documents\[\d+\]\.?/, ""));
        } else if (error.status === 413 && chunk.length > 1) {
          const half = chunk.length >> 1;
          await this.send(chunk.slice(0, half));
          chunk = chunk.slice(half);
        } else if (error.status === 413) {
          refuse(0, error.message);
        } else if ((error.status === 429 || error.status === 503) && tries < MAX_TRIES) {
          const wait = Math.min(30_000, Math.max(error.retryAfter, 500 * 2 ** tries));
          this.waiting = `${error.status === 429 ? "The server is full" : "The server is not ready"}; it is asked again in ${told(wait)}.`;
          await pause(wait, this.cancelling.signal);
          tries += 1;
        } else if (error.status === 0) {
          await this.whenLost(error.message);
          this.cancelling.signal.throwIfAborted();
        } else {
          throw error;
        }
      }
    }
    for (const { leftOut, source } of refused) this.leaveOut(leftOut, source);
  }

  /** @param {any} answer Of the server to a chunk. */
  count(answer) {
    this.waiting = "";
    this.numInserted += answer.num_inserted;
    this.numReplaced += answer.num_replaced;
    this.numSkipped += answer.num_skipped;
    this.numSplit += answer.num_split;
    this.numOnDisk += answer.num_inserted + answer.num_replaced;
  }
}

/** @param {SourceRecord | LeftOut} record @param {Map<string, Role>} roles @returns {Outgoing | LeftOut} */
function documentOrLeftOut(record, roles) {
  if ("reason" in record) return record;
  try {
    return documentOf(record, roles);
  } catch (error) {
    return { where: record.where, reason: messageOf(error) };
  }
}

/** @type {Map<string, Role>} */
const WHOLE_FILE_ROLES = new Map([["id", "id"], ["title", "title"], ["text", "text"]]);

/** The place in its request of the document that a refusal names; null where it names none. @param {ApiError} error */
function refusedDocument(error) {
  const found = error.status === 400 && /^documents\[(\d+)\]/.exec(error.message);
  return found ? Number(found[1]) : null;
}

/** @param {number} milliseconds @param {AbortSignal} signal @returns {Promise<void>} */
function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal.addEventListener("abort", () => (clearTimeout(timer), reject(signal.reason)), { once: true });
  });
}

function messageOf(/** @type {unknown} */ error) {
  return error instanceof Error ? error.message : String(error);
}

// --- what is dropped or chosen ---

/**
 * The files that were dropped, with those within folders.
 * @param {DataTransfer} dropped  Readable until the event ends, so entries are taken before the first await.
 * @returns {Promise<{ file: File, name: string, isNamed: boolean }[]>}
 */
async function droppedFiles(dropped) {
  const entries = [...dropped.items].filter(({ kind }) => kind === "file").map((item) => item.webkitGetAsEntry?.() ?? item.getAsFile());
  const found = [];
  for (const entry of entries) {
    if (entry instanceof File) found.push({ file: entry, name: entry.name, isNamed: true });
    else if (entry) for await (const each of filesOfEntry(entry, "", true)) found.push(each);
  }
  return found;
}

/**
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

/** @param {FileList} list @returns {{ file: File, name: string, isNamed: boolean }[]} */
function chosenFiles(list) {
  return [...list]
    .map((file) => ({ file, name: file.webkitRelativePath || file.name, isNamed: !file.webkitRelativePath }))
    .filter(({ name, isNamed }) => isNamed || !isHidden(name.split("/").slice(1).join("/")));
}

// --- the steps: choose, look at what was understood, go ---

/** The upload under way, if one is. @type {Upload | null} */
let running = null;

/** Puts the first step where the steps are shown. */
function showChoosing() {
  const files = element("input", { type: "file", multiple: true, className: "unseen", id: "upload-input", tabIndex: -1, "aria-label": "Files" });
  const folder = element("input", { type: "file", className: "unseen", id: "upload-folder-input", tabIndex: -1, "aria-label": "Folder", webkitdirectory: true });
  for (const input of [files, folder]) input.addEventListener("change", () => look(chosenFiles(/** @type {FileList} */ (input.files))));
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

/**
 * Looks into chosen files, and shows what was understood of them.
 * @param {{ file: File, name: string, isNamed: boolean }[]} chosen
 */
async function look(chosen) {
  if (running || !chosen.length) return;
  say(`Looking into ${counted(chosen.length, "file")}.`);
  byId("upload-step").replaceChildren(element("p", { className: "soft", textContent: `Looking into ${counted(chosen.length, "file")} …` }));
  const sources = [];
  const leftOut = [];
  for (const each of chosen) {
    const found = await sourceOf(each);
    if ("reason" in found) leftOut.push(found);
    else sources.push(found);
  }
  showReview(sources, leftOut, await groupsOf(sources));
}

/**
 * Files with fields whose id, title and text are the same fields; they share their roles.
 * @typedef {{ sources: Source[], roles: Map<string, Role>, samples: Record<string, unknown>[] }} Group
 */

/** @param {Source[]} sources @returns {Promise<Group[]>} */
async function groupsOf(sources) {
  /** @type {Map<string, Group>} */
  const groups = new Map();
  for (const source of sources.filter(({ kind }) => kind === "jsonl" || kind === "csv")) {
    const samples = await samplesOf(source);
    const roles = samples.length ? guessedRoles(samples) : new Map(WHOLE_FILE_ROLES);
    const name = [...roles].filter(([, role]) => ["id", "title", "text"].includes(role)).sort().join();
    const group = groups.get(name) ?? { sources: [], roles, samples: [] };
    groups.set(name, group);
    group.sources.push(source);
    group.samples.push(...samples);
    for (const [field, role] of roles) if (!group.roles.has(field)) group.roles.set(field, role);
    source.roles = group.roles;
  }
  return [...groups.values()].filter(({ samples }) => samples.length);
}

/** The fields of the first records of a file. @param {Source} source */
async function samplesOf(source) {
  const samples = [];
  let number = 0;
  for await (const record of recordsOf(source, { numBytes: 0 }, 0)) {
    if ("fields" in record) samples.push(record.fields);
    if ((number += 1) >= SAMPLED_RECORDS) break;
  }
  return samples;
}

/**
 * Shows which files were understood as what, and which field becomes what.
 * @param {Source[]} sources
 * @param {LeftOut[]} leftOut
 * @param {Group[]} groups
 */
function showReview(sources, leftOut, groups) {
  const numBytes = sources.reduce((sum, { file }) => sum + file.size, 0);
  const conflict = select("upload-conflict", "An id that is there already", [
    ["ON_CONFLICT_REPLACE", "is replaced"],
    ["ON_CONFLICT_SKIP", "stays as it is"],
    ["ON_CONFLICT_FAIL", "ends the upload"],
  ]);
  const policy = select("upload-policy", "A bad record", [
    ["stop", "ends the upload, and is named"],
    ["skip", "is left out, named and counted"],
  ]);
  const encoding = encodingChoice(sources);
  const wrong = element("div", { role: "alert" });
  const form = element(
    "form",
    { className: "review", noValidate: true },
    element("h4", { tabIndex: -1, textContent: sources.length ? `${counted(sources.length, "file")}, ${bytesTold(numBytes)}` : "Nothing that can be read here" }),
    fileList(sources),
    leftOut.length ? leftOutList(leftOut, leftOut.length) : null,
    ...groups.map((group) => roleTable(group, groups.length > 1)),
    sources.length ? element("div", { className: "choices" }, encoding, conflict, policy) : null,
    wrong,
    element(
      "div",
      { className: "actions" },
      sources.length ? element("button", { type: "submit", className: "primary", id: "upload-go" }) : null,
      element("button", { type: "button", textContent: "Choose others", onclick: () => (showChoosing(), byId("upload-files").focus()) }),
    ),
  );
  form.addEventListener("submit", (event) => {
    event.preventDefault();
    const reasons = groups.map(({ roles }) => wrongRoles(roles)).filter(Boolean);
    wrong.replaceChildren(...reasons.slice(0, 1).map((textContent) => element("p", { className: "problem", textContent })));
    if (reasons.length) return;
    const begin = (/** @type {string} */ collection) =>
      upload({ collection, sources, onConflict: conflict.querySelector("select")?.value ?? "", skips: policy.querySelector("select")?.value === "skip" });
    const collection = byId("upload-collection").value;
    if (collection) begin(collection);
    else askToCreate(begin);
  });
  byId("upload-step").replaceChildren(form);
  showTarget();
  form.querySelector("h4")?.focus();
}

/** Says on the button where the files will go. */
function showTarget() {
  const button = document.getElementById("upload-go");
  if (button) button.textContent = `Upload to ${byId("upload-collection").value || "a new collection"}`;
}

/** What is wrong with a choice of roles; "" where nothing is. @param {Map<string, Role>} roles */
function wrongRoles(roles) {
  const given = [...roles.values()];
  for (const [role, told] of ROLES.slice(0, 3)) {
    const fields = [...roles].filter(([, each]) => each === role).map(([name]) => quoted(name));
    if (fields.length > 1) return `${fields.join(" and ")} can't both be ${told}.`;
  }
  return given.includes("text") || given.includes("title") ? "" : "Choose which field is the text.";
}

/** @param {Source[]} sources */
function fileList(sources) {
  const shown = sources.slice(0, 12).map(({ file, name, kind, gzip, encoding, delimiter }) =>
    element(
      "li",
      {},
      element("span", { className: "file-name", textContent: printable(name) }),
      element("span", {
        className: "soft",
        textContent: [
          `${KIND_NAMES[kind]}${gzip ? ", gzip" : ""}`,
          delimiter && delimiter !== "," ? `divided by ${delimiter === "\t" ? "tabs" : delimiter}` : "",
          encoding === "utf-8" ? "" : encoding,
          bytesTold(file.size),
        ].filter(Boolean).join(" · "),
      }),
    ),
  );
  if (sources.length > shown.length) shown.push(element("li", { className: "soft", textContent: `and ${counted(sources.length - shown.length, "more file")}` }));
  return element("ul", { className: "files" }, ...shown);
}

/** @param {LeftOut[]} leftOut @param {number} number */
function leftOutList(leftOut, number) {
  const shown = leftOut.slice(0, MAX_LEFT_OUT_SHOWN);
  return element(
    "details",
    { className: "left-out", open: number <= 5 },
    element("summary", { textContent: `${count(number)} left out` }),
    element(
      "ul",
      {},
      ...shown.map(({ where, reason }) => element("li", {}, element("b", { textContent: printable(where) }), ` ${printable(reason)}`)),
      number > shown.length ? element("li", { className: "soft", textContent: `and ${count(number - shown.length)} more` }) : null,
    ),
  );
}

/** A row for each field: its first value, and what becomes of it. @param {Group} group @param {boolean} isNamed Whether the table names its files. */
function roleTable({ sources, roles, samples }, isNamed) {
  const files = sources.slice(0, 3).map(({ name }) => printable(name)).join(", ") + (sources.length > 3 ? " …" : "");
  const rows = [...roles].map(([name, role]) => {
    const value = samples.map((fields) => fields[name]).find((each) => each !== undefined && each !== null && each !== "");
    const choice = element(
      "select",
      { "aria-label": `${printable(name)} becomes` },
      ...ROLES.map(([each, told]) => element("option", { value: each, textContent: told, selected: each === role })),
    );
    choice.addEventListener("change", () => roles.set(name, /** @type {Role} */ (choice.value)));
    const shown = typeof value === "string" ? value : value === undefined ? "" : JSON.stringify(value);
    return element(
      "tr",
      {},
      element("th", { scope: "row", textContent: printable(name) }),
      element("td", { className: "sample", textContent: printable(shown.slice(0, 200)) }),
      element("td", {}, choice),
    );
  });
  return element(
    "table",
    { className: "roles" },
    element("caption", { textContent: `Which field is what${isNamed ? `: ${files}` : ""}` }),
    element("thead", {}, element("tr", {}, ...["Field", "A value", "Becomes"].map((textContent) => element("th", { scope: "col", textContent })))),
    element("tbody", {}, ...rows),
  );
}

/** A choice for the files that are not UTF-8; null where all are. @param {Source[]} sources */
function encodingChoice(sources) {
  const guessed = sources.filter(({ encoding }) => encoding === "windows-1252");
  if (!guessed.length) return null;
  const labels = ["windows-1252", "windows-1250", "windows-1251", "windows-1253", "windows-1254", "iso-8859-2", "koi8-r", "shift_jis", "euc-jp", "gb18030", "big5", "euc-kr", "utf-8"];
  const choice = select("upload-encoding", `${counted(guessed.length, "file is", "files are")} not UTF-8, and read as`, labels.map((label) => [label, label]));
  choice.addEventListener("change", () => {
    for (const source of guessed) source.encoding = choice.querySelector("select")?.value ?? "utf-8";
  });
  return choice;
}

/** A select with its label. @param {string} id @param {string} label @param {[string, string][]} options */
function select(id, label, options) {
  return element(
    "p",
    {},
    element("label", { htmlFor: id, textContent: label }),
    element("select", { id }, ...options.map(([value, textContent]) => element("option", { value, textContent }))),
  );
}

/** Runs an upload, and shows how far it is. @param {UploadSettings} settings */
async function upload(settings) {
  const { collection } = settings;
  const bar = element("progress", { max: 1, value: 0, "aria-label": "Documents uploaded" });
  const told = element("p", { className: "upload-told" });
  const waiting = element("p", { className: "soft" });
  const lost = element("div", { role: "alert" });
  const cancel = element("button", { type: "button", textContent: "Cancel" });
  byId("upload-step").replaceChildren(
    element("div", { className: "running" }, element("h4", { textContent: `Into ${collection}` }), bar, told, waiting, lost, element("div", { className: "actions" }, cancel)),
  );
  cancel.focus();
  byId("upload-collection").disabled = true;

  /** @type {(value?: unknown) => void} */
  let goOn = () => undefined;
  const whenLost = (/** @type {string} */ message) =>
    new Promise((resolve) => {
      goOn = resolve;
      say(`${message} The upload waits.`);
      lost.replaceChildren(
        element("p", { className: "problem", textContent: `${message} What was acknowledged is on disk. Once the server is back, the upload goes on where it was.` }),
        element("button", { type: "button", textContent: "Go on", onclick: () => resolve(undefined) }),
      );
    }).then(() => lost.replaceChildren());

  let timer = 0;
  try {
    const { server: info } = await api("GET", "/server");
    const run = (running = new Upload(settings, info.limits, whenLost));
    cancel.addEventListener("click", () => {
      run.cancelling.abort();
      goOn();
    });
    window.addEventListener("beforeunload", warnOfLeaving);
    const show = () => {
      bar.value = run.numBytes ? Math.min(1, run.soFar.numBytes / run.numBytes) : 0;
      told.textContent = progressTold(run);
      waiting.textContent = run.waiting;
    };
    timer = setInterval(show, 200);
    show();
    await run.run();
    showEnd(run, null);
  } catch (error) {
    showEnd(running, error);
  } finally {
    clearInterval(timer);
    window.removeEventListener("beforeunload", warnOfLeaving);
    byId("upload-collection").disabled = false;
    running = null;
    await refreshCollections();
    byId("upload-collection").value = collection;
  }
}

/** @param {BeforeUnloadEvent} event */
function warnOfLeaving(event) {
  event.preventDefault();
}

/** How far an upload is, in documents; how many there will be is known by the share of bytes that were read. @param {Upload} run */
function progressTold(run) {
  const done = run.numOnDisk + run.numSkipped;
  const share = run.numBytes ? run.soFar.numBytes / run.numBytes : 0;
  const seconds = (performance.now() - run.began) / 1000;
  const parts = [];
  if (share >= 1) parts.push(`${count(done)} of ${counted(run.numRead, "document")} on disk`);
  else if (share > 0.02) parts.push(`${count(done)} of about ${counted(roughly(run.numRead / share), "document")} on disk`);
  else parts.push(`${counted(done, "document")} on disk`);
  const rate = done / seconds;
  if (done && seconds > 1) parts.push(`${count(Math.round(rate))} a second`);
  if (done && seconds > 3 && share > 0.02) {
    const left = (run.numRead / Math.min(1, share) - done) / rate;
    if (left > 1) parts.push(`about ${left < 90 ? `${Math.ceil(left)} s` : `${Math.ceil(left / 60)} minutes`} left`);
  }
  if (run.numLeftOut) parts.push(`${count(run.numLeftOut)} left out`);
  return parts.join(" · ");
}

/** A number of which two digits are known. @param {number} value */
function roughly(value) {
  const unit = 10 ** Math.max(0, Math.floor(Math.log10(Math.max(1, value))) - 1);
  return Math.round(value / unit) * unit;
}

/** Tells how an upload ended. @param {Upload | null} run @param {unknown} error */
function showEnd(run, error) {
  const collection = run?.settings.collection ?? "";
  const summary = run ? summaryOf(run) : "Nothing was written.";
  const isCancelled = run?.cancelling.signal.aborted ?? false;
  const isStopped = error instanceof UploadStopped;
  const heading = !error ? "Done" : isCancelled ? "Cancelled" : "Stopped";
  const shown = element(
    "div",
    { className: "ended" },
    element("h4", { tabIndex: -1, textContent: heading }),
    !error || isCancelled
      ? null
      : isStopped
        ? element("p", { className: "problem", textContent: printable(messageOf(error)) })
        : failure(error),
    isStopped ? element("p", { textContent: "Mend that record and upload again, or have bad records left out: documents of the same id are replaced, not doubled." }) : null,
    element("p", { textContent: error ? `Until then: ${summary}` : summary }),
    run && run.numLeftOut ? leftOutList(run.leftOut, run.numLeftOut) : null,
    element(
      "div",
      { className: "actions" },
      isStopped && run
        ? element("button", { type: "button", textContent: "Again, leaving bad records out", onclick: () => upload({ ...run.settings, skips: true }) })
        : null,
      run ? element("button", { type: "button", className: error ? "" : "primary", textContent: `Search ${collection}`, onclick: () => searchIn(collection) }) : null,
      element("button", { type: "button", textContent: "Upload more", onclick: () => (showChoosing(), byId("upload-files").focus()) }),
    ),
  );
  byId("upload-step").replaceChildren(shown);
  shown.querySelector("h4")?.focus();
  say(`${heading}. ${summary}`);
}

/** What an upload did, as `twopass index` tells it. @param {Upload} run */
function summaryOf(run) {
  const parts = [`${count(run.numInserted)} inserted`, `${count(run.numReplaced)} replaced`];
  const split = run.numSplit ? ` (${count(run.numSplit)} of them split)` : "";
  if (run.numSkipped) parts.push(`${count(run.numSkipped)} known already`);
  if (run.numLeftOut) parts.push(`${count(run.numLeftOut)} left out`);
  return `${run.settings.collection}: ${parts.slice(0, 2).join(", ")}${split}${parts.slice(2).map((part) => `, ${part}`).join("")}.`;
}

/** @param {number} numBytes */
function bytesTold(numBytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; numBytes >= 999.5 && at < units.length - 1; at += 1) numBytes /= 1000;
  return `${at && numBytes < 10 ? numBytes.toFixed(1) : Math.round(numBytes)} ${units[at]}`;
}

function startUpload() {
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

/* ===== reading files: records of what a visitor chose, a piece at a time ===== */
//
// Files are streamed: of a file of several GB a few hundred KB are in memory. What is wrong with one
// line is told as left out, and reading goes on where it can, as `twopass index` does.

/**
 * A file of one or more documents.
 * @typedef {object} Source
 * @property {File} file
 * @property {string} name  Its path within what was chosen; the id of its document where it is one.
 * @property {"jsonl" | "csv" | "text" | "markdown" | "html"} kind
 * @property {boolean} gzip
 * @property {string} encoding  A label of TextDecoder.
 * @property {string} delimiter  Of CSV; "" elsewhere.
 * @property {boolean} isNamed  Whether it was chosen itself, rather than found in a folder.
 * @property {Map<string, Role>} roles  What becomes of its fields; those that are not in it are metadata.
 *
 * A document as it stands in its file.
 * @typedef {object} SourceRecord
 * @property {string} where  file:line, or the file where it is one document.
 * @property {Record<string, unknown>} fields
 *
 * What can't be read.
 * @typedef {object} LeftOut
 * @property {string} where
 * @property {string} reason  What is wrong, and the way out.
 *
 * @typedef {{ numBytes: number }} ReadSoFar
 */

/** @type {Record<string, Source["kind"]>} */
const KINDS_BY_SUFFIX = {
  jsonl: "jsonl", ndjson: "jsonl", csv: "csv", tsv: "csv",
  txt: "text", text: "text", rst: "text", log: "text", md: "markdown", markdown: "markdown", html: "html", htm: "html",
};
const KIND_NAMES = { jsonl: "JSONL", csv: "CSV", text: "text", markdown: "Markdown", html: "HTML" };
const LEFT_FOLDERS = new Set(["node_modules", "__pycache__"]);
const SAMPLE_BYTES = 65_536;
// Longer lines can't be sent: the server takes no document that is larger than a body of 8 MiB.
const MAX_LINE_BYTES = 8 << 20;

class RecordError extends Error {}

/** JSON with what TypeScript does not know of it yet: raw values, and the source of parsed ones. */
const json = /** @type {any} */ (JSON);

/** What raw JSON of a number says; any other value as it is. @param {unknown} value @returns {unknown} */
function unwrapped(value) {
  return json.isRawJSON?.(value) ? Number(json.stringify(value)) : value;
}

/** Whether a path lies in a folder, or is a file, that nobody means to index: `.git`, `node_modules`. */
function isHidden(/** @type {string} */ path) {
  return path.split("/").some((part) => part.startsWith(".") || LEFT_FOLDERS.has(part));
}

/**
 * Finds out how a file is to be read, from its name and its beginning.
 * @param {{ file: File, name: string, isNamed: boolean }} chosen
 * @returns {Promise<Source | LeftOut>}
 */
async function sourceOf({ file, name, isNamed }) {
  const gzip = /\.gz$/i.test(name);
  const suffix = (/\.([^./]+)$/.exec(gzip ? name.slice(0, -3) : name)?.[1] ?? "").toLowerCase();
  if (suffix === "parquet") return { where: name, reason: "Parquet is read by the command alone: twopass index COLLECTION FILE" };
  if (suffix && suffix !== "json" && !KINDS_BY_SUFFIX[suffix] && !/^[0-9]+$/.test(suffix)) {
    return { where: name, reason: `.${suffix} is not read here; JSONL, CSV, TSV, text, Markdown and HTML are, each also .gz` };
  }
  let sample;
  try {
    sample = await beginningOf(file, gzip);
  } catch (error) {
    return { where: name, reason: gzip ? `not gzip: ${messageOf(error)}` : `can't be read: ${messageOf(error)}` };
  }
  const encoding = encodingOf(sample);
  if (encoding === null) return { where: name, reason: "holds no text" };
  const beginning = new TextDecoder(encoding).decode(sample);
  if (suffix === "json" && !isJson(beginning.trimStart().split("\n", 1)[0])) {
    return { where: name, reason: "one JSON object on each line is needed (JSONL); of a list, jq -c '.[]' makes that" };
  }
  const kind = suffix === "json" ? "jsonl" : (KINDS_BY_SUFFIX[suffix] ?? "text");
  const delimiter = kind === "csv" ? delimiterOf(beginning, suffix) : "";
  return { file, name, kind, gzip, encoding, delimiter, isNamed, roles: WHOLE_FILE_ROLES };
}

/** The first bytes of a file, unpacked. */
async function beginningOf(/** @type {File} */ file, /** @type {boolean} */ gzip) {
  if (!gzip) return new Uint8Array(await file.slice(0, SAMPLE_BYTES).arrayBuffer());
  const reader = file.stream().pipeThrough(new DecompressionStream("gzip")).getReader();
  const { value } = await reader.read();
  await reader.cancel().catch(() => undefined);
  return (value ?? new Uint8Array()).slice(0, SAMPLE_BYTES);
}

/**
 * UTF-16 with its mark; else UTF-8 or, where more lines are not UTF-8 than are, Windows-1252.
 * Null for what is no text.
 * @param {Uint8Array} sample
 */
function encodingOf(sample) {
  if (sample[0] === 0xff && sample[1] === 0xfe) return "utf-16le";
  if (sample[0] === 0xfe && sample[1] === 0xff) return "utf-16be";
  if (sample.includes(0)) return null;
  let balance = 0;
  for (let at = 0; at < sample.length; ) {
    const end = sample.indexOf(10, at);
    const line = sample.subarray(at, end < 0 ? sample.length : end);
    if (line.some((byte) => byte >= 0x80)) balance += isUtf8(line) ? 1 : -1;
    at += line.length + 1;
  }
  return balance < 0 ? "windows-1252" : "utf-8";
}

/** Whether bytes are UTF-8; a character may be cut at their end. @param {Uint8Array} bytes */
function isUtf8(bytes) {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes, { stream: true });
    return true;
  } catch {
    return false;
  }
}

function isJson(/** @type {string} */ text) {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
}

/** The delimiter that the first line has most often outside of quotes. */
function delimiterOf(/** @type {string} */ beginning, /** @type {string} */ suffix) {
  const header = beginning.split("\n", 1)[0].replace(/"[^"]*"/g, "");
  const counts = [",", ";", "\t", "|"].map((delimiter) => ({ delimiter, count: header.split(delimiter).length }));
  counts.sort((a, b) => b.count - a.count);
  if (counts[0].count > 1) return counts[0].delimiter;
  return suffix === "tsv" ? "\t" : ",";
}

/**
 * Reads the records of a file.
 * @param {Source} source
 * @param {ReadSoFar} soFar  Counts the bytes of the file that have been read.
 * @param {number} maxTextBytes  A file that is one document and larger is left out.
 * @returns {AsyncGenerator<SourceRecord | LeftOut>}
 */
async function* recordsOf(source, soFar, maxTextBytes) {
  try {
    if (source.kind === "jsonl") yield* jsonRecords(source, soFar);
    else if (source.kind === "csv") yield* csvRecords(source, soFar);
    else yield await wholeDocument(source, soFar, maxTextBytes);
  } catch (error) {
    yield { where: source.name, reason: source.gzip ? `damaged from here on: ${messageOf(error)}` : `can't be read: ${messageOf(error)}` };
  }
}

/** @returns {AsyncGenerator<SourceRecord | LeftOut>} */
async function* jsonRecords(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  for await (const { number, text, wrong } of linesOf(source, soFar)) {
    const where = `${source.name}:${number}`;
    if (wrong) yield { where, reason: wrong };
    else if (text.trim()) {
      try {
        yield { where, fields: parsedObject(text) };
      } catch (error) {
        yield { where, reason: messageOf(error) };
      }
    }
  }
}

/** @returns {AsyncGenerator<SourceRecord | LeftOut>} */
async function* csvRecords(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const rows = new CsvRows(source.delimiter);
  /** @type {string[] | null} */
  let names = null;
  let began = 1;
  for await (const { number, text, wrong } of linesOf(source, soFar)) {
    if (!rows.isOpen) began = number;
    const where = `${source.name}:${began}`;
    if (wrong) {
      rows.reset();
      yield { where: `${source.name}:${number}`, reason: wrong };
      continue;
    }
    if (!rows.isOpen && !text.trim()) continue;
    let row;
    try {
      row = rows.take(text);
    } catch (error) {
      yield { where, reason: messageOf(error) };
      continue;
    }
    if (row === null) continue;
    if (names === null) {
      names = row;
      const twice = names.find((name, at) => names?.indexOf(name) !== at);
      if (twice !== undefined) {
        yield { where, reason: `two columns are called ${quoted(twice)}` };
        return;
      }
    } else if (row.length !== names.length) {
      yield { where, reason: `${counted(row.length, "value")} in a row, ${counted(names.length, "column")} in the first line` };
    } else {
      const fields = names.map((name, at) => [name, /** @type {string[]} */ (row)[at]]);
      yield { where, fields: Object.fromEntries(fields) };
    }
  }
  if (rows.isOpen) yield { where: `${source.name}:${began}`, reason: "a quote that begins in this row never ends" };
}

/** Rows of CSV (RFC 4180), line by line. */
class CsvRows {
  constructor(/** @type {string} */ delimiter) {
    this.delimiter = delimiter;
    /** @type {string[]} */
    this.row = [];
    this.value = "";
    /** Whether a quoted value goes on in the next line. */
    this.isOpen = false;
  }

  /** Gives up the row that was begun. */
  reset() {
    this.row = [];
    this.value = "";
    this.isOpen = false;
  }

  /**
   * @param {string} line  Without its line feed.
   * @returns {string[] | null}  The row, or null where it goes on in the next line.
   * @throws {RecordError}  A quoted value is followed by something else; the row is given up.
   */
  take(line) {
    let at = 0;
    let wasQuoted = false;
    if (this.isOpen) this.value += "\n";
    for (;;) {
      if (this.isOpen) {
        const end = line.indexOf('"', at);
        if (end < 0) {
          this.value += line.slice(at);
          return null;
        }
        this.value += line.slice(at, end);
        at = end + 1;
        if (line[at] === '"') {
          this.value += '"';
          at += 1;
        } else {
          this.isOpen = false;
          wasQuoted = true;
        }
      } else if (!wasQuoted && line[at] === '"') {
        this.isOpen = true;
        at += 1;
      } else {
        const next = line.indexOf(this.delimiter, at);
        const rest = next < 0 ? line.slice(at).replace(/\r$/, "") : line.slice(at, next);
        if (wasQuoted && rest) {
          this.reset();
          throw new RecordError(`${quoted(rest)} follows a quoted value; a quote inside one is written twice`);
        }
        this.row.push(this.value + rest);
        this.value = "";
        wasQuoted = false;
        if (next < 0) {
          const row = this.row;
          this.reset();
          return row;
        }
        at = next + 1;
      }
    }
  }
}

/**
 * A file that is one document, titled by Markdown's or HTML's first heading, else by the file's name.
 * @returns {Promise<SourceRecord | LeftOut>}
 */
async function wholeDocument(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar, /** @type {number} */ maxTextBytes) {
  const where = source.name;
  // HTML has tags besides its text; ten times as much is still read at once.
  const most = source.kind === "html" ? 10 * maxTextBytes : maxTextBytes;
  const pieces = [];
  let length = 0;
  for await (const piece of bytesOf(source, soFar)) {
    length += piece.length;
    if (length > most) {
      return { where, reason: `more than ${most.toLocaleString("en")} bytes, which the server takes of one text (max_passage_bytes); split the file` };
    }
    pieces.push(piece);
  }
  let text;
  try {
    text = await new Response(new Blob(pieces)).arrayBuffer().then((whole) => new TextDecoder(source.encoding, { fatal: true }).decode(whole));
  } catch {
    return { where, reason: `not ${source.encoding}; choose another encoding` };
  }
  let title = where.split("/").at(-1) ?? where;
  if (source.kind === "html") {
    title = titleOfHtml(text) || title;
    text = textOfHtml(text);
  } else if (source.kind === "markdown") {
    title = headingOf(text) || title;
  }
  if (!text.trim()) return { where, reason: "empty" };
  return { where, fields: { id: source.name, title: title.replace(/\s+/g, " "), text } };
}

const UNREAD_HTML = /<!--[\s\S]*?-->|<(head|script|style|noscript|template|svg)\b[\s\S]*?<\/\1\s*>|<[!?][^>]*>/gi;
const HTML_TAG = /<\/?([a-z][a-z0-9-]*)(?:[^>"']|"[^"]*"|'[^']*')*>/gi;
const HTML_INLINE = new Set("a abbr b bdi bdo cite code data dfn em font i kbd mark q s samp small span strong sub sup time tt u var wbr".split(" "));

/**
 * The text of HTML, a line for each block. Tags are taken out before the browser reads what is left,
 * for its entities: so nothing of a file runs or is loaded, and the page's policy has nothing to refuse.
 */
function textOfHtml(/** @type {string} */ html) {
  const bare = html
    .replace(UNREAD_HTML, " ")
    .replace(HTML_TAG, (_, /** @type {string} */ name) => (HTML_INLINE.has(name.toLowerCase()) ? "" : /^t[dh]$/i.test(name) ? " " : "\n"))
    .replaceAll("<", "&lt;");
  const text = new DOMParser().parseFromString(bare, "text/html").body.textContent ?? "";
  return text.replace(/[ \t\r]*\n\s*/g, "\n").trim();
}

/** The first heading of HTML, else its title. */
function titleOfHtml(/** @type {string} */ html) {
  const found = /<h1\b[^>]*>([\s\S]*?)<\/h1\s*>/i.exec(html) ?? /<title\b[^>]*>([\s\S]*?)<\/title\s*>/i.exec(html);
  return found ? textOfHtml(found[1]) : "";
}

/** The first heading of Markdown, `#` or underlined, after front matter; of that the title, if it has one. */
function headingOf(/** @type {string} */ text) {
  const front = /^---\r?\n([\s\S]*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/.exec(text);
  const told = front && /^title:[ \t]*(["']?)(.+?)\1[ \t]*\r?$/m.exec(front[1]);
  if (told) return told[2];
  const body = (front ? text.slice(front[0].length) : text).slice(0, SAMPLE_BYTES).replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
  const found = /^#{1,6}[ \t]+(.+?)[ \t#]*\r?$|^(\S.*?)[ \t]*\r?\n(?:=+|-{2,})[ \t]*\r?$/m.exec(body);
  return found?.[1] ?? found?.[2] ?? "";
}

/** @returns {AsyncGenerator<Uint8Array<ArrayBuffer>>} */
async function* bytesOf(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const counting = new TransformStream({
    transform(piece, out) {
      soFar.numBytes += piece.length;
      out.enqueue(piece);
    },
  });
  let stream = source.file.stream().pipeThrough(counting);
  if (source.gzip) stream = stream.pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined); // what is damaged, or was given up, needs no end
  }
}

/**
 * The lines of a file, cut at line feeds alone, so that a bad byte spoils one line.
 * @returns {AsyncGenerator<{ number: number, text: string, wrong: string }>}
 */
async function* linesOf(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const isWide = source.encoding.startsWith("utf-16");
  const decoder = new TextDecoder(isWide ? "utf-8" : source.encoding, { fatal: true, ignoreBOM: true });
  let number = 0;
  /** @type {Uint8Array[]} */
  let begun = [];
  let length = 0;
  const line = (/** @type {Uint8Array} */ end) => {
    number += 1;
    const whole = begun.length ? joined([...begun, end]) : end;
    const tooLong = length + end.length > MAX_LINE_BYTES;
    begun = [];
    length = 0;
    if (tooLong) return { number, text: "", wrong: `a line of more than ${MAX_LINE_BYTES.toLocaleString("en")} bytes` };
    try {
      const text = decoder.decode(whole);
      return { number, text: number === 1 ? text.replace(/^\ufeff/, "") : text, wrong: "" };
    } catch {
      return { number, text: "", wrong: `not ${source.encoding}; choose another encoding` };
    }
  };
  for await (const piece of isWide ? widened(source, soFar) : bytesOf(source, soFar)) {
    let at = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, at)) {
      yield line(piece.subarray(at, end));
      at = end + 1;
    }
    length += piece.length - at;
    // Of a line that is too long no more is kept than tells so.
    if (length <= MAX_LINE_BYTES && at < piece.length) begun.push(piece.subarray(at));
  }
  if (length) yield line(new Uint8Array());
}

/** UTF-16 as UTF-8. */
async function* widened(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const decoder = new TextDecoder(source.encoding);
  const encoder = new TextEncoder();
  for await (const piece of bytesOf(source, soFar)) yield encoder.encode(decoder.decode(piece, { stream: true }));
  yield encoder.encode(decoder.decode());
}

function joined(/** @type {Uint8Array[]} */ pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/**
 * A JSON object whose numbers stay as they were written, 1.0 beside 1 and those of 64 bits: what a
 * number of JavaScript would change is raw JSON. @param {string} text
 */
function parsedObject(text) {
  /** @type {unknown} */
  let found;
  try {
    found = json.parse(text, (/** @type {string} */ _, /** @type {unknown} */ value, /** @type {{ source?: string }} */ context) => {
      if (typeof value !== "number") return value;
      if (context?.source !== undefined && json.rawJSON) return String(value) === context.source ? value : json.rawJSON(context.source);
      if (Number.isInteger(value) && !Number.isSafeInteger(value)) {
        throw new RecordError(`the number ${value} is larger than this browser keeps exactly; twopass index keeps it`);
      }
      return value;
    });
  } catch (error) {
    if (error instanceof RecordError) throw error;
    throw new RecordError(error instanceof RangeError ? "nested too deep" : `not JSON: ${messageOf(error).replace(/ \(line 1 column \d+\)/, "")}`);
  }
  if (found === null || typeof found !== "object" || Array.isArray(found) || json.isRawJSON?.(found)) {
    throw new RecordError(`${Array.isArray(found) ? "a list" : found === null ? "null" : `a ${typeof found}`}; an object with fields is needed`);
  }
  return /** @type {Record<string, unknown>} */ (found);
}

/* ===== rerank: pasted passages in the order of the second pass ===== */

const EXAMPLE = {
  query: "How do I undo the last commit but keep my changes?",
  passages: [
    "git revert makes a new commit that undoes what an earlier one did.",
    "Undo a booking: open your orders and choose cancel.",
    "git stash puts your changes aside, to be taken up again later.",
    "Use git reset --soft HEAD~1 to undo the last commit and keep your changes in the index.",
    "A commit is a snapshot of the whole tree, with a message.",
  ].join("\n"),
};

/** The reranking that is shown, for what copies it. @type {{ body: any, answer: any, passages: string[] } | null} */
let reranked = null;
let reranking = new AbortController();

/**
 * The passages of pasted text.
 * @param {string} text
 * @param {string} divided  "lines": one on each line; "paragraphs": blank lines between them.
 */
function passagesOf(text, divided) {
  const pieces = divided === "lines" ? text.split(/\r?\n/) : text.split(/\r?\n(?:[ \t]*\r?\n)+/);
  return pieces.map((each) => each.trim()).filter(Boolean);
}

function showNumPassages() {
  const number = passagesOf(byId("rerank-passages").value, byId("rerank-divided").value).length;
  byId("rerank-number").textContent = number ? counted(number, "passage") : "";
}

/** Chooses how the text is divided: by blank lines where it has some between others. */
function guessDivision() {
  const text = byId("rerank-passages").value.trim();
  byId("rerank-divided").value = /\n[ \t]*\r?\n/.test(text) ? "paragraphs" : "lines";
  showNumPassages();
}

async function rerank() {
  const query = byId("rerank-query").value.trim();
  const passages = passagesOf(byId("rerank-passages").value, byId("rerank-divided").value);
  const results = byId("rerank-results");
  if (!query || !passages.length) {
    const missing = query ? "rerank-passages" : "rerank-query";
    results.replaceChildren(element("p", { className: "problem", role: "alert", textContent: query ? "Paste at least one passage." : "Write what you are looking for." }));
    byId(missing).focus();
    return;
  }
  /** @type {Record<string, unknown>} */
  const body = { query, candidates: passages.map((text) => ({ text })), truncation: byId("rerank-long").value };
  if (byId("rerank-model").value) body.model = byId("rerank-model").value;
  const instruction = byId("rerank-instruction").value.trim();
  if (instruction && !byId("rerank-instruction").closest("p").hidden) body.instruction = instruction;
  reranking.abort();
  reranking = new AbortController();
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await api("POST", "/rerank", body, { signal: reranking.signal });
    reranked = { body, answer, passages };
    showReranked();
  } catch (error) {
    if (/** @type {Error} */ (error).name === "AbortError") return;
    results.replaceChildren(failure(error, rerank));
  }
  results.removeAttribute("aria-busy");
}

function showReranked() {
  if (!reranked) return;
  const { body, answer, passages } = reranked;
  const numMoved = answer.hits.filter((/** @type {any} */ hit, /** @type {number} */ at) => hit.index !== at).length;
  const facts = [
    counted(answer.hits.length, "passage"),
    answer.model,
    `${count(answer.num_tokens)} tokens`,
    answer.timings?.total ? told(milliseconds(answer.timings.total) ?? 0) : "",
  ].filter(Boolean);
  byId("rerank-results").replaceChildren(
    element("p", { className: "soft rerank-told", textContent: facts.join(" · ") }),
    ...(answer.query_truncated ? [element("p", { className: "problem", textContent: "The query is longer than the model reads: its end was cut off." })] : []),
    element("ol", { className: "ranked" }, ...answer.hits.map((/** @type {any} */ hit, /** @type {number} */ at) => rankedHit(hit, at + 1, passages[hit.index]))),
    copyButtons(rerankCommands(body)),
  );
  say(`${counted(answer.hits.length, "passage")} reranked, ${count(numMoved)} moved. First: ${passages[answer.hits[0]?.index] ?? ""}`);
}

/** @param {any} hit @param {number} rank @param {string} text */
function rankedHit(hit, rank, text) {
  const before = hit.index + 1;
  const moved = before - rank;
  const direction = moved > 0 ? "up" : moved < 0 ? "down" : "same";
  const meter = element("span", { className: "ranked-bar" }, element("i", {}));
  /** @type {HTMLElement} */ (meter.firstElementChild).style.inlineSize = `${Math.max(0.5, 100 * hit.score)}%`;
  return element(
    "li",
    { className: "ranked-hit" },
    element("span", { className: "ranked-rank", textContent: String(rank), "aria-hidden": "true" }),
    element(
      "div",
      { className: "ranked-body" },
      element("p", { className: "ranked-text" }, ...windowOf(hit, text)),
      hit.truncated ? element("p", { className: "soft", textContent: "Longer than the model reads at once: its end was cut off. “Read the best window” reads all of it." }) : null,
    ),
    element(
      "div",
      { className: "ranked-figures" },
      element("span", { className: "ranked-score" }, meter, element("b", { textContent: hit.score.toFixed(3), title: "Score: relevance from 0 to 1, by the model's calibration" })),
      element("span", { className: "soft", textContent: `logit ${hit.logit.toFixed(2)}`, title: "The model's raw output" }),
      element("span", { className: `moved ${direction}`, textContent: moved ? `${moved > 0 ? "▲" : "▼"} was ${before}` : "= as it was" }),
    ),
  );
}

/** The text of a passage; the window that counted is marked where it is a part. @param {any} hit @param {string} text */
function windowOf(hit, text) {
  const characters = [...text];
  const { start = 0, end = 0 } = hit.window ?? {};
  if (!hit.window || (start === 0 && end >= characters.length) || end <= start) return [printable(text)];
  const part = (/** @type {number} */ from, /** @type {number} */ to) => printable(characters.slice(from, to).join(""));
  return [part(0, start), element("mark", { textContent: part(start, end) }), part(end, characters.length)];
}

/** The same reranking by other means, each to be pasted as it is. @param {any} body Of the request. */
function rerankCommands({ truncation, ...request }) {
  if (truncation !== "TRUNCATION_TRUNCATE") request.truncation = truncation;
  const options = [
    truncation === "TRUNCATION_MAX_WINDOW" ? 'truncation="max_window"' : truncation === "TRUNCATION_REJECT" ? 'truncation="reject"' : "",
    request.model ? `model=${pythonText(request.model)}` : "",
    request.instruction ? `instruction=${pythonText(request.instruction)}` : "",
  ].filter(Boolean);
  const body = shellText(JSON.stringify(request));
  const isTls = location.protocol === "https:";
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  const client = [
    pythonText(grpcTarget()),
    ...(key() ? ['api_key=os.environ["TWOPASS_API_KEY"]'] : []),
    ...(isTls ? ["credentials=grpc.ssl_channel_credentials()"] : []),
  ];
  return {
    curl: `curl${header} --json ${body} \\\n  ${location.origin}/api/v1/rerank`,
    Python: [
      ...(key() ? ["import os"] : []),
      ...(isTls ? ["import grpc"] : []),
      "from twopass.client import Client",
      "",
      "passages = [",
      ...request.candidates.map((/** @type {any} */ { text }) => `    ${pythonText(text)},`),
      "]",
      `with Client(${client.join(", ")}) as client:`,
      `    for hit in client.rerank(${[pythonText(request.query), "passages", ...options].join(", ")}).hits:`,
      '        print(f"{hit.score:.3f}", passages[hit.index])',
      "",
    ].join("\n"),
    grpcurl: `grpcurl${isTls ? "" : " -plaintext"}${header} -d ${body} \\\n  ${grpcTarget()} twopass.v1.RerankService/Rerank`,
  };
}

/** Buttons that copy commands. @param {Record<string, string>} commands By what they are for. */
function copyButtons(commands) {
  const done = element("span", { className: "good-text", role: "status" });
  const buttons = Object.entries(commands).map(([name, text]) =>
    element("button", {
      type: "button",
      textContent: name,
      "aria-label": `Copy as ${name}`,
      onclick: async () => {
        await copyText(text);
        done.textContent = `${name} copied`;
      },
    }),
  );
  return element("p", { className: "copy" }, element("span", { className: "soft", textContent: "Copy as" }), ...buttons, done);
}

function startRerank() {
  byId("rerank-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    rerank();
  });
  const passages = byId("rerank-passages");
  passages.addEventListener("input", showNumPassages);
  passages.addEventListener("paste", () => setTimeout(guessDivision));
  passages.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) rerank();
  });
  byId("rerank-divided").addEventListener("change", showNumPassages);
  byId("rerank-example").addEventListener("click", () => {
    byId("rerank-query").value = EXAMPLE.query;
    passages.value = EXAMPLE.passages;
    guessDivision();
    rerank();
  });
  byId("rerank-model").addEventListener("change", showInstruction);
  onTab.rerank = offerRerankers;
}

/** Offers the rerankers where there are several. */
function offerRerankers() {
  const rerankers = server.models.filter(({ kind }) => kind === "MODEL_KIND_RERANKER");
  const choice = byId("rerank-model");
  const chosen = choice.value;
  choice.replaceChildren(...rerankers.map((model) => element("option", { value: model.default ? "" : model.id, textContent: `${model.id}${model.default ? ", the default" : ""}` })));
  choice.value = chosen;
  if (choice.selectedIndex < 0) choice.selectedIndex = 0;
  choice.closest("p").hidden = rerankers.length < 2;
  showInstruction();
}

/** Asks for an instruction where the chosen reranker takes one. */
function showInstruction() {
  const id = byId("rerank-model").value;
  const model = server.models.find((each) => each.kind === "MODEL_KIND_RERANKER" && (id ? each.id === id : each.default));
  byId("rerank-instruction").closest("p").hidden = !model?.takes_instruction;
}

/* ===== start ===== */

startTheme();
startKey();
startTabs();
startSearch();
startJudging();
startCollections();
startUpload();
startRerank();
showTab(readHash().tab);
window.addEventListener("hashchange", () => {
  showTab(readHash().tab);
  followHash();
});
followHash();
loadServer();
