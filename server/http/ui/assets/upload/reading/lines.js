// Files a piece at a time: of one with several GB a few hundred KB are in memory.

/** @import { ReadSoFar, Source } from "./record.js" */

// Longer lines can't be sent: the server takes no document that is larger than a body of 8 MiB.
const MAX_LINE_BYTES = 8 << 20;

/** The bytes of a file, unpacked. @returns {AsyncGenerator<Uint8Array<ArrayBuffer>>} */
export async function* bytesOf(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const counting = new TransformStream({
    transform(piece, out) {
      soFar.numBytes += piece.length;
      out.enqueue(piece);
    },
  });
  let stream = source.file.stream().pipeThrough(counting);
  if (source.gzip) stream = stream.pipeThrough(new DecompressionStream("gzip"));
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    reader.cancel().catch(() => undefined); // what is damaged, or was given up, needs no end
  }
}

/**
 * The lines of a file, cut at line feeds alone, so that a bad byte spoils one line.
 * @returns {AsyncGenerator<{ number: number, text: string, wrong: string }>}
 */
export async function* linesOf(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const isWide = source.encoding.startsWith("utf-16");
  const decoder = new TextDecoder(isWide ? "utf-8" : source.encoding, { fatal: true, ignoreBOM: true });
  let number = 0;
  /** @type {Uint8Array[]} */
  let begun = [];
  let length = 0;
  const line = (/** @type {Uint8Array} */ end) => {
    number += 1;
    const whole = begun.length ? joined([...begun, end]) : end;
    const tooLong = length + end.length > MAX_LINE_BYTES;
    begun = [];
    length = 0;
    if (tooLong) return { number, text: "", wrong: `a line of more than ${MAX_LINE_BYTES.toLocaleString("en")} bytes` };
    try {
      const text = decoder.decode(whole);
      return { number, text: number === 1 ? text.replace(/^\ufeff/, "") : text, wrong: "" };
    } catch {
      return { number, text: "", wrong: `not ${source.encoding}; choose another encoding` };
    }
  };
  for await (const piece of isWide ? widened(source, soFar) : bytesOf(source, soFar)) {
    let at = 0;
    for (let end = piece.indexOf(10); end >= 0; end = piece.indexOf(10, at)) {
      yield line(piece.subarray(at, end));
      at = end + 1;
    }
    length += piece.length - at;
    // Of a line that is too long no more is kept than tells so.
    if (length <= MAX_LINE_BYTES && at < piece.length) begun.push(piece.subarray(at));
  }
  if (length) yield line(new Uint8Array());
}

/** UTF-16 as UTF-8. */
async function* widened(/** @type {Source} */ source, /** @type {ReadSoFar} */ soFar) {
  const decoder = new TextDecoder(source.encoding);
  const encoder = new TextEncoder();
  for await (const piece of bytesOf(source, soFar)) yield encoder.encode(decoder.decode(piece, { stream: true }));
  yield encoder.encode(decoder.decode());
}

/** Pieces as one. */
function joined(/** @type {Uint8Array[]} */ pieces) {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}
