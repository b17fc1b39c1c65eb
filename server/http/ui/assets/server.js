// What the page knows of the server: its models and its collections, read again on demand.

import { api, ApiError, key, showServer } from "./api.js";
import { byId } from "./elements.js";
import { failure } from "./failure.js";

/** What the page knows of the server. @type {{grpcPort: number, needsKey: boolean, models: any[], collections: any[] | null}} */
export const server = { grpcPort: 50051, needsKey: false, models: [], collections: null };

/** Called with the collections whenever they were read. @type {((collections: any[]) => void)[]} */
export const onCollections = [];

/** Called whenever the models were read. @type {(() => void)[]} */
export const onModels = [];

/** Numbers of what was asked for last: what was asked for before it, perhaps by another key, comes too late. */
const last = { server: 0, collections: 0 };

/** Whether the server is being read. */
let isLoading = false;

/** Reads the collections, and tells all who show them. */
export async function loadCollections() {
  const own = (last.collections += 1);
  const found = [];
  let token = "";
  do {
    const page = await api("GET", `/collections?page_token=${encodeURIComponent(token)}`);
    found.push(...page.collections);
    token = page.next_page_token;
  } while (token);
  if (own !== last.collections) return;
  server.collections = found;
  for (const listener of onCollections) listener(found);
}

/**
 * Reads the collections again, and tells a failure where they would stand; everything where the
 * server could not be read, which is told above the tabs.
 */
export async function refreshCollections() {
  if (server.collections === null || !byId("notice").hidden) {
    if (!isLoading) await loadServer();
    return;
  }
  const usedKey = key();
  try {
    await loadCollections();
  } catch (error) {
    if (usedKey === key()) byId("stored-more").replaceChildren(failure(error, refreshCollections, server.collections.length > 0));
  }
}

/** Reads what there is: the server, its models, its collections. Failures are told above the tabs. */
export async function loadServer() {
  const own = (last.server += 1);
  const notice = byId("notice");
  isLoading = true;
  try {
    const surroundings = await (await fetch("/ui/server.json")).json();
    if (own !== last.server) return;
    server.grpcPort = surroundings.grpc_port;
    server.needsKey = surroundings.needs_key;
    byId("key-form").hidden = !server.needsKey && !key();
    const [{ models }, info] = await Promise.all([api("GET", "/models"), api("GET", "/server"), loadCollections()]);
    if (own !== last.server) return;
    server.models = models;
    for (const listener of onModels) listener();
    byId("server").textContent = `version ${info.server.version}`;
    byId("key-form").classList.remove("wanted");
    notice.hidden = true;
  } catch (error) {
    if (own !== last.server) return;
    const shown = error instanceof ApiError ? error : new ApiError(0, "unreachable", `${location.host} does not answer.`);
    if (shown.status === 0) showServer(false);
    notice.replaceChildren(...failure(shown, loadServer, server.collections !== null).childNodes);
    notice.className = "notice bad";
    notice.hidden = false;
  } finally {
    if (own === last.server) isLoading = false;
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
