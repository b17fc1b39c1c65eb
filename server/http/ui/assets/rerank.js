// Pasted passages in the order of the second pass.

import { api, key } from "./api.js";
import { copyButtons, pythonText, shellText } from "./copying.js";
import { byId, element, say } from "./elements.js";
import { failure } from "./failure.js";
import { grpcTarget, server } from "./server.js";
import { onTab } from "./tabs.js";
import { count, counted, milliseconds, printable, told } from "./words.js";

const EXAMPLE = {
  query: "How do I undo the last commit but keep my changes?",
  passages: [
    "git revert makes a new commit that undoes what an earlier one did.",
    "Undo a booking: open your orders and choose cancel.",
    "git stash puts your changes aside, to be taken up again later.",
    "Use git reset --soft HEAD~1 to undo the last commit and keep your changes in the index.",
    "A commit is a snapshot of the whole tree, with a message.",
  ].join("\n"),
};

/** The reranking that is shown. @type {{ body: any, answer: any, passages: string[] } | null} */
let reranked = null;

let reranking = new AbortController();

/**
 * The passages of pasted text.
 * @param {string} text
 * @param {string} divided  "lines": one on each line; "paragraphs": blank lines between them.
 */
function passagesOf(text, divided) {
  const pieces = divided === "lines" ? text.split(/\r?\n/) : text.split(/\r?\n(?:[ \t]*\r?\n)+/);
  return pieces.map((each) => each.trim()).filter(Boolean);
}

/** Says how many passages the text has. */
function showNumPassages() {
  const number = passagesOf(byId("rerank-passages").value, byId("rerank-divided").value).length;
  byId("rerank-number").textContent = number ? counted(number, "passage") : "";
}

/** Chooses how the text is divided: by blank lines where it has some between others. */
function guessDivision() {
  const text = byId("rerank-passages").value.trim();
  byId("rerank-divided").value = /\n[ \t]*\r?\n/.test(text) ? "paragraphs" : "lines";
  showNumPassages();
}

/** Reranks what the form holds. */
async function rerank() {
  const query = byId("rerank-query").value.trim();
  const passages = passagesOf(byId("rerank-passages").value, byId("rerank-divided").value);
  const results = byId("rerank-results");
  reranking.abort();
  results.removeAttribute("aria-busy");
  if (!query || !passages.length) {
    const missing = query ? "rerank-passages" : "rerank-query";
    results.replaceChildren(element("p", { className: "problem", role: "alert", textContent: query ? "Paste at least one passage." : "Write what you are looking for." }));
    byId(missing).focus();
    return;
  }
  /** @type {Record<string, unknown>} */
  const body = { query, candidates: passages.map((text) => ({ text })), truncation: byId("rerank-long").value };
  if (byId("rerank-model").value) body.model = byId("rerank-model").value;
  const instruction = byId("rerank-instruction").value.trim();
  if (instruction && !byId("rerank-instruction").closest("p").hidden) body.instruction = instruction;
  const own = (reranking = new AbortController());
  results.setAttribute("aria-busy", "true");
  try {
    const answer = await api("POST", "/rerank", body, { signal: own.signal });
    if (own.signal.aborted) return;
    reranked = { body, answer, passages };
    showReranked();
  } catch (error) {
    if (!own.signal.aborted) results.replaceChildren(failure(error, rerank));
  } finally {
    if (own === reranking) results.removeAttribute("aria-busy");
  }
}

/** Shows the passages in their new order. */
function showReranked() {
  if (!reranked) return;
  const { body, answer, passages } = reranked;
  const numMoved = answer.hits.filter((/** @type {any} */ hit, /** @type {number} */ at) => hit.index !== at).length;
  const facts = [
    counted(answer.hits.length, "passage"),
    answer.model,
    `${count(answer.num_tokens)} tokens`,
    answer.timings?.total ? told(milliseconds(answer.timings.total) ?? 0) : "",
  ].filter(Boolean);
  byId("rerank-results").replaceChildren(
    element("p", { className: "soft rerank-told", textContent: facts.join(" · ") }),
    ...(answer.query_truncated ? [element("p", { className: "problem", textContent: "The query is longer than the model reads: its end was cut off." })] : []),
    element("ol", { className: "ranked" }, ...answer.hits.map((/** @type {any} */ hit, /** @type {number} */ at) => rankedHit(hit, at + 1, passages[hit.index]))),
    copyButtons(rerankCommands(body)),
  );
  say(`${counted(answer.hits.length, "passage")} reranked, ${count(numMoved)} moved. First: ${passages[answer.hits[0]?.index] ?? ""}`);
}

