// What the browser keeps for the page. Site data may be blocked, and room may run out: then the page
// keeps it for as long as it is open.

/** Texts by their names, in a storage of the browser. */
class Kept {
  /** @param {() => Storage} storage Throws where site data is blocked. */
  constructor(storage) {
    this.storage = storage;
    /** What the browser did not take; null for what it did not remove. @type {Map<string, string | null>} */
    this.refused = new Map();
  }

  /** The text of a name; null for none. @param {string} name @returns {string | null} */
  get(name) {
    const own = this.refused.get(name);
    if (own !== undefined) return own;
    try {
      return this.storage().getItem(name);
    } catch {
      return null;
    }
  }

  /**
   * Keeps a text by a name.
   *
   * @param {string} name
   * @param {string | null} text null removes it.
   * @returns {boolean} Whether the browser keeps it, rather than this page alone until it is closed.
   */
  set(name, text) {
    try {
      if (text === null) this.storage().removeItem(name);
      else this.storage().setItem(name, text);
      this.refused.delete(name);
      return true;
    } catch {
      this.refused.set(name, text);
      return false;
    }
  }
}

/** Kept in this browser, for all its tabs. */
export const inBrowser = new Kept(() => localStorage);

/** Kept in this tab of the browser, until it is closed. */
export const inTab = new Kept(() => sessionStorage);
