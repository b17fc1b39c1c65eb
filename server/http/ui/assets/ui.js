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
    {
      name: "blend",
      label: "Blend",
      hint: "The weight of the first pass in the final order: 0 is the second pass alone.",
      stops: [null, ...Array.from({ length: 21 }, (_, step) => step / 20)],
      unset: null,
      told: (value) => (value === null ? `${ownBlend().toFixed(2)} (the model’s)` : value.toFixed(2)),
    },
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

/** @returns {Slider[]} */
function allSliders() {
  return Object.values(SLIDERS).flat();
}

/** The reranker that searches use now; undefined before the models were read. */
function rerankerInUse() {
  const chosen = byId("model").value;
  return server.models.find((model) => model.kind === "MODEL_KIND_RERANKER" && (chosen ? model.id === chosen : model.default));
}

function ownBlend() {
  return rerankerInUse()?.blend ?? 0;
}

/** @param {Slider} slider @returns {number | null} */
function sliderValue(slider) {
  return slider.stops[Number(byId(slider.name).value)];
}

/** @param {Slider} slider @param {number | null} value The nearest stop is taken. */
function setSlider(slider, value) {
  const distance = (/** @type {number | null} */ stop) => (value === null || stop === null ? (stop === value ? 0 : Infinity) : Math.abs(stop - value));
  const nearest = slider.stops.reduce((best, stop, at) => (distance(stop) < distance(slider.stops[best]) ? at : best), 0);
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
    element("output", { id: `${slider.name}-told`, htmlFor: slider.name }),
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
    isOff ? null : `blend ${wanted.blend ?? ownBlend()}`,
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
    retrieve: { mode: /** @type {any} */ (MODES)[wanted.mode], k: Math.max(wanted.k, topN) },
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
    byId("found").hidden = true;
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

/** Shows the answer in both columns. Cards that were there glide to their new places. */
function showFound() {
  const { answer, wanted } = shown;
  if (!wanted) return;
  const before = cardPlaces();
  const focused = focusedCard();
  const opened = new Set([...document.querySelectorAll(".hit.open")].map((card) => /** @type {HTMLElement} */ (card).dataset.id));
  byId("found").hidden = answer.hits.length === 0;
  byId("examples").hidden = true;
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
  showStory();
  showWaterfall();
  showCopy(wanted);
  showJudged();
  const beyond = answer.hits.length - shownHits().length;
  byId("show-all").hidden = !beyond && !shown.showsAll;
  byId("show-all").textContent = shown.showsAll ? `Show the top ${wanted.top_n} of both alone` : `Show all ${count(answer.hits.length)} candidates`;
  if (focused) focusCard(focused.column, focused.id);
  drawLines();
  glide(before);
}

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
  return hit.title || hit.id;
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
  const whole = [...wholePassage(hit)];
  const titleLength = hit.title ? [...hit.title].length + 1 : 0;
  let start = hit.span ? Math.max(hit.span.start, titleLength) : titleLength;
  // A part may begin inside a word, which a preview shows whole.
  while (!isWhole && start > titleLength && /[\p{L}\p{N}]/u.test(whole[start - 1])) start -= 1;
  const end = hit.span ? Math.max(hit.span.end, start) : whole.length;
  if (hit.content_omitted) return [element("em", { className: "soft", textContent: "Its text did not fit into the answer." })];
  const piece = (/** @type {number} */ from, /** @type {number} */ to) => whole.slice(from, to).join("");
  if (!hit.span) return withWords(isWhole ? piece(titleLength, whole.length) : piece(titleLength, titleLength + PREVIEW));
  const marked = element("mark", {}, ...withWords(isWhole ? piece(start, end) : piece(start, Math.min(end, start + PREVIEW))));
  if (isWhole) return [...withWords(piece(titleLength, start)), marked, ...withWords(piece(end, whole.length))];
  return start > titleLength ? [element("span", { className: "soft", textContent: "… " }), marked] : [marked];
}

const PREVIEW = 360; // characters of a passage before it is opened

