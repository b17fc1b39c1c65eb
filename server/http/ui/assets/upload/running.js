// The third step of an upload: how far it is, and how it ended.

import { api } from "../api.js";
import { byId, element, say } from "../elements.js";
import { failure } from "../failure.js";
import { refreshCollections } from "../server.js";
import { searchIn } from "../tabs.js";
import { messageOf, printable } from "../words.js";
import { showChoosing } from "./choosing.js";
import { leftOutList, progressTold, summaryOf } from "./progress.js";
import { Upload, UploadStopped } from "./sending.js";

/** @import { UploadSettings } from "./sending.js" */

/** The upload under way, if one is. @type {Upload | null} */
export let running = null;

/** Runs an upload, and shows how far it is. @param {UploadSettings} settings */
export async function upload(settings) {
  const { collection } = settings;
  const bar = element("progress", { max: 1, value: 0, "aria-label": "Documents uploaded" });
  const told = element("p", { className: "upload-told" });
  const waiting = element("p", { className: "soft" });
  const lost = element("div", { role: "alert" });
  const cancel = element("button", { type: "button", textContent: "Cancel" });
  byId("upload-step").replaceChildren(
    element("div", { className: "running" }, element("h4", { textContent: `Into ${collection}` }), bar, told, waiting, lost, element("div", { className: "actions" }, cancel)),
  );
  cancel.focus();
  byId("upload-collection").disabled = true;

  /** @type {(value?: unknown) => void} */
  let goOn = () => undefined;
  const whenLost = (/** @type {string} */ message) =>
    new Promise((resolve) => {
      goOn = resolve;
      say(`${message} The upload waits.`);
      lost.replaceChildren(
        element("p", { className: "problem", textContent: `${message} What was acknowledged is on disk. Once the server is back, the upload goes on where it was.` }),
        element("button", { type: "button", textContent: "Go on", onclick: () => resolve(undefined) }),
      );
    }).then(() => lost.replaceChildren());

  let timer = 0;
  try {
    const { server: info } = await api("GET", "/server");
    const run = (running = new Upload(settings, info.limits, whenLost));
    cancel.addEventListener("click", () => {
      run.cancelling.abort();
      goOn();
    });
    window.addEventListener("beforeunload", warnOfLeaving);
    const show = () => {
      bar.value = run.numBytes ? Math.min(1, run.soFar.numBytes / run.numBytes) : 0;
      told.textContent = progressTold(run);
      waiting.textContent = run.waiting;
    };
    timer = setInterval(show, 200);
    show();
    await run.run();
    showEnd(run, null);
  } catch (error) {
    showEnd(running, error);
  } finally {
    clearInterval(timer);
    window.removeEventListener("beforeunload", warnOfLeaving);
    byId("upload-collection").disabled = false;
    running = null;
    await refreshCollections();
    byId("upload-collection").value = collection;
  }
}

/** Has the browser ask before it leaves the page. @param {BeforeUnloadEvent} event */
function warnOfLeaving(event) {
  event.preventDefault();
}

/** Tells how an upload ended. @param {Upload | null} run @param {unknown} error */
function showEnd(run, error) {
  const collection = run?.settings.collection ?? "";
  const summary = run ? summaryOf(run) : "Nothing was written.";
  const isCancelled = run?.cancelling.signal.aborted ?? false;
  const isStopped = error instanceof UploadStopped;
  const heading = !error ? "Done" : isCancelled ? "Cancelled" : "Stopped";
  const shown = element(
    "div",
    { className: "ended" },
    element("h4", { tabIndex: -1, textContent: heading }),
    !error || isCancelled
      ? null
      : isStopped
        ? element("p", { className: "problem", textContent: printable(messageOf(error)) })
        : failure(error),
    isStopped ? element("p", { textContent: "Mend that record and upload again, or have bad records left out: documents of the same id are replaced, not doubled." }) : null,
    element("p", { textContent: error ? `Until then: ${summary}` : summary }),
    run && run.numLeftOut ? leftOutList(run.leftOut, run.numLeftOut) : null,
    element(
      "div",
      { className: "actions" },
      isStopped && run
        ? element("button", { type: "button", textContent: "Again, leaving bad records out", onclick: () => upload({ ...run.settings, skips: true }) })
        : null,
      run ? element("button", { type: "button", className: error ? "" : "primary", textContent: `Search ${collection}`, onclick: () => searchIn(collection) }) : null,
      element("button", { type: "button", textContent: "Upload more", onclick: () => (showChoosing(), byId("upload-files").focus()) }),
    ),
  );
  byId("upload-step").replaceChildren(shown);
  shown.querySelector("h4")?.focus();
  say(`${heading}. ${summary}`);
}