/** A passage at its new place. @param {any} hit @param {number} rank @param {string} text */
function rankedHit(hit, rank, text) {
  const before = hit.index + 1;
  const moved = before - rank;
  const direction = moved > 0 ? "up" : moved < 0 ? "down" : "same";
  const meter = element("span", { className: "ranked-bar" }, element("i", {}));
  /** @type {HTMLElement} */ (meter.firstElementChild).style.inlineSize = `${Math.max(0.5, 100 * hit.score)}%`;
  return element(
    "li",
    { className: "ranked-hit" },
    element("span", { className: "ranked-rank", textContent: String(rank), "aria-hidden": "true" }),
    element(
      "div",
      { className: "ranked-body" },
      element("p", { className: "ranked-text" }, ...windowOf(hit, text)),
      hit.truncated ? element("p", { className: "soft", textContent: "Longer than the model reads at once: its end was cut off. “Read the best window” reads all of it." }) : null,
    ),
    element(
      "div",
      { className: "ranked-figures" },
      element("span", { className: "ranked-score" }, meter, element("b", { textContent: hit.score.toFixed(3), title: "Score: relevance from 0 to 1, by the model's calibration" })),
      element("span", { className: "soft", textContent: `logit ${hit.logit.toFixed(2)}`, title: "The model's raw output" }),
      element("span", { className: `moved ${direction}`, textContent: moved ? `${moved > 0 ? "▲" : "▼"} was ${before}` : "= as it was" }),
    ),
  );
}

/** The text of a passage; the window that counted is marked where it is a part. @param {any} hit @param {string} text */
function windowOf(hit, text) {
  const characters = [...text];
  const { start = 0, end = 0 } = hit.window ?? {};
  if (!hit.window || (start === 0 && end >= characters.length) || end <= start) return [printable(text)];
  const part = (/** @type {number} */ from, /** @type {number} */ to) => printable(characters.slice(from, to).join(""));
  return [part(0, start), element("mark", { textContent: part(start, end) }), part(end, characters.length)];
}

/** The same reranking by other means, each to be pasted as it is. @param {any} body Of the request. */
function rerankCommands({ truncation, ...request }) {
  if (truncation !== "TRUNCATION_TRUNCATE") request.truncation = truncation;
  const options = [
    truncation === "TRUNCATION_MAX_WINDOW" ? 'truncation="max_window"' : truncation === "TRUNCATION_REJECT" ? 'truncation="reject"' : "",
    request.model ? `model=${pythonText(request.model)}` : "",
    request.instruction ? `instruction=${pythonText(request.instruction)}` : "",
  ].filter(Boolean);
  const body = shellText(JSON.stringify(request));
  const isTls = location.protocol === "https:";
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  const client = [
    pythonText(grpcTarget()),
    ...(key() ? ['api_key=os.environ["TWOPASS_API_KEY"]'] : []),
    ...(isTls ? ["credentials=grpc.ssl_channel_credentials()"] : []),
  ];
  return {
    curl: `curl${header} --json ${body} \\\n  ${shellText(`${location.origin}/api/v1/rerank`)}`,
    Python: [
      ...(key() ? ["import os"] : []),
      ...(isTls ? ["import grpc"] : []),
      "from twopass.client import Client",
      "",
      "passages = [",
      ...request.candidates.map((/** @type {any} */ { text }) => `    ${pythonText(text)},`),
      "]",
      `with Client(${client.join(", ")}) as client:`,
      `    for hit in client.rerank(${[pythonText(request.query), "passages", ...options].join(", ")}).hits:`,
      '        print(f"{hit.score:.3f}", passages[hit.index])',
      "",
    ].join("\n"),
    grpcurl: `grpcurl${isTls ? "" : " -plaintext"}${header} -d ${body} \\\n  ${shellText(grpcTarget())} twopass.v1.RerankService/Rerank`,
  };
}

/** Starts the reranking of pasted passages. */
export function startRerank() {
  byId("rerank-form").addEventListener("submit", (/** @type {Event} */ event) => {
    event.preventDefault();
    rerank();
  });
  const passages = byId("rerank-passages");
  passages.addEventListener("input", showNumPassages);
  passages.addEventListener("paste", () => setTimeout(guessDivision));
  passages.addEventListener("keydown", (/** @type {KeyboardEvent} */ event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey)) rerank();
  });
  byId("rerank-divided").addEventListener("change", showNumPassages);
  byId("rerank-example").addEventListener("click", () => {
    byId("rerank-query").value = EXAMPLE.query;
    passages.value = EXAMPLE.passages;
    guessDivision();
    rerank();
  });
  byId("rerank-model").addEventListener("change", showInstruction);
  onTab.rerank = offerRerankers;
}

/** Offers the rerankers where there are several. */
function offerRerankers() {
  const rerankers = server.models.filter(({ kind }) => kind === "MODEL_KIND_RERANKER");
  const choice = byId("rerank-model");
  const chosen = choice.value;
  choice.replaceChildren(...rerankers.map((model) => element("option", { value: model.default ? "" : model.id, textContent: `${model.id}${model.default ? ", the default" : ""}` })));
  choice.value = chosen;
  if (choice.selectedIndex < 0) choice.selectedIndex = 0;
  choice.closest("p").hidden = rerankers.length < 2;
  showInstruction();
}

/** Asks for an instruction where the chosen reranker takes one. */
function showInstruction() {
  const id = byId("rerank-model").value;
  const model = server.models.find((each) => each.kind === "MODEL_KIND_RERANKER" && (id ? each.id === id : each.default));
  byId("rerank-instruction").closest("p").hidden = !model?.takes_instruction;
}
