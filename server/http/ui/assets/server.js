// What the page knows of the server: its models and its collections, read again on demand.

import { api } from "./api.js";
import { byId } from "./elements.js";
import { failure } from "./failure.js";

/** What the page knows of the server. @type {{grpcPort: number, needsKey: boolean, models: any[], collections: any[] | null}} */
export const server = { grpcPort: 50051, needsKey: false, models: [], collections: null };

/** Called with the collections whenever they were read. @type {((collections: any[]) => void)[]} */
export const onCollections = [];

/** Called whenever the models were read. @type {(() => void)[]} */
export const onModels = [];

/** Reads the collections, and tells all who show them. */
export async function loadCollections() {
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

/** Reads the collections again, and tells a failure where they would stand. */
export async function refreshCollections() {
  try {
    await loadCollections();
  } catch (error) {
    byId("stored-more").replaceChildren(failure(error, refreshCollections));
  }
}

/** What is known of a collection by its name or an alias; undefined for none. @param {string} name */
export function collectionOf(name) {
  return server.collections?.find((each) => each.name === name || each.aliases.includes(name));
}

/** Where gRPC listens, as clients are given it. */
export function grpcTarget() {
  const host = location.hostname.includes(":") ? `[${location.hostname.replace(/[[\]]/g, "")}]` : location.hostname;
  return server.grpcPort ? `${host}:${server.grpcPort}` : "localhost:50051";
}
