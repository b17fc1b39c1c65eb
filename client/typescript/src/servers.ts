import { Code, ConnectError } from "@connectrpc/connect";

// How long a server is passed over that was not reached, or said that it is unavailable.
const PASSED_OVER_MS = 1_000;
// What Node says where no connection was made: nothing was sent.
const NOT_SENT = new Set(["ECONNREFUSED", "ENOTFOUND", "EAI_AGAIN", "EHOSTUNREACH", "ENETUNREACH"]);

/**
 * Makes requests to several servers in turn, each to the next one that was not just found to be away.
 *
 * What was not sent goes to the next at once. What may have been sent fails as `Unavailable`, so that `retries` makes
 * it again where it may be made twice, which is then the next server's turn.
 *
 * @param urls The servers; requests are made for the first.
 * @param request Makes a request.
 */
export function inTurn(urls: readonly string[], request: typeof globalThis.fetch): typeof globalThis.fetch {
  const bases = urls.map((url) => url.replace(/\/+$/, ""));
  const awayUntil = bases.map(() => 0);
  let turn = 0;

  function next(tried: ReadonlySet<number>): number {
    const now = performance.now();
    const places = bases.map((_, i) => (turn + i) % bases.length).filter((place) => !tried.has(place));
    const place = places.find((each) => awayUntil[each]! <= now) ?? places[0]!;
    turn = (place + 1) % bases.length;
    return place;
  }

  return async (input, init) => {
    const path = String(input).slice(bases[0]!.length);
    const tried = new Set<number>();
    for (;;) {
      const place = next(tried);
      tried.add(place);
      try {
        const response = await request(bases[place]! + path, init);
        if (response.status === 503) awayUntil[place] = performance.now() + PASSED_OVER_MS;
        return response;
      } catch (thrown) {
        if (init?.signal?.aborted) throw thrown;
        awayUntil[place] = performance.now() + PASSED_OVER_MS;
        if (tried.size === bases.length || !isNotSent(thrown)) {
          throw new ConnectError(`no answer from ${bases[place]!}`, Code.Unavailable, undefined, undefined, thrown);
        }
      }
    }
  };
}

function isNotSent(thrown: unknown): boolean {
  const cause = thrown instanceof Error ? thrown.cause : undefined;
  const code = typeof cause === "object" && cause !== null && "code" in cause ? cause.code : undefined;
  return typeof code === "string" && NOT_SENT.has(code);
}
