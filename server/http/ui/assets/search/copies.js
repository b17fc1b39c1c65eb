// The search that is shown, for a program: curl, Python and grpcurl.

import { collectionPath, key } from "../api.js";
import { codeOf, copyText, NOT_COPIED, pythonText, shellText } from "../copying.js";
import { byId, element } from "../elements.js";
import { grpcTarget } from "../server.js";
import { shown } from "./answer.js";
import { searchBody } from "./call.js";
import { parsedFilter } from "./filter.js";

/** @import { Asked } from "./settings.js" */

/** A search as a command of curl. @param {Asked} wanted */
function asCurl(wanted) {
  const body = JSON.stringify(searchBody(wanted, wanted.top_n));
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  return `curl${header} --json ${shellText(body)} \\\n  ${shellText(`${location.origin}/api/v1${collectionPath(wanted.collection)}/search`)}`;
}

/** A search as a command of grpcurl. @param {Asked} wanted */
function asGrpcurl(wanted) {
  const body = JSON.stringify({ collection: wanted.collection, ...searchBody(wanted, wanted.top_n) });
  const header = key() ? ' -H "authorization: Bearer $TWOPASS_API_KEY"' : "";
  const plain = location.protocol === "https:" ? "" : " -plaintext";
  return `grpcurl${plain}${header} -d ${shellText(body)} \\\n  ${grpcTarget()} twopass.v1.SearchService/Search`;
}

/** A search as a program of Python's client. @param {Asked} wanted */
function asPython(wanted) {
  const filter = parsedFilter(wanted.filter);
  const isTls = location.protocol === "https:";
  const names = ["Client"];
  if (wanted.rerank && (wanted.depth !== null || wanted.blend !== null || wanted.model)) names.push("Rerank");
  names.push("Retrieve");
  if (wanted.spans) names.push("Spans");
  if (filter?.python.includes("field(")) names.push("field");
  const imports = [
    ...(filter?.python.includes("datetime.") ? ["from datetime import datetime"] : []),
    ...(key() ? ["import os"] : []),
    ...(isTls ? ["import grpc"] : []),
    ...(filter?.python.startsWith("Parse(") ? ["from google.protobuf.json_format import Parse"] : []),
    `from twopass.client import ${names.join(", ")}`,
    ...(filter?.python.startsWith("Parse(") ? ["from twopass.v1.filter_pb2 import Filter"] : []),
  ];
  const options = [
    pythonText(grpcTarget()),
    ...(key() ? ['api_key=os.environ["TWOPASS_API_KEY"]'] : []),
    ...(isTls ? ["credentials=grpc.ssl_channel_credentials()"] : []),
  ];
  const rerank = [
    ...(wanted.depth !== null ? [`depth=${Math.min(wanted.depth, wanted.k)}`] : []),
    ...(wanted.blend !== null ? [`blend=${wanted.blend}`] : []),
    ...(wanted.model ? [`model=${pythonText(wanted.model)}`] : []),
  ];
  const given = [
    pythonText(wanted.collection),
    pythonText(wanted.query),
    `top_n=${wanted.top_n}`,
    `retrieve=Retrieve(mode="${wanted.mode}", k=${wanted.k})`,
    ...(!wanted.rerank ? ["rerank=False"] : rerank.length ? [`rerank=Rerank(${rerank.join(", ")})`] : []),
    ...(filter ? [`filter=${filter.python}`] : []),
    ...(wanted.spans ? [`spans=Spans(hits=${searchBody(wanted, wanted.top_n).spans?.hits}, max_spans=1)`] : []),
    ...(wanted.budget !== null ? [`time_budget=${wanted.budget / 1000}`] : []),
  ];
  return [
    ...imports,
    "",
    `with Client(${options.join(", ")}) as client:`,
    "    result = client.search(",
    ...given.map((each) => `        ${each},`),
    "    )",
    "    for rank, hit in enumerate(result.hits, 1):",
    '        print(f"{rank:>3}  was {hit.first_pass_rank:>3}  {hit.id}")',
    "    print(result.rerank_status)",
  ].join("\n");
}

/** What makes each of the copies, by their names. */
const COPIES = /** @type {Record<string, (wanted: Asked) => string>} */ ({ curl: asCurl, Python: asPython, grpcurl: asGrpcurl });

/** Which copy is open; "" for none. */
let copyShown = "";

/** Keeps the code that is open in step with the settings. @param {Asked} wanted */
export function showCopy(wanted) {
  byId("copy-told").textContent = "";
  if (copyShown) byId("copy-code").replaceChildren(codeOf(COPIES[copyShown](wanted), `The search as ${copyShown}`));
}

/** Starts the buttons that copy a search. */
export function startCopy() {
  byId("copy-buttons").replaceChildren(
    ...Object.keys(COPIES).map((name) => {
      const button = element("button", { type: "button", textContent: name, "aria-expanded": "false", "aria-controls": "copy-code", title: `Copy the search as ${name}` });
      button.addEventListener("click", async () => {
        if (!shown.wanted) return;
        copyShown = copyShown === name ? "" : name;
        for (const each of byId("copy-buttons").children) each.setAttribute("aria-expanded", String(each === button && copyShown !== ""));
        byId("copy-code").hidden = !copyShown;
        showCopy(shown.wanted);
        if (!copyShown) return;
        const isDone = await copyText(COPIES[name](shown.wanted));
        byId("copy-told").textContent = isDone ? "copied" : `${NOT_COPIED} Select the text below.`;
      });
      return button;
    }),
  );
}
