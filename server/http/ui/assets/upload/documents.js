// Documents for the server, made of records.

import { jsonOf } from "../api.js";
import { messageOf, quoted } from "../words.js";
import { unwrapped } from "./reading/json.js";
import { RecordError } from "./reading/record.js";

/** @import { LeftOut, SourceRecord } from "./reading/record.js" */
/** @import { Role } from "./roles.js" */

/**
 * A document with where it came from.
 * @typedef {{ where: string, body: Record<string, unknown>, numBytes: number }} Outgoing
 */

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

/** Makes a document of a record, or says why there is none. @param {SourceRecord | LeftOut} record @param {Map<string, Role>} roles @returns {Outgoing | LeftOut} */
export function documentOrLeftOut(record, roles) {
  if ("reason" in record) return record;
  try {
    return documentOf(record, roles);
  } catch (error) {
    return { where: record.where, reason: messageOf(error) };
  }
}

/** The id that a field holds. @throws {RecordError} */
function idOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (typeof unwrapped(value) === "number") return JSON.stringify(value);
  if (typeof value !== "string" || !value) throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, an id is needed`);
  return value;
}

/** The text that a field holds. @throws {RecordError} */
function textOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (value === null || value === undefined) return "";
  if (typeof value === "string") return value;
  if (typeof unwrapped(value) === "number" || typeof value === "boolean") return JSON.stringify(value);
  throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, a text is needed`);
}

/** The number that a field holds; null where it is empty. @throws {RecordError} */
function numberOf(/** @type {string} */ name, /** @type {unknown} */ value) {
  if (value === null || value === "" || typeof unwrapped(value) === "number") return value === "" ? null : value;
  const number = typeof value === "string" && value.trim() ? Number(value) : NaN;
  if (!Number.isFinite(number)) throw new RecordError(`field ${quoted(name)}: ${kindOf(value)}, a number is needed`);
  return number;
}

/** The vector that a field holds. @throws {RecordError} */
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
