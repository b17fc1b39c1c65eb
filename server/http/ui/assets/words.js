// Numbers, names and texts as people read them.

/** Whole numbers with separators, as in 5,807. @param {number | string} value */
export function count(value) {
  return Number(value).toLocaleString("en");
}

/** A number and its noun. @param {number} value @param {string} one @param {string} [many] */
export function counted(value, one, many = `${one}s`) {
  return `${count(value)} ${value === 1 ? one : many}`;
}

/** Milliseconds of a duration of proto JSON such as "0.0123s"; null where it is unset. @param {string | null | undefined} duration */
export function milliseconds(duration) {
  return duration ? Number.parseFloat(duration) * 1000 : null;
}

/** Milliseconds for people. @param {number} value */
export function told(value) {
  if (value >= 9_950) return `${(value / 1000).toFixed(0)} s`;
  if (value >= 995) return `${(value / 1000).toFixed(1)} s`;
  return value >= 9.95 ? `${Math.round(value)} ms` : `${value.toFixed(1)} ms`;
}

/** A size for people, as in 1.2 MB. @param {number} numBytes */
export function bytesTold(numBytes) {
  const units = ["bytes", "kB", "MB", "GB", "TB"];
  let at = 0;
  for (; numBytes >= 999.5 && at < units.length - 1; at += 1) numBytes /= 1000;
  return `${at && numBytes < 10 ? numBytes.toFixed(1) : Math.round(numBytes)} ${units[at]}`;
}

/** A language's name in English, as in "German"; the code itself where the browser knows none. @param {string} code */
export function languageName(code) {
  if (code === "none") return "none, words as they stand";
  return new Intl.DisplayNames(["en"], { type: "language" }).of(code) ?? code;
}

/** A text in quotes, its beginning alone where it is long. @param {string} text */
export function quoted(text) {
  return `“${text.length > 60 ? `${text.slice(0, 60)}…` : text}”`;
}

/**
 * A text with what can't be seen made visible: control characters as their pictures, and what turns
 * the direction of writing as its code. Line feeds and tabs stay.
 *
 * @param {string} text
 */
export function printable(text) {
  return text.replace(/[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069\ufeff]/g, (found) => {
    const code = found.charCodeAt(0);
    if (code < 0x20) return String.fromCharCode(0x2400 + code);
    return code === 0x7f ? "\u2421" : `\\u${code.toString(16).padStart(4, "0")}`;
  });
}

/** What an error says. */
export function messageOf(/** @type {unknown} */ error) {
  return error instanceof Error ? error.message : String(error);
}
