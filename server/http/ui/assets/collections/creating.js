// The dialog that makes a collection.

import { api, ApiError } from "../api.js";
import { byId, element, say } from "../elements.js";
import { failure } from "../failure.js";
import { refreshCollections, server } from "../server.js";
import { count, languageName, quoted } from "../words.js";

/** Languages whose endings a search by words can remove. */
const LANGUAGES = "ar ca cs da de el en eo es et eu fa fi fr ga hi hu hy id it lt nb ne nl nn no pl pt ro ru sr st sv ta tr yi".split(" ");

const INDEX_KINDS = /** @type {[string, string][]} */ ([
  ["Flat", "Flat: exact, quick to about 100,000 documents"],
  ["HNSW32", "HNSW32: a graph, quick with millions"],
  ["HNSW32,SQfp16", "HNSW32,SQfp16: the same in half the memory"],
]);

/** Called with the name of the collection that the dialog makes next. @type {((name: string) => void) | null} */
let onCreated = null;

/** Opens the dialog that makes a collection. @param {((name: string) => void) | null} [then] */
export function askToCreate(then = null) {
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

/** Makes the collection that the form describes. */
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

/** Starts the dialog that makes a collection. */
export function startCreating() {
  for (const code of LANGUAGES) byId("create-language").append(element("option", { value: code, textContent: `${languageName(code)} (${code})` }));
  for (const [value, textContent] of INDEX_KINDS) byId("create-index").append(element("option", { value, textContent }));
  byId("create-index").append(element("option", { value: "", textContent: "another, by its faiss factory string" }));
  byId("create-open").addEventListener("click", () => askToCreate());
  for (const id of ["create-encoder", "create-long", "create-index"]) byId(id).addEventListener("change", showCreateChoices);
  byId("create-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    create();
  });
}
