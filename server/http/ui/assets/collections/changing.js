// The dialogs that rename and delete a collection.

import { api, ApiError, collectionPath, key } from "../api.js";
import { byId, element, say } from "../elements.js";
import { failure } from "../failure.js";
import { refreshCollections } from "../server.js";
import { counted, messageOf } from "../words.js";

/** What a key was refused with a collection, by both: told before a name is typed in vain. @type {Map<string, ApiError>} */
const refusals = new Map();

/** Tells in a dialog why its change failed. @param {string} place The id of where. @param {string} name The collection's. @param {unknown} error */
function showFailure(place, name, error) {
  if (error instanceof ApiError && error.status === 403) refusals.set(`${name} ${key()}`, error);
  byId(place).replaceChildren(failure(error));
}

/** Tells in a dialog that opens what the key was refused before, if it was. @param {string} place The id of where. @param {string} name The collection's. */
function showRefusal(place, name) {
  const refused = refusals.get(`${name} ${key()}`);
  byId(place).replaceChildren(...(refused ? [failure(refused)] : []));
}

/** Opens the dialog that renames a collection. @param {string} name */
export function askToRename(name) {
  byId("rename-title").textContent = `Rename ${name}`;
  byId("rename-alias-label").textContent = `${name} stays as an alias: programs that use it go on`;
  showRefusal("rename-error", name);
  byId("rename-name").value = name;
  byId("rename-alias").checked = true;
  byId("rename-form").onsubmit = (/** @type {Event} */ event) => {
    event.preventDefault();
    rename(name);
  };
  byId("rename").showModal();
  byId("rename-name").select();
}

/** Renames a collection as its form says. @param {string} name */
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
    showFailure("rename-error", name, error);
  } finally {
    button.disabled = false;
  }
}

/** Opens the dialog that deletes a collection once its name is typed. @param {any} collection */
export function askToDelete(collection) {
  const { name } = collection;
  /** The collection as it was told here. */
  let known = collection;
  showWhatGoes(known);
  byId("delete-label").textContent = `Type ${name} to confirm`;
  showRefusal("delete-error", name);
  const typed = byId("delete-name");
  const button = byId("delete-go");
  typed.value = "";
  button.disabled = true;
  typed.oninput = () => {
    button.disabled = typed.value.trim() !== name;
  };
  byId("delete-form").onsubmit = async (/** @type {Event} */ event) => {
    event.preventDefault();
    if (!button.disabled) known = await remove(known);
  };
  byId("delete").showModal();
  typed.focus();
}

/** Says what deleting a collection takes away. @param {any} collection */
function showWhatGoes({ name, num_documents: numDocuments, aliases }) {
  byId("delete-told").textContent =
    `${name} and its ${counted(Number(numDocuments), "document")} are gone at once and for good; its snapshots stay.` +
    (aliases.length ? ` It is also called ${aliases.join(", ")}: ${aliases.length > 1 ? "these aliases are" : "this alias is"} removed first.` : "");
}

/**
 * Deletes a collection, its aliases first. Where it is another than was told, it is told again instead.
 *
 * @param {any} known The collection as it was told.
 * @returns {Promise<any>} The collection as it is told now.
 */
async function remove(known) {
  const { name } = known;
  const button = byId("delete-go");
  button.disabled = true;
  try {
    const { collection } = await api("GET", collectionPath(name));
    const change = changeOf(known, collection);
    if (change) {
      byId("delete-error").replaceChildren(element("p", { className: "problem", role: "alert", textContent: `Nothing was deleted: ${change}` }));
      if (collection.name !== name) return known;
      showWhatGoes(collection);
      button.disabled = false;
      return collection;
    }
    await removeNamed(collection);
    byId("delete").close();
    say(`Collection ${name} is deleted.`);
    await refreshCollections();
    byId("panel-collections").focus();
  } catch (error) {
    showFailure("delete-error", name, error);
    button.disabled = false;
  }
  return known;
}

/** What is other about a collection than was told, in words; "" for nothing that counts. @param {any} known @param {any} now */
function changeOf(known, now) {
  if (now.name !== known.name) return `${known.name} is an alias of ${now.name} now.`;
  if (now.create_time !== known.create_time) return `${known.name} was deleted and made anew meanwhile. Press again to delete the new one.`;
  if (now.aliases.join() === known.aliases.join()) return "";
  const names = now.aliases.length ? `it is also called ${now.aliases.join(", ")} now` : "it has no alias now";
  return `its aliases were changed meanwhile; ${names}. Press again to delete it.`;
}

/** Deletes a collection, its aliases first; where it stays, it gets those back. @param {any} collection */
async function removeNamed({ name, aliases }) {
  if (aliases.length) await api("POST", "/aliases", { changes: aliases.map((/** @type {string} */ alias) => ({ alias, collection: "" })) });
  try {
    await api("DELETE", collectionPath(name));
  } catch (error) {
    if (aliases.length) await giveBack(name, aliases);
    throw error;
  }
}

/** Gives a collection that was not deleted its aliases back, but those that were given to another meanwhile. @param {string} name @param {string[]} aliases */
async function giveBack(name, aliases) {
  try {
    const now = (await api("POST", "/aliases", {})).aliases.map((/** @type {any} */ each) => each.alias);
    await api("POST", "/aliases", { changes: aliases.filter((alias) => !now.includes(alias)).map((alias) => ({ alias, collection: name })) });
  } catch (error) {
    throw new ApiError(0, "aliases_lost", `${name} was perhaps not deleted, but it lost its aliases ${aliases.join(", ")}: ${messageOf(error)}`);
  }
}