/** Text with the query's words set off. @param {string} text @returns {(Node | string)[]} */
function withWords(text) {
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

/** The query's words without the most common ones, longer ones without their endings. */
function queryWords() {
  const words = [...(shown.wanted?.query ?? "").matchAll(/[\p{L}\p{N}]+/gu)].map((match) => folded(match[0]));
  return words.filter((word) => !COMMON.has(word)).map((word) => (word.length > 5 ? word.replace(/(ing|ed|es|s|e)$/, "") : word.length > 4 ? word.replace(/(s|e)$/, "") : word));
}

/** What must be known about a hit beside its scores. @param {"first" | "second"} column @param {any} hit */
function badgesOf(column, hit) {
  const badges = [];
  if (hit.title && hit.title !== hit.id) badges.push(element("code", { textContent: hit.id }));
  if (hit.span) badges.push(element("span", { textContent: `best part: characters ${count(hit.span.start)} to ${count(hit.span.end)}` }));
  if (column === "second" && hit.truncated) badges.push(element("span", { className: "warn", textContent: "its end was not read" }));
  if (column === "second" && (hit.logit === undefined || hit.logit === null) && shown.answer.rerank_status !== "RERANK_STATUS_DISABLED") badges.push(element("span", { className: "warn", textContent: "not read by the second pass" }));
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
  /** @type {HTMLElement} */ (card.querySelector(".passage")).replaceChildren(...passageOf(hit, opens));
  card.querySelector(".detail")?.remove();
  if (opens) card.append(detailOf(hit));
  drawLines();
}

/** Metadata of a hit. @param {any} hit */
function detailOf(hit) {
  const fields = Object.entries(hit.metadata ?? {});
  if (!fields.length) return element("p", { className: "detail soft", textContent: `Document ${hit.id}; it has no metadata.` });
  const rows = fields.map(([name, value]) => element("div", {}, element("dt", { textContent: name }), element("dd", { textContent: typeof value === "string" ? value : JSON.stringify(value) })));
  return element("dl", { className: "detail" }, element("div", {}, element("dt", { textContent: "id" }), element("dd", { textContent: hit.id })), ...rows);
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
  const from = lifted.length === 0 ? "" : lifted.length === 1 ? `, and lifts one into it from place ${deepest}` : `, and lifts ${lifted.length} into it, one from place ${deepest}`;
  return `The second pass reorders the top ${topN}: ${moved.length} of them move${moved.length === 1 ? "s" : ""}${from}`;
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
  const collection = server.collections?.find((each) => each.name === wanted.collection || each.aliases.includes(wanted.collection));
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

/** @param {Asked} wanted @param {any} answer */
function nothingFound(wanted, answer) {
  const collection = server.collections?.find((each) => each.name === wanted.collection);
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
  const passes = byId("passes").getBoundingClientRect();
  const gutter = svg.getBoundingClientRect();
  lines.clear();
  const made = [];
  if (gutter.width > 0) {
    svg.setAttribute("viewBox", `0 0 ${gutter.width} ${passes.height}`);
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

/** Sets a document off in both columns. @param {string | undefined} id Undefined for none. */
function setOff(id) {
  byId("passes").classList.toggle("linked", id !== undefined);
  for (const each of document.querySelectorAll(".passes .linked")) each.classList.remove("linked");
  if (id === undefined) return;
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
  let moves = 0;
  for (const column of /** @type {const} */ (["first", "second"])) {
    for (const [id, card] of cards[column]) {
      const was = before.get(`${column} ${id}`);
      const by = was === undefined ? 0 : was - card.getBoundingClientRect().top;
      if (was === undefined) card.animate([{ opacity: 0 }, { opacity: 1 }], { duration: GLIDE_MS });
      else if (Math.abs(by) > 1) {
        moves += 1;
        card.animate([{ transform: `translateY(${by}px)` }, { transform: "none" }], { duration: GLIDE_MS, easing: "cubic-bezier(.2,.7,.2,1)" });
      }
    }
  }
  if (!moves) return;
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
    `retrieve=Retrieve(mode="${wanted.mode}", k=${Math.max(wanted.k, wanted.top_n)})`,
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
  const collection = server.collections?.find((each) => each.name === name);
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
  return [...queries];
}

/** A query that a document may answer: its first short sentence, or its title. @param {any} hit */
function exampleOf(hit) {
  const sentence = (hit.text ?? "").trim().split(/(?<=[.?!])\s|\n\s*\n/)[0]?.replace(/\s+/g, " ").replace(/[.:;]$/, "") ?? "";
  const words = sentence.split(" ");
  if (words.length >= 4 && sentence.length <= 90 && /^[\p{L}\p{N} ,.'’?-]+$/u.test(sentence)) return sentence.length <= 64 ? sentence : `${words.slice(0, 9).join(" ")}`;
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
        element("p", { textContent: "Bring some documents in, lines of JSON, CSV or plain text, and see here what each of the two passes makes of a question." }),
        element("div", { className: "actions" }, element("button", { type: "button", className: "primary", textContent: "Bring documents in", onclick: () => byId("tab-collections").click() })),
      ),
    );
    byId("examples").hidden = true;
  } else if (byId("search-notice").querySelector(".welcome")) byId("search-notice").replaceChildren();
}

function showRerankers() {
  const rerankers = server.models.filter((model) => model.kind === "MODEL_KIND_RERANKER");
  const select = byId("model");
  const before = select.value;
  select.replaceChildren(...rerankers.map((model) => element("option", { value: model.default ? "" : model.id, textContent: model.id })));
  select.value = before;
  if (select.selectedIndex < 0) select.selectedIndex = 0;
  byId("model-label").hidden = rerankers.length < 2;
  for (const slider of allSliders()) showSlider(slider);
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
    Object.assign(shown, { answer: null, wanted: null });
    byId("found").hidden = true;
    byId("search-notice").replaceChildren();
    localStorage.setItem("twopass-collection", byId("collection").value);
    showJudged();
    if (byId("query").value.trim()) search(true);
    else showExamples();
  });
  byId("query").addEventListener("input", () => {
    if (byId("query").value || !shown.answer) return;
    shown.running?.abort();
    Object.assign(shown, { answer: null, wanted: null });
    byId("found").hidden = true;
    byId("search-notice").replaceChildren();
    showExamples();
  });
  for (const radio of document.querySelectorAll("input[name=mode], #rerank-on, #model")) radio.addEventListener("change", settingsChanged);
  byId("filter").addEventListener("input", debounced(600, () => search(false)));
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
    if (shown.wanted) writeHash("search", hashOf(shown.wanted), false);
    requestAnimationFrame(drawLines);
  };
}

/** Searches for what the address asks for, if it is not shown already. */
function followHash() {
  const { tab, settings } = readHash();
  if (tab !== "search") return;
  fillForm(settings);
  if (settings.get("q")) search(false);
  else {
    Object.assign(shown, { answer: null, wanted: null });
    byId("found").hidden = true;
    showExamples();
  }
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
    codeOf(`twopass eval ${name}${target}`, "The command that measures"),
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

/* ===== rerank ===== */

/* ===== start ===== */

startTheme();
startKey();
startTabs();
startSearch();
startJudging();
showTab(readHash().tab);
window.addEventListener("hashchange", () => {
  showTab(readHash().tab);
  followHash();
});
loadServer().then(followHash);
