// The dialogs that rename and delete a collection.

import { api, collectionPath } from "../api.js";
import { byId, say } from "../elements.js";
import { failure } from "../failure.js";
import { refreshCollections } from "../server.js";
import { counted } from "../words.js";

/** Opens the dialog that renames a collection. @param {string} name */
export function askToRename(name) {
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
    byId("rename-error").replaceChildren(failure(error));
  } finally {
    button.disabled = false;
  }
}

/** Opens the dialog that deletes a collection once its name is typed. @param {any} collection */
export function askToDelete(collection) {
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

/** Deletes a collection, its aliases first. @param {any} collection */
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
