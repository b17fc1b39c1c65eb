// As trial.py, for clients in Node: asks what every client is asked, and prints what came of each.

const given = JSON.parse(process.env.TWOPASS_COMPAT);

/** Runs every check; the arguments are those of `run` in trial.py. */
export async function run({ rerank, embed, more = {}, uncut, foreign = "", without = {}, scale = "score" }) {
  const [kind, ask] = rerank ? ["rerank", rerank] : ["embed", embed];
  const base = asked("keyed");
  const long = { query: given.long_query, texts: [given.long_text] };
  const tell = async (check, kindOfIt, way, what) => {
    const line = { check, kind: kindOfIt.split(":")[0] };
    if (without[check]) return print({ ...line, skipped: without[check] });
    const began = Date.now() / 1000;
    try {
      line.values = Array.from(await way(what), (value) => Array.from(value));
    } catch (error) {
      line.error = told(error);
      if (process.env.TWOPASS_COMPAT_TRACE) console.error(error);
    }
    print({ ...line, began, ended: Date.now() / 1000, model: what.reranker, scale });
  };
  for (const [check, way] of Object.entries({ rerank, embed, ...more })) {
    if (way) await tell(check, check, way, base);
  }
  if (foreign) await tell("foreign", kind, ask, asked("open", { reranker: foreign, encoder: foreign, key: "any" }));
  await tell("long", kind, ask, { ...base, ...long });
  if (uncut) await tell("uncut", kind, uncut, { ...base, ...long });
  await tell("key", kind, ask, { ...base, key: given.wrong_key });
  await tell("model", kind, ask, { ...base, reranker: "no-such-model", encoder: "no-such-model" });
  const slow = { ...base, key: given.slow_key };
  await tell("retry", kind, async (what) => (await ask(what), await ask(what)), slow);
  await tell("load", kind, ask, asked("full"));
}

function asked(server, changed = {}) {
  const { key, reranker, encoder, query, passages, top_n, texts } = given;
  return { ...given.servers[server], key, reranker, encoder, query, passages, top_n, texts, ...changed };
}

function told(error) {
  let status = "";
  for (let cause = error; cause && status === ""; cause = cause.cause ?? cause.lastError) {
    status = [cause.statusCode, cause.status, cause.httpResponse?.status, cause.response?.status].find(Number.isInteger) ?? "";
  }
  const name = error?.constructor?.name ?? typeof error;
  return { class: name, status: String(status), message: String(error?.message ?? error).slice(0, 2000) };
}

function print(line) {
  console.log(JSON.stringify(line));
}
