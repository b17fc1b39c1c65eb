// JSON whose numbers stay as they were written: those of 64 bits are more exact than JavaScript's.

/** JSON with what TypeScript does not know of it yet: raw values, and the source of parsed ones. */
const json = /** @type {any} */ (JSON);

/**
 * Reads JSON, its integers that JavaScript would round as raw JSON, which `JSON.stringify` writes as
 * they were. A browser without raw JSON rounds them.
 *
 * @param {string} text
 * @returns {any} Undefined where the text is not JSON.
 */
export function exactJson(text) {
  try {
    return json.parse(text, (/** @type {string} */ _, /** @type {unknown} */ value, /** @type {{source?: string} | undefined} */ context) => {
      const isRounded = typeof value === "number" && Number.isInteger(value) && !Number.isSafeInteger(value);
      return isRounded && context?.source !== undefined && json.rawJSON ? json.rawJSON(context.source) : value;
    });
  } catch {
    return undefined;
  }
}

/** The digits of a number that JavaScript would round; undefined for anything else. @param {unknown} value @returns {string | undefined} */
export function exactDigits(value) {
  return json.isRawJSON?.(value) ? json.stringify(value) : undefined;
}

/** Names and values of a hit's metadata. @param {any} hit @returns {[string, unknown][]} */
export function metadataOf(hit) {
  return Object.entries((hit.metadata_json && exactJson(hit.metadata_json)) || {});
}
