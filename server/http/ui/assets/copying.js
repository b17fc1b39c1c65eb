// What leaves the page: text for the clipboard, files to save, and literals of the languages that are copied.

import { element } from "./elements.js";

/** Copies text, also where the page is not trusted with the clipboard (plain HTTP from afar). @param {string} text @returns {Promise<boolean>} Whether the browser did. */
export async function copyText(text) {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    // No clipboard here, or not allowed: the old way, through a selection.
  }
  const before = document.activeElement;
  const area = element("textarea", { value: text, className: "unseen" });
  document.body.append(area);
  area.select();
  const isDone = document.execCommand("copy");
  area.remove();
  if (before instanceof HTMLElement) before.focus();
  return isDone;
}

/** What is said where the browser let nothing be copied. */
export const NOT_COPIED = "This browser does not let the page copy.";

/** Offers a file to save. @param {string} name @param {string} content @param {string} type */
export function saveFile(name, content, type) {
  const url = URL.createObjectURL(new Blob([content], { type }));
  const link = element("a", { href: url, download: name });
  document.body.append(link);
  link.click();
  link.remove();
  setTimeout(() => URL.revokeObjectURL(url), 10_000);
}

/** A word of a POSIX shell, quoted. @param {string} text */
export function shellText(text) {
  return `'${text.replaceAll("'", String.raw`'\''`)}'`;
}

/** A literal of Python: JSON's strings are Python's too. @param {string} text */
export function pythonText(text) {
  return JSON.stringify(text);
}

/** Code that can be scrolled by keys. @param {string} text @param {string} label What it is. */
export function codeOf(text, label) {
  return element("pre", { tabIndex: 0, role: "region", "aria-label": label }, element("code", { textContent: text }));
}

/** Buttons that copy commands. @param {Record<string, string>} commands By what they are for. */
export function copyButtons(commands) {
  const done = element("span", { className: "good-text", role: "status" });
  const buttons = Object.entries(commands).map(([name, text]) =>
    element("button", {
      type: "button",
      textContent: name,
      "aria-label": `Copy as ${name}`,
      onclick: async () => {
        done.textContent = (await copyText(text)) ? `${name} copied` : NOT_COPIED;
      },
    }),
  );
  return element("p", { className: "copy" }, element("span", { className: "soft", textContent: "Copy as" }), ...buttons, done);
}
