// Shows the OpenAPI document of the server that the page comes from, and tries its operations.
// Everything from the document becomes text, never markup.
"use strict";

const METHODS = ["get", "post", "put", "patch", "delete"];
const KEY = "twopass-key";
const MAX_SHOWN = 100_000;

function element(tag, properties = {}, ...children) {
  const made = Object.assign(document.createElement(tag), properties);
  made.append(...children.filter((child) => child !== null && child !== undefined));
  return made;
}

// Text with `code` and [links](https://...) of the document's comments.
function inline(text) {
  const made = document.createDocumentFragment();
  const pattern = /`([^`]+)`|\[([^\]]+)\]\((https:\/\/[^)\s]+)\)/g;
  let at = 0;
  for (const match of text.matchAll(pattern)) {
    made.append(text.slice(at, match.index));
    made.append(
      match[1] !== undefined
        ? element("code", { textContent: match[1] })
        : element("a", { href: match[3], textContent: match[2], rel: "noreferrer" }),
    );
    at = match.index + match[0].length;
  }
  made.append(text.slice(at));
  return made;
}

function paragraphs(text, className = "") {
  const made = document.createDocumentFragment();
  for (const block of (text || "").split("\n\n")) {
    const lines = block.split("\n");
    if (lines.every((line) => line.startsWith("- "))) {
      made.append(element("ul", { className }, ...lines.map((line) => element("li", {}, inline(line.slice(2))))));
    } else if (block) {
      made.append(element("p", { className }, inline(lines.join(" "))));
    }
  }
  return made;
}

class Page {
  constructor(specification, dialects) {
    this.specification = specification;
    this.dialects = dialects;
  }

  // The schema that a reference names; null, which only leaves a field unset, is not told.
  resolve(schema) {
    if (schema?.anyOf) return this.resolve({ ...schema.anyOf[0], ...(schema.description && { description: schema.description }) });
    if (Array.isArray(schema?.type)) {
      const kinds = schema.type.filter((kind) => kind !== "null");
      return { ...schema, type: kinds.length > 1 ? kinds : kinds[0] };
    }
    if (!schema || !schema.$ref) return schema || {};
    const name = schema.$ref.split("/").pop();
    const kind = schema.$ref.split("/").at(-2);
    return { ...this.specification.components[kind][name], name, ...(schema.description && { description: schema.description }) };
  }

  typeOf(schema) {
    const shown = this.resolve(schema);
    if (shown.enum) return shown.name || "one of";
    if (shown.type === "array") return `list of ${this.typeOf(shown.items)}`;
    if (shown.name) return shown.name;
    if (Array.isArray(shown.type)) return shown.type.join(" or ");
    return shown.type || "any value";
  }

  boundsOf(schema) {
    const told = [];
    const between = (least, greatest, unit) => {
      if (least !== undefined && greatest !== undefined) told.push(`${least.toLocaleString("en")} to ${greatest.toLocaleString("en")}${unit}`);
      else if (least !== undefined) told.push(`at least ${least.toLocaleString("en")}${unit}`);
      else if (greatest !== undefined) told.push(`at most ${greatest.toLocaleString("en")}${unit}`);
    };
    between(schema.minimum, schema.maximum, "");
    between(schema.minItems, schema.maxItems, " elements");
    return told.length ? `, ${told.join(", ")}` : "";
  }

  // The fields of an object; inner objects open on demand, since types may contain themselves.
  fields(schema) {
    const shown = this.resolve(schema);
    const needed = new Set(shown.required || []);
    const list = element("ul", { className: "fields" });
    for (const [name, property] of Object.entries(shown.properties || {})) {
      list.append(this.field(name, property, needed.has(name)));
    }
    return list;
  }

  field(name, schema, isNeeded) {
    const shown = this.resolve(schema);
    const own = schema.description || shown.description || "";
    const item = element(
      "li",
      {},
      element("span", { className: "name", textContent: name }),
      element("span", { className: "type", textContent: this.typeOf(schema) + this.boundsOf(schema) }),
      isNeeded ? element("span", { className: "needed", textContent: "required" }) : null,
    );
    item.append(paragraphs(own, "told"));
    const inner = this.resolve(shown.type === "array" ? shown.items : shown);
    if (inner.properties || inner.enum) {
      const more = element("details", { className: "more" }, element("summary", { textContent: inner.name || "its fields" }));
      more.addEventListener("toggle", () => {
        if (more.open && more.childElementCount === 1) {
          more.append(paragraphs(inner.description, "told"));
          if (inner.properties) more.append(this.fields(inner));
        }
      });
      item.append(more);
    }
    return item;
  }

  operations() {
    const found = [];
    for (const [path, item] of Object.entries(this.specification.paths)) {
      for (const method of METHODS) {
        if (item[method]) found.push({ path, method: method.toUpperCase(), ...item[method] });
      }
    }
    return found;
  }

  show() {
    const { info, tags } = this.specification;
    document.getElementById("version").textContent = info.version;
    document.getElementById("about").replaceChildren(paragraphs(info.description));
    const contents = document.getElementById("contents");
    const main = document.getElementById("operations");
    contents.replaceChildren();
    main.replaceChildren();
    const operations = this.operations();
    for (const tag of tags) {
      const own = operations.filter((operation) => operation.tags.includes(tag.name));
      const section = element("section", {}, element("h2", { id: `tag-${tag.name}`, textContent: tag.name }), paragraphs(tag.description, "soft"));
      const list = element("ul");
      for (const operation of own) {
        section.append(this.operation(operation));
        // An rpc's further paths stand beside its own one, not in the contents.
        if (operation["x-rpc"].endsWith(`.${operation.operationId}`)) list.append(element("li", {}, element("a", { href: `#${operation.operationId}`, textContent: operation.operationId })));
      }
      main.append(section);
      contents.append(element("section", {}, element("h2", { textContent: tag.name }), list));
    }
    this.showDialects(contents);
  }

  operation(operation) {
    const made = element(
      "details",
      { className: "operation", id: operation.operationId },
      element(
        "summary",
        {},
        element("span", { className: `method ${operation.method}`, textContent: operation.method }),
        element("span", { className: "path", textContent: operation.path }),
        element("h3", { className: "what", textContent: operation.summary }),
      ),
    );
    made.dataset.words = `${operation.operationId} ${operation.path} ${operation.summary} ${operation.tags}`.toLowerCase();
    made.addEventListener("toggle", () => {
      if (made.open && made.childElementCount === 1) made.append(this.body(operation));
    });
    return made;
  }

  body(operation) {
    const media = operation.requestBody?.content["application/json"];
    const body = element("div", { className: "body" }, paragraphs(operation.description), new Trial(operation, media, this).form);
    if (operation.parameters.length) {
      const list = element("ul", { className: "fields" });
      for (const parameter of operation.parameters) {
        list.append(this.field(parameter.name, { ...parameter.schema, description: parameter.description }, parameter.required));
      }
      body.append(element("h4", { textContent: "Path and query" }), list);
    }
    if (media) body.append(element("h4", { textContent: "Body" }), this.fields(media.schema));
    const answer = operation.responses["200"];
    body.append(
      element("h4", { textContent: "Answer" }),
      paragraphs(answer.description),
      this.fields(answer.content["application/json"].schema),
      this.failures(operation),
    );
    return body;
  }

  failures(operation) {
    const rows = Object.entries(operation.responses)
      .filter(([status]) => status !== "200")
      .map(([status, response]) => element("tr", {}, element("td", { textContent: status }), element("td", {}, inline(this.resolve(response).description))));
    const head = element("thead", {}, element("tr", {}, element("th", { textContent: "Status", scope: "col" }), element("th", { textContent: "When", scope: "col" })));
    return element("details", { className: "more" }, element("summary", { textContent: "Failures" }), element("div", { className: "wide" }, element("table", {}, head, element("tbody", {}, ...rows))));
  }

  showDialects(contents) {
    const tables = document.getElementById("dialect-tables");
    const list = element("ul");
    tables.replaceChildren();
    for (const dialect of this.dialects) {
      const rows = dialect.endpoints.map((endpoint) =>
        element(
          "tr",
          {},
          element("td", {}, element("span", { className: `method ${endpoint.method}`, textContent: endpoint.method })),
          element("td", {}, element("span", { className: "path", textContent: endpoint.path })),
          element("td", { textContent: endpoint.below_models ? "yes" : "no" }),
        ),
      );
      const head = element("thead", {}, element("tr", {}, ...["Method", "Path", "Below /models/{id}"].map((text) => element("th", { textContent: text, scope: "col" }))));
      const id = `dialect-${dialect.name}`;
      tables.append(
        element("h3", { id, textContent: dialect.title }),
        element("p", { className: "soft", textContent: dialect.clients }),
        element("div", { className: "wide" }, element("table", {}, head, element("tbody", {}, ...rows))),
      );
      list.append(element("li", {}, element("a", { href: `#${id}`, textContent: dialect.title })));
    }
    document.getElementById("dialects").hidden = !this.dialects.length;
    if (this.dialects.length) contents.append(element("section", {}, element("h2", { textContent: "Dialects" }), list));
  }

  example(schema, depth = 0) {
    const shown = this.resolve(schema);
    if (shown.enum) return shown.enum[0];
    if (shown.type === "array") return [];
    if (shown.type === "object") {
      const made = {};
      for (const name of depth < 3 ? shown.required || [] : []) made[name] = this.example(shown.properties[name], depth + 1);
      return made;
    }
    if (shown.type === "integer" || shown.type === "number") return shown.minimum || 0;
    if (shown.type === "boolean") return false;
    return "";
  }
}

