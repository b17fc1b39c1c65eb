// Files with the same fields, and what their first records hold.

import { recordsOf } from "./reading/records.js";
import { guessedRoles, WHOLE_FILE_ROLES } from "./roles.js";

/** @import { Source } from "./reading/record.js" */
/** @import { Role } from "./roles.js" */

const SAMPLED_RECORDS = 20;

/**
 * Files with fields whose id, title and text are the same fields; they share their roles.
 * @typedef {{ sources: Source[], roles: Map<string, Role>, samples: Record<string, unknown>[] }} Group
 */

/** Puts files with the same fields into groups, and guesses their roles. @param {Source[]} sources @returns {Promise<Group[]>} */
export async function groupsOf(sources) {
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
