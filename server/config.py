"""The server's settings: the one place where they are named, explained, bounded and defaulted.

A setting comes from a flag, else from the environment (`TWOPASS_` and its name in capitals), else
from a TOML file, else from the default here. The description of a field is the help of its flag.
"""

from pathlib import Path
from typing import Annotated, Any, ClassVar

from pydantic import AfterValidator, BeforeValidator, Field
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from twopass.engines.base.engine import EngineChoice, Precision
from twopass.server.config_values import (
    FusionChoice,
    RetrieveMode,
    ServerRole,
    UnknownModel,
    VectorDevice,
    checked_devices,
    checked_language,
    checked_shadows,
    shadow_texts,
)
from twopass.server.store_url import checked_store
from twopass.server.telemetry.logs import LogFormat, LogLevel


class ConfigError(Exception):
    """A setting is unknown, malformed or out of range; the message names it."""


class ServerConfig(BaseSettings):
    """Every setting of `twopass serve`."""

    model_config = SettingsConfigDict(env_prefix="TWOPASS_", frozen=True, extra="forbid")
    file_settings: ClassVar[dict[str, Any]] = {}
    """What a configuration file sets."""

    role: Annotated[
        ServerRole,
        Field(
            description="What to serve: server answers everything; engine computes models alone, "
            "for servers that name it with --engines, and opens no collections."
        ),
    ] = ServerRole.SERVER
    address: Annotated[
        str, Field(description="Where to listen, host:port; port 0 takes a free one.")
    ] = "127.0.0.1:50051"
    insecure: Annotated[
        bool,
        Field(
            description="Allow plain text on addresses that other machines reach: texts and API "
            "keys can be read on the way."
        ),
    ] = False
    tls_certificate: Annotated[
        str,
        Field(
            description="PEM file of the server's certificate chain, read again when it changes; "
            "unset for plain text."
        ),
    ] = ""
    tls_key: Annotated[str, Field(description="PEM file of the certificate's private key.")] = ""
    tls_client_ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities whose certificates clients must show; unset "
            "to ask for none."
        ),
    ] = ""
    keys: Annotated[
        str,
        Field(
            description="TOML file of API keys, made by `twopass keys` and read again when it "
            "changes; unset to let everyone in."
        ),
    ] = ""
    open_health: Annotated[bool, Field(description="Answer health checks without an API key.")] = (
        True
    )
    open_reflection: Annotated[bool, Field(description="Answer reflection without an API key.")] = (
        False
    )
    metrics_address: Annotated[
        str,
        Field(
            description="Where to serve Prometheus metrics over HTTP, and /health for supervisors, "
            "host:port; unset for none. It asks for no key and no certificate."
        ),
    ] = ""
    http_address: Annotated[
        str,
        Field(
            description="Where to answer over HTTP, in the dialects of TEI, Cohere, OpenAI and "
            "others, host:port; port 0 takes a free one; unset for no HTTP."
        ),
    ] = ""
    http_cors_origins: Annotated[
        tuple[str, ...],
        Field(
            description="Origins whose pages may ask over HTTP beside the server's own, such as "
            "https://example.org; * for any. A server without keys on a loopback address also "
            "answers by their hosts' names."
        ),
    ] = ()
    http_unknown_model: Annotated[
        UnknownModel,
        Field(
            description="What becomes of requests over HTTP that name a model which the server "
            "does not hold: default answers with the default model, reject refuses them. "
            "Clients send the names of other services' models unless told otherwise."
        ),
    ] = UnknownModel.DEFAULT
    max_http_body_bytes: Annotated[
        int,
        Field(
            ge=1024,
            description="Longest body of a request over HTTP, in bytes; at most max-message-bytes "
            "is read. JSON is read in one go, so this bounds how long others wait for it.",
        ),
    ] = 8 * 1024 * 1024
    tei_address: Annotated[
        tuple[str, ...],
        Field(
            description="Where to answer gRPC in the protocol of text-embeddings-inference "
            "(tei.v1), host:port or host:port=model; the default reranker where no model is named. "
            "May be given several times, since its clients expect one model at an address."
        ),
    ] = ()
    data: Annotated[
        Path,
        Field(description="Folder of the collections; made if missing, used by one server."),
    ] = Path("twopass-data")
    store: Annotated[
        str,
        AfterValidator(checked_store),
        Field(
            repr=False,
            description="Where collections are kept instead, for any number of servers at once: "
            "postgresql://user@host/database or milvus://host:19530; unset for the folder of data. "
            "A password stands in TWOPASS_STORE or the file, or in PGPASSWORD, a passfile or "
            "MILVUS_TOKEN.",
        ),
    ] = ""
    encoder: Annotated[
        str,
        Field(description="Default encoder: a shipped model, a folder, or a hub id."),
    ] = "all-MiniLM-L6-v2"
    reranker: Annotated[
        str,
        Field(description="Default reranker: a shipped model, a folder, or a hub id."),
    ] = "twopass-minilm-l3"
    more_models: Annotated[
        tuple[str, ...],
        Field(description="Further encoders and rerankers to hold; requests name them."),
    ] = ()
    engine: Annotated[
        EngineChoice,
        Field(description="What runs the models; auto takes the engine shown to be fastest here."),
    ] = EngineChoice.AUTO
    precision: Annotated[
        Precision,
        Field(
            description="Number type of matrix products on the engine cpu: int8 is fastest, bf16 "
            "and f32 are closer to the model as trained. The engines torch and transformers take "
            "bf16 and f32; int8 lets them choose: fp16 on a GPU, or bf16 for weights published "
            "in it."
        ),
    ] = Precision.INT8
    threads: Annotated[
        int,
        Field(
            ge=0,
            le=1024,
            description="Threads of one forward pass; 0 takes one for each CPU available.",
        ),
    ] = 0
    devices: Annotated[
        tuple[str, ...],
        AfterValidator(checked_devices),
        Field(
            description="Devices of this machine that compute the models together, each with an "
            "engine of its own: cuda:0, cuda:1 and so on, or cpu; given several times. all for "
            "every GPU there is. Unset for one engine, on the device that it takes by itself."
        ),
    ] = ()
    engines: Annotated[
        tuple[str, ...],
        Field(
            description="Servers with --role engine that compute the models, rather than this one: "
            "host:port, dns:///host:port for every address of a name, or unix:PATH; several with "
            "commas or given several times. The models' folders are read here too, but their "
            "weights stay on the disk."
        ),
    ] = ()
    engines_mixed: Annotated[
        bool,
        Field(
            description="Let --engines and --devices be of any kind, CPUs beside GPUs: scores "
            "then differ a little by which of them computed a text. Else all have to be of one "
            "kind."
        ),
    ] = False
    engines_ca: Annotated[
        str,
        Field(
            description="PEM file of the authorities whose certificates --engines must show; unset "
            "for plain text."
        ),
    ] = ""
    engines_certificate: Annotated[
        str,
        Field(description="PEM file of a certificate to show to --engines that ask for one."),
    ] = ""
    engines_certificate_key: Annotated[
        str, Field(description="PEM file of the private key of --engines-certificate.")
    ] = ""
    engines_key_file: Annotated[
        str, Field(description="File that holds the API key for --engines that have --keys.")
    ] = ""
    retrieve_mode: Annotated[
        RetrieveMode,
        Field(description="How searches find candidates by default: dense, lexical, hybrid."),
    ] = RetrieveMode.HYBRID
    fusion: Annotated[
        FusionChoice,
        Field(description="How hybrid searches fuse their lists by default: rrf, convex."),
    ] = FusionChoice.CONVEX
    fusion_alpha: Annotated[
        float,
        Field(ge=0, le=1, description="Weight of the dense score in convex fusion, 0 to 1."),
    ] = 0.9
    language: Annotated[
        str,
        AfterValidator(checked_language),
        Field(
            description="Language of new collections that name none, an ISO 639-1 code such as de, "
            "or none: search by words removes the endings of its words."
        ),
    ] = "en"
    feedback_max_rows: Annotated[
        int,
        Field(
            ge=0,
            description="Most clicks and judgements kept, in the folder of data or by a store in "
            "PostgreSQL, of all servers on it together; the oldest leave. "
            "0 keeps none, and answers have no search_id.",
        ),
    ] = 1_000_000
    feedback_max_days: Annotated[
        int,
        Field(ge=0, description="Days after which clicks and judgements are deleted; 0 for never."),
    ] = 365
    feedback_texts: Annotated[
        bool,
        Field(
            description="Keep the text of a query with the feedback on its answer, in a table of "
            "its own, so that judgements can be exported for twopass eval. Off, feedback holds no "
            "text."
        ),
    ] = False
    feedback_shown_bytes: Annotated[
        int,
        Field(
            ge=0,
            description="Memory for what the last answers showed, about 1 KB each, so that clicks "
            "can be checked and shadows judged by search_id; 0 gives answers none.",
        ),
    ] = 16 * 1024 * 1024
    feedback_settle_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long more feedback on an answer is waited for after it began, before "
            "shadows are judged by it.",
        ),
    ] = 60.0
    shadow: Annotated[
        tuple[str, ...],
        BeforeValidator(shadow_texts),
        AfterValidator(checked_shadows),
        Field(
            description="Another second pass to compare on a share of searches after their answers "
            "have gone, as in NAME=reranker:ID,share:0.1 or NAME=depth:20,blend:0.3, with "
            "collections:docs* for some alone; several by giving it several times, or [[shadow]] "
            "in a file. share is 0.05 by default; the model is one of reranker and more_models."
        ),
    ] = ()
    vector_device: Annotated[
        VectorDevice,
        Field(
            description="Where vectors are searched: cpu, or gpu for a copy of each index on the "
            "first NVIDIA GPU, which needs the extra faiss-gpu; large HNSW indexes become CAGRA "
            "graphs there with faiss-gpu-cuvs, smaller ones are compared with all."
        ),
    ] = VectorDevice.CPU
    max_candidates: Annotated[
        int, Field(ge=1, le=100_000, description="Most candidates in one rerank request or set.")
    ] = 10_000
    max_documents: Annotated[
        int, Field(ge=1, le=100_000, description="Most documents, ids or texts in one message.")
    ] = 1_000
    max_passage_bytes: Annotated[
        int, Field(ge=1, description="Longest passage, title and text together, in bytes of UTF-8.")
    ] = 256 * 1024
    max_passage_tokens: Annotated[
        int,
        Field(
            ge=0,
            description="Most tokens of a passage that the second pass reads at once; the rest is "
            "cut, or read in further windows. 0 takes the number that suits the reranker best.",
        ),
    ] = 0
    max_query_bytes: Annotated[
        int,
        Field(ge=1, description="Longest query in bytes of UTF-8, checked before it is tokenised."),
    ] = 16 * 1024
    max_message_bytes: Annotated[
        int, Field(ge=1024, description="Longest message in or out, in bytes.")
    ] = 64 * 1024 * 1024
    max_answer_bytes: Annotated[
        int,
        Field(
            ge=1024,
            description="Most bytes of documents in one answer, unless a request asks for more: "
            "listings end their pages early. Clients of gRPC receive 4 MiB unless told otherwise.",
        ),
    ] = 4 * 1024 * 1024
    max_queued_pairs: Annotated[
        int,
        Field(ge=1, description="Most pairs and texts admitted at once; more is refused."),
    ] = 50_000
    max_queued_tokens: Annotated[
        int,
        Field(ge=1, description="Most tokens that wait for an engine; more is refused."),
    ] = 8_000_000
    max_calls: Annotated[
        int, Field(ge=1, description="Most calls under way, streams included; more is refused.")
    ] = 1_000
    max_bytes: Annotated[
        int,
        Field(
            ge=1024,
            description="Most bytes of requests under way, and of answers over 64 KiB that clients "
            "have not read; more is refused.",
        ),
    ] = 1024 * 1024 * 1024
    max_connection_calls: Annotated[
        int,
        Field(ge=1, description="Most calls under way on one connection; more wait in the client."),
    ] = 1_000
    max_connection_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Age at which a connection takes no more calls and ends with those under "
            "way, give or take a tenth, so that clients look for servers anew and find those that "
            "were added; 0 for no limit.",
        ),
    ] = 300.0
    min_ping_seconds: Annotated[
        float,
        Field(ge=0, description="A client that pings an idle connection more often loses it."),
    ] = 5.0
    keepalive_seconds: Annotated[
        float,
        Field(gt=0, description="How long a connection is silent before the server pings it."),
    ] = 60.0
    keepalive_timeout_seconds: Annotated[
        float,
        Field(gt=0, description="How long a ping may go unanswered until the connection is dead."),
    ] = 20.0
    passage_cache_bytes: Annotated[
        int,
        Field(
            ge=0,
            description="Memory for tokens of passages slow to tokenise, of Rerank; 0 keeps none.",
        ),
    ] = 64 * 1024 * 1024
    query_cache_bytes: Annotated[
        int, Field(ge=0, description="Memory for embeddings of queries; 0 keeps none.")
    ] = 16 * 1024 * 1024
    score_cache_bytes: Annotated[
        int,
        Field(
            ge=0,
            description="Memory for the reranker's scores of pairs, 21 bytes each, so that what is "
            "asked again is not computed again; 0 keeps none.",
        ),
    ] = 64 * 1024 * 1024
    probe_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="How often each engine is asked to compute a probe, and a store whether it "
            "answers.",
        ),
    ] = 10.0
    probe_timeout_seconds: Annotated[
        float,
        Field(
            gt=0,
            description="A probe that takes longer restarts the engine; health is NOT_SERVING "
            "meanwhile.",
        ),
    ] = 30.0
    exit_unwell_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="Engines that do not answer for this long, whether restarted or not, end "
            "the server with status 70, so that its supervisor starts it again; 0 keeps trying.",
        ),
    ] = 0.0
    merge_changes: Annotated[
        int,
        Field(
            ge=1,
            description="Number of documents written to a collection after which its vector index "
            "is merged and saved again. Words move from memory to disk after as many, or after "
            "2,000 where this is more.",
        ),
    ] = 5_000
    max_open_collections: Annotated[
        int,
        Field(
            ge=1,
            description="Most collections open at once. Further ones are opened when they are "
            "used, in place of those that were used least recently. Fewer where the system lets "
            "the server open few files: each collection takes up to 11.",
        ),
    ] = 1_000
    drain_notice_seconds: Annotated[
        float,
        Field(
            ge=0,
            description="How long after SIGTERM calls are still taken as ever, while health says "
            "NOT_SERVING, so that those who balance over several servers leave first. 0 for 1 s "
            "where a client of gRPC watches health, else for none.",
        ),
    ] = 0.0
    drain_seconds: Annotated[
        float,
        Field(ge=0, description="How long running calls may take to end after that."),
    ] = 30.0
    traces_endpoint: Annotated[
        str,
        Field(
            description="Where to send traces by OTLP over gRPC, http://host:port; empty for "
            "nowhere. Needs the extra tracing; OTEL_TRACES_SAMPLER sets the sampling."
        ),
    ] = ""
    log_format: Annotated[
        LogFormat, Field(description="Log lines for people (text) or for machines (json).")
    ] = LogFormat.TEXT
    log_level: Annotated[LogLevel, Field(description="Least severity that is logged.")] = (
        LogLevel.INFO
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Orders the sources: flags, then the environment, then the file."""
        del dotenv_settings, file_secret_settings
        return init_settings, env_settings, InitSettingsSource(settings_cls, cls.file_settings)