// The form that sends an operation's request and shows what came back.
class Trial {
  constructor(operation, media, page) {
    this.operation = operation;
    this.inputs = new Map();
    const inputs = element("div", { className: "inputs" });
    for (const parameter of operation.parameters) {
      const id = `${operation.operationId}-${parameter.name}`;
      const hint = parameter.schema.type === "array" ? "one or more, with commas between" : page.typeOf(parameter.schema);
      const input = element("input", { id, placeholder: hint, required: Boolean(parameter.required), spellcheck: false, autocomplete: "off" });
      if (parameter.in === "path" && parameter.name === "collection") input.value = "docs";
      this.inputs.set(parameter, input);
      inputs.append(element("label", { htmlFor: id, textContent: parameter.name }), input);
    }
    if (media) {
      const id = `${operation.operationId}-body`;
      const example = media.example ?? page.example(media.schema);
      this.text = element("textarea", { id, value: JSON.stringify(example, null, 2), spellcheck: false });
      this.textLabel = element("label", { htmlFor: id, className: "body-label", textContent: "Body" });
    }
    this.send = element("button", { type: "submit", className: "primary", textContent: "Send" });
    this.copy = element("button", { type: "button", textContent: "Copy as curl" });
    this.status = element("span", { className: "status", role: "status" });
    this.answer = element("pre", { hidden: true, tabIndex: 0 });
    this.answer.setAttribute("aria-label", "Answer");
    this.form = element(
      "form",
      { className: "try" },
      element("h4", { textContent: "Try it" }),
      inputs,
      ...(this.text ? [this.textLabel, this.text] : []),
      element("div", { className: "actions" }, this.send, this.copy, this.status),
      this.answer,
    );
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.run();
    });
    this.copy.addEventListener("click", () => this.copyCurl());
  }

  url() {
    let path = this.operation.path;
    const query = new URLSearchParams();
    for (const [parameter, input] of this.inputs) {
      const value = input.value.trim();
      if (parameter.in === "path") {
        const parts = parameter.name === "id" ? value.split("/") : [value];
        path = path.replace(`{${parameter.name}}`, parts.map(encodeURIComponent).join("/"));
      } else if (value) {
        const values = parameter.schema.type === "array" ? value.split(",").map((each) => each.trim()) : [value];
        for (const each of values) query.append(parameter.name, each);
      }
    }
    return query.size ? `${path}?${query}` : path;
  }

  headers() {
    const headers = {};
    const key = document.getElementById("key").value;
    if (key) headers.authorization = `Bearer ${key}`;
    if (this.text) headers["content-type"] = "application/json";
    return headers;
  }

  async run() {
    this.send.disabled = true;
    this.tell("…", "");
    const began = performance.now();
    try {
      const response = await fetch(this.url(), { method: this.operation.method, headers: this.headers(), body: this.text?.value });
      const text = await response.text();
      const milliseconds = Math.round(performance.now() - began);
      this.tell(`${response.status} in ${milliseconds} ms`, response.ok ? "good" : "bad");
      this.show(text);
    } catch (error) {
      this.tell(`no answer: ${error.message}`, "bad");
    } finally {
      this.send.disabled = false;
    }
  }

  tell(text, kind) {
    this.status.textContent = text;
    this.status.className = `status ${kind}`;
  }

  show(text) {
    let shown = text;
    try {
      shown = JSON.stringify(JSON.parse(text), null, 2);
    } catch {
      // Not JSON: as it came.
    }
    this.answer.textContent = shown.length > MAX_SHOWN ? `${shown.slice(0, MAX_SHOWN)}\n… ${(shown.length - MAX_SHOWN).toLocaleString("en")} more characters` : shown;
    this.answer.hidden = false;
  }

  async copyCurl() {
    const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
    const parts = ["curl"];
    if (this.operation.method !== (this.text ? "POST" : "GET")) parts.push(`-X ${this.operation.method}`);
    if (document.getElementById("key").value) parts.push('-H "authorization: Bearer $TWOPASS_KEY"');
    if (this.text) parts.push(`--json ${quote(this.text.value)}`);
    parts.push(quote(location.origin + this.url()));
    try {
      await navigator.clipboard.writeText(parts.join(" "));
      this.tell("copied", "good");
    } catch {
      this.answer.textContent = parts.join(" ");
      this.answer.hidden = false;
    }
  }
}

