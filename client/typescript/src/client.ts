import { create, type JsonObject, type MessageInitShape } from "@bufbuild/protobuf";
import { durationFromMs } from "@bufbuild/protobuf/wkt";
import {
  type Client,
  Code,
  createClient,
  type Interceptor,
  type CallOptions as RpcOptions,
  type Transport,
} from "@connectrpc/connect";
import { createConnectTransport } from "@connectrpc/connect-web";

import { TwopassError } from "./errors.js";
import { asFilter, type Metadata } from "./filters.js";
import {
  type Collection,
  type CollectionSchemaSchema,
  CollectionService,
  type DeleteDocumentsResponse,
  type Facet,
  type GetDocumentsRequestSchema,
  type ListDocumentsRequestSchema,
  OnConflict,
  type Snapshot,
  type UpdateMetadataResponse,
} from "./gen/twopass/v1/collection_pb.js";
import { type Document, type DocumentSchema } from "./gen/twopass/v1/document_pb.js";
import { EmbedRole, type EmbedRequestSchema, EmbedService } from "./gen/twopass/v1/embed_pb.js";
import {
  type Feedback,
  type FeedbackEventSchema,
  FeedbackKind,
  FeedbackService,
  type RecordFeedbackResponse,
  type Shadow,
} from "./gen/twopass/v1/feedback_pb.js";
import { type Condition, type Filter } from "./gen/twopass/v1/filter_pb.js";
import { type Model, ModelService } from "./gen/twopass/v1/model_pb.js";
import {
  type CandidateSchema,
  type RerankRequestSchema,
  type RerankResponse,
  RerankService,
  type RerankSetSchema,
  type RerankStreamRequest,
  RerankStreamRequestSchema,
} from "./gen/twopass/v1/rerank_pb.js";
import { type Report, ReportService } from "./gen/twopass/v1/report_pb.js";
import { type SearchRequestSchema, type SearchResponse, SearchService } from "./gen/twopass/v1/search_pb.js";
import { type ServerInfo, ServerService } from "./gen/twopass/v1/server_pb.js";
import { retries, type RetryOptions } from "./retries.js";
import { inTurn } from "./servers.js";

const TIMEOUT_MS = 30_000;
// The server's own limits are higher; smaller chunks are acknowledged, and tried again, one by one.
const CHUNK_DOCUMENTS = 128;
const CHUNK_CHARACTERS = 1 << 20;

/** A click or, with a grade, a judgement: of one document, for one query. */
export interface NewFeedback {
  documentId: string;
  /** `searchId` of the answer that showed the document. */
  searchId?: string;
  /** Your own key of the query: any text but the query itself. */
  queryId?: string;
  /** How relevant the document is, 0 (not at all) to 100; a click without. */
  grade?: number;
}

/** How a client is made. */
export interface ClientOptions {
  /** Sent with every call, as "authorization: Bearer KEY". */
  apiKey?: string;
  /** Longest time a call may take, all its tries together, in milliseconds. 30,000 unless said otherwise; 0 for no limit. */
  timeoutMs?: number;
  /** How calls are tried again; false for never. */
  retry?: RetryOptions | false;
  /** Sent with every call beside what the client itself sends. */
  headers?: Readonly<Record<string, string>>;
  /** What makes HTTP requests, where it is not the global `fetch`. */
  fetch?: typeof globalThis.fetch;
}

/** What every call takes. */
export interface CallOptions {
  /** Ends the call. */
  signal?: AbortSignal;
  /** Longest time the call may take, in milliseconds; 0 for no limit. */
  timeoutMs?: number;
}

/** The fields of a request as an object literal, but for those that have a parameter of their own. */
type Fields<Schema extends Parameters<typeof create>[0], Named extends string> = CallOptions &
  Omit<Exclude<MessageInitShape<Schema>, { $typeName: string }>, Named | "$unknown" | "$typeName">;

/** A passage to rerank: its text, or with a title, an id or a score of the first pass. */
export type Passage = string | Omit<MessageInitShape<typeof CandidateSchema>, "$typeName" | "$unknown">;

