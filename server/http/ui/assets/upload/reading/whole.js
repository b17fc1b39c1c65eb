// A file that is one document: text, Markdown or HTML.

import { bytesOf } from "./lines.js";
import { SAMPLE_BYTES } from "./source.js";

/** @import { LeftOut, ReadSoFar, Source, SourceRecord } from "./record.js" */

/**
 * A file that is one document, titled by Markdown's or HTML's first heading, else by the file's name.
 * @returns {Promise<SourceRecord | LeftOut>}
 */
export async function wholeDocument(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar, /** @type {number} */ maxTextBytes) {
  const where = source.name;
  // HTML has tags besides its text; ten times as much is still read at once.
  const most = source.kind === "html" ? 10 * maxTextBytes : maxTextBytes;
  const pieces = [];
  let length = 0;
  for await (const piece of bytesOf(source, soFar)) {
    length += piece.length;
    if (length > most) {
      return { where, reason: `more than ${most.toLocaleString("en")} bytes, which the server takes of one text (max_passage_bytes); split the file` };
    }
    pieces.push(piece);
  }
  let text;
  try {
    text = await new Response(new Blob(pieces)).arrayBuffer().then((whole) => new TextDecoder(source.encoding, { fatal: true }).decode(whole));
  } catch {
    return { where, reason: `not ${source.encoding}; choose another encoding` };
  }
  let title = where.split("/").at(-1) ?? where;
  if (source.kind === "html") {
    title = titleOfHtml(text) || title;
    text = textOfHtml(text);
  } else if (source.kind === "markdown") {
    title = headingOf(text) || title;
  }
  if (!text.trim()) return { where, reason: "empty" };
  return { where, fields: { id: source.name, title: title.replace(/\s+/g, " "), text } };
}

/** Of HTML what nobody reads: comments, scripts, declarations. */
const UNREAD_HTML = /<!--[\s\S]*?-->|<(head|script|style|noscript|template|svg)\b[\s\S]*?<\/\1\s*>|<[!?][^>]*>/gi;

const HTML_TAG = /<\/?([a-z][a-z0-9-]*)(?:[^>"']|"[^"]*"|'[^']*')*>/gi;

/** Tags that do not end a line. */
const HTML_INLINE = new Set("a abbr b bdi bdo cite code data dfn em font i kbd mark q s samp small span strong sub sup time tt u var wbr".split(" "));

/**
 * The text of HTML, a line for each block. Tags are taken out before the browser reads what is left,
 * for its entities: so nothing of a file runs or is loaded, and the page's policy has nothing to refuse.
 */
function textOfHtml(/** @type {string} */ html) {
  const bare = html
    .replace(UNREAD_HTML, " ")
    .replace(HTML_TAG, (_, /** @type {string} */ name) => (HTML_INLINE.has(name.toLowerCase()) ? "" : /^t[dh]$/i.test(name) ? " " : "\n"))
    .replaceAll("<", "&lt;");
  const text = new DOMParser().parseFromString(bare, "text/html").body.textContent ?? "";
  return text.replace(/[ \t\r]*\n\s*/g, "\n").trim();
}

/** The first heading of HTML, else its title. */
function titleOfHtml(/** @type {string} */ html) {
  const found = /<h1\b[^>]*>([\s\S]*?)<\/h1\s*>/i.exec(html) ?? /<title\b[^>]*>([\s\S]*?)<\/title\s*>/i.exec(html);
  return found ? textOfHtml(found[1]) : "";
}

/** The first heading of Markdown, `#` or underlined, after front matter; of that the title, if it has one. */
function headingOf(/** @type {string} */ text) {
  const front = /^---\r?\n([\s\S]*?)\r?\n(?:---|\.\.\.)[ \t]*(?:\r?\n|$)/.exec(text);
  const told = front && /^title:[ \t]*(["']?)(.+?)\1[ \t]*\r?$/m.exec(front[1]);
  if (told) return told[2];
  const body = (front ? text.slice(front[0].length) : text).slice(0, SAMPLE_BYTES).replace(/^(```|~~~)[\s\S]*?^\1/gm, "");
  const found = /^#{1,6}[ \t]+(.+?)[ \t#]*\r?$|^(\S.*?)[ \t]*\r?\n(?:=+|-{2,})[ \t]*\r?$/m.exec(body);
  return found?.[1] ?? found?.[2] ?? "";
}