function filterBy(text) {
  const words = text.toLowerCase().split(/\s+/).filter(Boolean);
  for (const operation of document.querySelectorAll(".operation")) {
    operation.hidden = !words.every((word) => operation.dataset.words.includes(word));
    const link = document.querySelector(`nav a[href="#${operation.id}"]`);
    if (link) link.parentElement.hidden = operation.hidden;
  }
  for (const section of document.querySelectorAll("#operations > section")) {
    section.hidden = !section.querySelector(".operation:not([hidden])");
  }
}

function openTarget() {
  const target = document.getElementById(decodeURIComponent(location.hash.slice(1)));
  if (target instanceof HTMLDetailsElement) target.open = true;
  target?.scrollIntoView();
}

async function start() {
  document.getElementById("menu").open = matchMedia("(min-width: 52.01rem)").matches;
  const key = document.getElementById("key");
  key.value = sessionStorage.getItem(KEY) ?? "";
  key.addEventListener("input", () => sessionStorage.setItem(KEY, key.value));
  const filter = document.getElementById("filter");
  filter.addEventListener("input", () => filterBy(filter.value));
  try {
    const [specification, dialects] = await Promise.all(
      ["/openapi.json", "/docs/dialects.json"].map(async (path) => (await fetch(path)).json()),
    );
    new Page(specification, dialects).show();
    window.addEventListener("hashchange", openTarget);
    openTarget();
  } catch (error) {
    document.getElementById("operations").replaceChildren(element("p", { textContent: `The document could not be read: ${error.message}` }));
  }
}

start();