/** A document to write. */
export interface NewDocument {
  /** Unique in its collection. */
  id: string;
  /** What is searched and reranked. */
  text?: string;
  /** Put before the text. */
  title?: string;
  /** Anything to get back or to filter by. */
  metadata?: Metadata;
  /** The embedding, where the collection has no encoder. */
  vector?: ArrayLike<number>;
}

/** How documents are written. */
export interface UpsertOptions extends CallOptions {
  /** What becomes of documents whose id is known; `REPLACE` unless said otherwise. */
  onConflict?: OnConflict;
  /** Told after each chunk. */
  onProgress?: (summary: UpsertSummary) => void;
}

/** What becomes of the name that a collection had. */
export interface RenameOptions extends CallOptions {
  /** Whether it becomes an alias of the collection in the same step; nothing has it unless said otherwise. */
  keepAlias?: boolean;
}

/** What was written. */
export interface UpsertSummary {
  /** The collection's state with these documents in it; see `minSequence` of a search. */
  sequence: string;
  numDocuments: number;
  numInserted: number;
  numReplaced: number;
  numSkipped: number;
  /** How many were split into windows. */
  numSplit: number;
}

/** A query and its passages, one of many on one stream. */
export interface CandidateSet
  extends Omit<Fields<typeof RerankSetSchema, "query" | "numCandidates">, keyof CallOptions> {
  /** What its answer is known by, 1 to 128 bytes, unique among the sets that are not answered. */
  setId: string;
  query: string;
  passages: Iterable<Passage>;
}

/** The answer to a set: its best passages, or what was wrong with it. */
export type RankedSet =
  | { setId: string; isLast: boolean; result: RerankResponse; error?: undefined }
  | { setId: string; isLast: true; error: TwopassError; result?: undefined };

/**
 * A client of one server. Results are the contract's messages; what fails is a `TwopassError`.
 *
 * `new TwopassClient("http://localhost:8080")` speaks to the server's HTTP port, from browsers and from Node;
 * `grpcClient` of "twopass-client/grpc" makes one that speaks gRPC, with streams, from Node.
 */
export class TwopassClient {
  /** Every rpc of the contract, for what the methods leave out; these throw `ConnectError`. */
  readonly rpc: {
    readonly collections: Client<typeof CollectionService>;
    readonly embed: Client<typeof EmbedService>;
    readonly feedback: Client<typeof FeedbackService>;
    readonly models: Client<typeof ModelService>;
    readonly reports: Client<typeof ReportService>;
    readonly rerank: Client<typeof RerankService>;
    readonly search: Client<typeof SearchService>;
    readonly server: Client<typeof ServerService>;
  };
  readonly #timeoutMs: number;
  readonly #hasStreams: boolean;

  /**
   * @param server The URL of the server's HTTP port; those of several servers with the same documents, which are
   *   asked in turn; or a transport of Connect's that was made elsewhere; its interceptors are those of
   *   `interceptorsOf`.
   */
  constructor(server: string | URL | readonly (string | URL)[] | Transport, options: ClientOptions = {}) {
    const transport = isTransport(server) ? server : overHttp(Array.isArray(server) ? server : [server], options);
    this.#timeoutMs = options.timeoutMs ?? TIMEOUT_MS;
    this.#hasStreams = isTransport(server);
    this.rpc = {
      collections: createClient(CollectionService, transport),
      embed: createClient(EmbedService, transport),
      feedback: createClient(FeedbackService, transport),
      models: createClient(ModelService, transport),
      reports: createClient(ReportService, transport),
      rerank: createClient(RerankService, transport),
      search: createClient(SearchService, transport),
      server: createClient(ServerService, transport),
    };
  }

