// Elements of the page: making and finding them, and what is told to the ear.

/**
 * Makes an element. Properties are those of the DOM; names with a dash are attributes.
 * Children that are null are left out.
 *
 * @template {keyof HTMLElementTagNameMap} T
 * @param {T} tag
 * @param {Record<string, any>} [properties]
 * @param {...(Node | string | null | undefined)} children
 * @returns {HTMLElementTagNameMap[T]}
 */
export function element(tag, properties = {}, ...children) {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(properties)) {
    if (value === null || value === undefined) continue;
    if (name.includes("-") || name === "role") made.setAttribute(name, String(value));
    else /** @type {any} */ (made)[name] = value;
  }
  made.append(.../** @type {(Node | string)[]} */ (children.filter((child) => child !== null && child !== undefined)));
  return made;
}

/**
 * Makes an element of SVG with attributes.
 *
 * @param {string} tag
 * @param {Record<string, string | number>} attributes
 * @returns {SVGElement}
 */
export function drawn(tag, attributes) {
  const made = /** @type {SVGElement} */ (document.createElementNS("http://www.w3.org/2000/svg", tag));
  for (const [name, value] of Object.entries(attributes)) made.setAttribute(name, String(value));
  return made;
}

/** A select with its label. @param {string} id @param {string} label @param {[string, string][]} options */
export function select(id, label, options) {
  return element(
    "p",
    {},
    element("label", { htmlFor: id, textContent: label }),
    element("select", { id }, ...options.map(([value, textContent]) => element("option", { value, textContent }))),
  );
}

/**
 * The element of an id that the page is known to have.
 *
 * @param {string} id
 * @returns {any}
 */
export function byId(id) {
  const found = document.getElementById(id);
  if (!found) throw new Error(`the page has no element ${id}`);
  return found;
}

/** Tells those who hear the page rather than see it. @param {string} text */
export function say(text) {
  byId("live").textContent = text;
}

/**
 * Runs what may remove an element that has the focus, as a button does that makes way for what it brought.
 * Then the focus goes to a button of the same name in the same panel, or to the panel.
 *
 * @param {Element | null} focused
 * @param {() => unknown} run
 */
export async function keepingFocus(focused, run) {
  const place = /** @type {HTMLElement | null} */ (focused?.closest("dialog, [role=tabpanel], main") ?? null);
  const hadFocus = focused !== null && focused === document.activeElement;
  const name = nameOf(focused);
  await run();
  // A browser puts the focus on the body when what had it goes.
  if (!hadFocus || (document.activeElement && document.activeElement !== document.body)) return;
  const same = [...(place?.querySelectorAll("button") ?? [])].find((each) => nameOf(each) === name && each.checkVisibility());
  (same ?? place)?.focus();
}

/** What an element is called: its label, or what stands in it. @param {Element | null} named */
function nameOf(named) {
  return named?.getAttribute("aria-label") ?? named?.textContent;
}

/**
 * A function that runs another when it was not called again for some time; `cancel` forgets a call.
 *
 * @param {number} delay Milliseconds.
 * @param {() => void} run
 */
export function debounced(delay, run) {
  let timer = 0;
  const later = () => {
    clearTimeout(timer);
    timer = setTimeout(run, delay);
  };
  return Object.assign(later, { cancel: () => clearTimeout(timer) });
}
