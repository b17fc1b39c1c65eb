// What a failed call means for a person.

import { ApiError, key, UNSENDABLE_KEY } from "./api.js";
import { byId, element, keepingFocus, say } from "./elements.js";

/**
 * What a failure means for a person: a title, the server's own words, and what can be done.
 *
 * @param {unknown} error
 * @param {() => unknown} [again] What tries it again; a button is offered where that may help.
 * @param {boolean} [isKept] Whether what was shown before the failure still stands.
 * @returns {HTMLElement}
 */
export function failure(error, again, isKept = false) {
  const { status = -1, code = "", message = String(error) } = error instanceof ApiError ? error : { message: String(error) };
  const [title, way] =
    status === 0
      ? ["The server does not answer", `It may have ended, or be starting.${isKept ? " What stands here is from before." : ""}`]
      : status === 401
        ? [code === UNSENDABLE_KEY ? "This API key can’t be sent" : key() ? "This API key is unknown to the server" : "This server wants an API key", "Put it into the field at the top; it stays in this tab of your browser."]
        : status === 403
          ? ["This API key may not do that", "Another key, or another collection, may be what you need."]
          : status === 404
            ? ["There is no such thing", ""]
            : status === 429
              ? ["The server is full", "It takes no more work at the moment; try again shortly."]
              : status === 503
                ? ["The server is not ready", "It starts or ends, or its engine is being rebuilt; try again shortly."]
                : status === 504
                  ? ["Nothing was ready in time", "A larger time budget, or none, gives it the time; so do fewer candidates."]
                  : status === 400
                    ? ["The server can't do that", ""]
                    : ["That went wrong", ""];
  /** @type {HTMLElement | null} */
  const button = again && [0, 429, 503, 504].includes(status) ? element("button", { type: "button", textContent: "Try again", onclick: () => keepingFocus(button, again) }) : null;
  const toKey = status === 401 ? element("button", { type: "button", textContent: "To the field", onclick: () => byId("key").focus() }) : null;
  // What the server says of a missing key, programs need: the page has a field for it.
  const told = status === 401 && code !== UNSENDABLE_KEY ? "" : message;
  say(`${title}. ${told || way}`);
  return element(
    "div",
    { className: "notice bad" },
    element("p", { className: "notice-title", textContent: title }),
    told ? element("p", { textContent: told }) : null,
    way ? element("p", { className: "soft", textContent: way }) : null,
    button || toKey ? element("div", { className: "actions" }, button, toKey) : null,
  );
}