  /**
   * Finds the documents of a collection that answer a query, by both passes, best first.
   *
   * @param options Fields of `SearchRequest`, as in `{ topN: 3, rerank: { depth: 50 } }`; `timeBudgetMs` is `time_budget`.
   */
  async search(
    collection: string,
    query: string,
    options: Omit<Fields<typeof SearchRequestSchema, "collection" | "query" | "filter">, "timeBudget"> & {
      filter?: Condition | Filter;
      timeBudgetMs?: number;
    } = {},
  ): Promise<SearchResponse> {
    const { filter, timeBudgetMs, ...rest } = options;
    return await this.#call(rest, (fields, call) =>
      this.rpc.search.search({ ...fields, collection, query, ...filtered(filter), ...budget(timeBudgetMs) }, call),
    );
  }

  /**
   * Orders passages by how well they answer a query, best first.
   *
   * @param options Fields of `RerankRequest`, as in `{ topN: 3, returnText: true }`.
   */
  async rerank(
    query: string,
    passages: Iterable<Passage>,
    options: Fields<typeof RerankRequestSchema, "query" | "candidates"> = {},
  ): Promise<RerankResponse> {
    const candidates = Array.from(passages, asCandidate);
    return await this.#call(options, (fields, call) =>
      this.rpc.rerank.rerank({ ...fields, query, candidates }, call),
    );
  }

  /**
   * Reranks many sets over one stream, each answered when it is done, in any order. Over gRPC alone.
   *
   * @throws TwopassError The stream failed; a set that fails has its error as its answer.
   */
  async *rerankStream(
    sets: Iterable<CandidateSet> | AsyncIterable<CandidateSet>,
    options: CallOptions = {},
  ): AsyncGenerator<RankedSet, void, undefined> {
    if (!this.#hasStreams) {
      const wayOut = 'make the client by grpcClient of "twopass-client/grpc", or call rerank for each set';
      throw new TwopassError(`rerankStream: streams are served over gRPC alone; ${wayOut}`, Code.Unimplemented);
    }
    try {
      for await (const answer of this.rpc.rerank.rerankStream(asPieces(sets), this.#limited(options))) {
        const { setId, outcome } = answer;
        if (outcome.case === "error") {
          yield { setId, isLast: true, error: TwopassError.fromStatus(outcome.value) };
        } else if (outcome.case !== undefined) {
          yield { setId, isLast: outcome.case === "result", result: outcome.value };
        }
      }
    } catch (thrown) {
      throw TwopassError.from(thrown);
    }
  }

  /**
   * Embeds texts: passages, or queries.
   *
   * @returns An embedding for each text, in their order.
   */
  async embed(
    texts: Iterable<string>,
    options: Omit<Fields<typeof EmbedRequestSchema, "texts">, "role"> & { role?: "passage" | "query" } = {},
  ): Promise<Float32Array[]> {
    const { role, ...rest } = options;
    const asked = role === "query" ? EmbedRole.QUERY : EmbedRole.PASSAGE;
    const { embeddings } = await this.#call(rest, (fields, call) =>
      this.rpc.embed.embed({ ...fields, texts: [...texts], role: asked }, call),
    );
    return embeddings.map(({ vector }) => Float32Array.from(vector?.values ?? []));
  }

  /** Creates a collection; without a schema, of the server's default encoder. */
  async createCollection(
    name: string,
    options: Fields<typeof CollectionSchemaSchema, never> = {},
  ): Promise<Collection> {
    const { collection } = await this.#call(options, (schema, call) =>
      this.rpc.collections.createCollection({ name, schema }, call),
    );
    return collection!;
  }

  /** A collection by its name or an alias of it. */
  async collection(name: string, options: CallOptions = {}): Promise<Collection> {
    const { collection } = await this.#call(options, (_, call) =>
      this.rpc.collections.getCollection({ name }, call),
    );
    return collection!;
  }

  /** All collections. */
  async *collections(options: CallOptions = {}): AsyncGenerator<Collection, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.#call(options, (_, call) =>
        this.rpc.collections.listCollections({ pageToken }, call),
      );
      yield* page.collections;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** Deletes a collection and all of its documents. */
  async deleteCollection(name: string, options: CallOptions = {}): Promise<void> {
    await this.#call(options, (_, call) => this.rpc.collections.deleteCollection({ name }, call));
  }

  /**
   * Gives a collection another name, in one step.
   *
   * @throws TwopassError The new name is taken, or `name` is an alias.
   */
  async renameCollection(name: string, newName: string, options: RenameOptions = {}): Promise<Collection> {
    const { keepAlias = false, ...limits } = options;
    const { collection } = await this.#call(limits, (_, call) =>
      this.rpc.collections.renameCollection({ name, newName, keepAlias }, call),
    );
    return collection!;
  }

  /** Makes aliases stand for collections; null removes one. All changes are made, or none. */
  async updateAliases(changes: Readonly<Record<string, string | null>>, options: CallOptions = {}): Promise<void> {
    const asked = Object.entries(changes).map(([alias, name]) => ({ alias, collection: name ?? "" }));
    await this.#call(options, (_, call) => this.rpc.collections.updateAliases({ changes: asked }, call));
  }

  /**
   * Writes documents in chunks, each on disk before the next one is sent.
   *
   * @throws TwopassError A chunk failed; those before it are written, as `onProgress` was told.
   */
  async upsert(
    collection: string,
    documents: Iterable<NewDocument> | AsyncIterable<NewDocument>,
    options: UpsertOptions = {},
  ): Promise<UpsertSummary> {
    const { onConflict = OnConflict.UNSPECIFIED, onProgress, ...limits } = options;
    const summary = { sequence: "", numDocuments: 0, numInserted: 0, numReplaced: 0, numSkipped: 0, numSplit: 0 };
    for await (const chunk of chunksOf(documents)) {
      const written = await this.#call(limits, (_, call) =>
        this.rpc.collections.upsertDocuments({ collection, documents: chunk, onConflict }, call),
      );
      summary.sequence = written.sequence;
      summary.numDocuments += chunk.length;
      summary.numInserted += written.numInserted;
      summary.numReplaced += written.numReplaced;
      summary.numSkipped += written.numSkipped;
      summary.numSplit += written.numSplit;
      onProgress?.({ ...summary });
    }
    return summary;
  }

  /** Deletes the documents of these ids, or that a filter selects. */
  async delete(
    collection: string,
    chosen: Iterable<string> | Condition | Filter,
    options: CallOptions = {},
  ): Promise<DeleteDocumentsResponse> {
    return await this.#call(options, (_, call) =>
      this.rpc.collections.deleteDocuments({ collection, ...idsOrFilter(chosen) }, call),
    );
  }

  /** Merges keys into the metadata of documents, chosen by their ids or by a filter; a null removes its key. */
  async mergeMetadata(
    collection: string,
    chosen: Iterable<string> | Condition | Filter,
    metadata: Metadata,
    options: CallOptions = {},
  ): Promise<UpdateMetadataResponse> {
    const change = { case: "merge" as const, value: metadata as JsonObject };
    return await this.#call(options, (_, call) =>
      this.rpc.collections.updateMetadata({ collection, ...idsOrFilter(chosen), change }, call),
    );
  }

  /** Documents by their ids, in that order. */
  async documents(
    collection: string,
    ids: Iterable<string>,
    options: Fields<typeof GetDocumentsRequestSchema, "collection" | "ids"> = {},
  ): Promise<Document[]> {
    const { documents } = await this.#call(options, (fields, call) =>
      this.rpc.collections.getDocuments({ ...fields, collection, ids: [...ids] }, call),
    );
    return documents;
  }

  /** All documents that a filter selects; without one, all. */
  async *listDocuments(
    collection: string,
    options: Fields<typeof ListDocumentsRequestSchema, "collection" | "pageToken" | "filter"> & {
      filter?: Condition | Filter;
    } = {},
  ): AsyncGenerator<Document, void, undefined> {
    const { filter, ...rest } = options;
    let pageToken = "";
    do {
      const page = await this.#call(rest, (fields, call) =>
        this.rpc.collections.listDocuments({ ...fields, collection, pageToken, ...filtered(filter) }, call),
      );
      yield* page.documents;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** How many documents a filter selects; without one, how many there are. */
  async count(collection: string, filter?: Condition | Filter, options: CallOptions = {}): Promise<number> {
    const { numDocuments } = await this.#call(options, (_, call) =>
      this.rpc.collections.countDocuments({ collection, ...filtered(filter) }, call),
    );
    return Number(numDocuments);
  }

  /** The most frequent values of metadata fields, and their least and greatest ones. */
  async facets(
    collection: string,
    fields: Iterable<string>,
    options: CallOptions & { filter?: Condition | Filter; limit?: number } = {},
  ): Promise<Facet[]> {
    const { filter, limit, ...rest } = options;
    const asked = Array.from(fields, (name) => ({ field: name, ...(limit === undefined ? {} : { limit }) }));
    const { facets } = await this.#call(rest, (_, call) =>
      this.rpc.collections.getFacets({ collection, facets: asked, ...filtered(filter) }, call),
    );
    return facets;
  }

  /** Copies a collection as it is now, under a name. */
  async createSnapshot(collection: string, name: string, options: CallOptions = {}): Promise<Snapshot> {
    const { snapshot } = await this.#call(options, (_, call) =>
      this.rpc.collections.createSnapshot({ collection, name }, call),
    );
    return snapshot!;
  }

  /**
   * Records clicks and judgements of documents, which are on the server's disk when it returns.
   *
   * @param feedback Each names its document, and the answer by `searchId` or the query by your own `queryId`; one with a
   *   `grade` is a judgement, one without is a click.
   */
  async recordFeedback(
    collection: string,
    feedback: Iterable<NewFeedback>,
    options: CallOptions = {},
  ): Promise<RecordFeedbackResponse> {
    const events = Array.from(feedback, asEvent);
    return await this.#call(options, (_, call) => this.rpc.feedback.recordFeedback({ collection, events }, call));
  }

  /** A collection's clicks and judgements, ordered by query, document and kind. */
  async *feedback(collection: string, options: CallOptions = {}): AsyncGenerator<Feedback, void, undefined> {
    let pageToken = "";
    do {
      const page = await this.#call(options, (_, call) =>
        this.rpc.feedback.exportFeedback({ collection, pageToken }, call),
      );
      yield* page.feedback;
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
  }

  /** Deletes the clicks and judgements of queries for good; "all" deletes everybody's. Returns how many are gone. */
  async deleteFeedback(
    collection: string,
    queryIds: Iterable<string> | "all",
    options: CallOptions = {},
  ): Promise<number> {
    const chosen = queryIds === "all" ? { all: true } : { queryIds: [...queryIds] };
    const { numDeleted } = await this.#call(options, (_, call) =>
      this.rpc.feedback.deleteFeedback({ collection, ...chosen }, call),
    );
    return Number(numDeleted);
  }

  /** What the server's shadow comparisons have found. */
  async shadows(collection = "", options: CallOptions = {}): Promise<Shadow[]> {
    return (await this.#call(options, (_, call) => this.rpc.feedback.listShadows({ collection }, call))).shadows;
  }

  /** The models that the server holds, defaults first. */
  async models(options: CallOptions = {}): Promise<Model[]> {
    return (await this.#call(options, (_, call) => this.rpc.models.listModels({}, call))).models;
  }

  /**
   * What the second pass changed in a collection's searches, and what it cost.
   *
   * @param windowMs How far to look back, a minute to 24 hours; 24 hours unless given.
   */
  async report(collection: string, options: CallOptions & { windowMs?: number } = {}): Promise<Report> {
    const { windowMs, ...rest } = options;
    const window = windowMs === undefined ? {} : { window: durationFromMs(windowMs) };
    return (await this.#call(rest, (_, call) => this.rpc.reports.getReport({ collection, ...window }, call))).report!;
  }

  /** The server's version, limits and load. */
  async serverInfo(options: CallOptions = {}): Promise<ServerInfo> {
    return (await this.#call(options, (_, call) => this.rpc.server.getServerInfo({}, call))).server!;
  }

  /** Makes a call with the fields of its options, and throws what it throws as a `TwopassError`. */
  async #call<Options extends CallOptions, Result>(
    options: Options,
    make: (fields: Omit<Options, keyof CallOptions>, call: RpcOptions) => Promise<Result>,
  ): Promise<Result> {
    const { signal, timeoutMs, ...fields } = options;
    try {
      return await make(fields, this.#limited(options));
    } catch (thrown) {
      throw TwopassError.from(thrown);
    }
  }

  #limited({ signal, timeoutMs = this.#timeoutMs }: CallOptions): RpcOptions {
    return { ...(signal ? { signal } : {}), ...(timeoutMs > 0 ? { timeoutMs } : {}) };
  }
}

/** What a transport must do with every call: send the key, and try again. */
export function interceptorsOf({ apiKey, headers = {}, retry }: ClientOptions): Interceptor[] {
  const headed: Interceptor = (next) => async (request) => {
    for (const [name, value] of Object.entries(headers)) request.header.set(name, value);
    if (apiKey !== undefined) request.header.set("authorization", `Bearer ${apiKey}`);
    return await next(request);
  };
  return retry === false ? [headed] : [headed, retries(retry)];
}

function overHttp(servers: readonly (string | URL)[], options: ClientOptions): Transport {
  const [first, ...others] = servers.map((url) => String(url).replace(/\/+$/, ""));
  if (first === undefined) throw new TwopassError("server: no URL given, at least one is needed", Code.InvalidArgument);
  const request = options.fetch ?? ((input, init) => globalThis.fetch(input, init));
  return createConnectTransport({
    baseUrl: first,
    useBinaryFormat: true,
    interceptors: interceptorsOf(options),
    fetch: others.length > 0 ? inTurn([first, ...others], request) : request,
  });
}

function isTransport(server: string | URL | readonly (string | URL)[] | Transport): server is Transport {
  return typeof server === "object" && "unary" in server;
}

function filtered(wanted: Condition | Filter | undefined): { filter?: Filter } {
  const filter = asFilter(wanted);
  return filter === undefined ? {} : { filter };
}

function budget(milliseconds: number | undefined): { timeBudget?: ReturnType<typeof durationFromMs> } {
  return milliseconds === undefined ? {} : { timeBudget: durationFromMs(milliseconds) };
}

function idsOrFilter(chosen: Iterable<string> | Condition | Filter): { ids: string[] } | { filter?: Filter } {
  return Symbol.iterator in chosen ? { ids: [...chosen] } : filtered(chosen);
}

function asCandidate(passage: Passage): MessageInitShape<typeof CandidateSchema> {
  return typeof passage === "string" ? { text: passage } : passage;
}

function asEvent({ grade, ...event }: NewFeedback): MessageInitShape<typeof FeedbackEventSchema> {
  return grade === undefined ? { ...event, kind: FeedbackKind.CLICK } : { ...event, grade, kind: FeedbackKind.JUDGEMENT };
}

function asDocument({ vector, ...document }: NewDocument): MessageInitShape<typeof DocumentSchema> {
  return vector === undefined ? document : { ...document, vector: { values: Array.from(vector) } };
}

async function* asPieces(
  sets: Iterable<CandidateSet> | AsyncIterable<CandidateSet>,
): AsyncGenerator<RerankStreamRequest, void, undefined> {
  for await (const { setId, query, passages, ...options } of sets) {
    const candidates = Array.from(passages, asCandidate);
    const set = { ...options, query, numCandidates: candidates.length };
    yield create(RerankStreamRequestSchema, { setId, set, candidates });
  }
}

async function* chunksOf(
  documents: Iterable<NewDocument> | AsyncIterable<NewDocument>,
): AsyncGenerator<MessageInitShape<typeof DocumentSchema>[], void, undefined> {
  let chunk: MessageInitShape<typeof DocumentSchema>[] = [];
  let characters = 0;
  for await (const document of documents) {
    chunk.push(asDocument(document));
    characters += (document.text?.length ?? 0) + 8 * (document.vector?.length ?? 0);
    if (chunk.length >= CHUNK_DOCUMENTS || characters >= CHUNK_CHARACTERS) {
      yield chunk;
      chunk = [];
      characters = 0;
    }
  }
  if (chunk.length > 0) yield chunk;
}
