// What becomes of the fields of files.

import { quoted } from "../words.js";

/**
 * What becomes of a field. "number": metadata, its text read as a number. "none": it is dropped.
 * @typedef {"id" | "title" | "text" | "vector" | "metadata" | "number" | "none"} Role
 */

/** What can become of a field, in words. */
export const ROLES = /** @type {[Role, string][]} */ ([
  ["id", "the id"],
  ["title", "the title"],
  ["text", "the text"],
  ["metadata", "metadata"],
  ["number", "metadata, a number"],
  ["vector", "the vector"],
  ["none", "nothing, left out"],
]);

/** Names of fields that tell what becomes of them. */
const ROLE_NAMES = /** @type {[Role, RegExp][]} */ ([
  ["id", /^(_?id|doc_?id|document_?id|uuid|guid|key|pk|url|uri|link)$/i],
  ["title", /^(title|name|heading|headline|subject|question)$/i],
  ["text", /^(text|body|content|contents|passage|document|abstract|description|summary|answer)$/i],
]);

/** Roles of the fields of a file that is one document. @type {Map<string, Role>} */
export const WHOLE_FILE_ROLES = new Map([["id", "id"], ["title", "title"], ["text", "text"]]);

/**
 * Guesses which field is the id, the title and the text: by name, the text else by length.
 * @param {Record<string, unknown>[]} samples  Fields of some records.
 * @returns {Map<string, Role>}
 */
export function guessedRoles(samples) {
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

/** What is wrong with a choice of roles; "" where nothing is. @param {Map<string, Role>} roles */
export function wrongRoles(roles) {
  const given = [...roles.values()];
  for (const [role, told] of ROLES.slice(0, 3)) {
    const fields = [...roles].filter(([, each]) => each === role).map(([name]) => quoted(name));
    if (fields.length > 1) return `${fields.join(" and ")} can't both be ${told}.`;
  }
  return given.includes("text") || given.includes("title") ? "" : "Choose which field is the text.";
}
