"""Whether our protos and TEI's mean the same bytes.

The facts are those of `proto/tei.proto` of huggingface/text-embeddings-inference 1.9.3: number,
type and presence of each field.
"""

import subprocess
import sys

import pytest
from google.protobuf.descriptor import FieldDescriptor

from twopass.tei.v1 import tei_pb2

MESSAGES = {
    "InfoRequest": "",
    "InfoResponse": "version=1:string sha=2:string? docker_label=3:string? model_id=4:string "
    "model_sha=5:string? model_dtype=6:string model_type=7:ModelType "
    "max_concurrent_requests=8:uint32 max_input_length=9:uint32 max_batch_tokens=10:uint32 "
    "max_batch_requests=11:uint32? max_client_batch_size=12:uint32 tokenization_workers=13:uint32",
    "Metadata": "compute_chars=1:uint32 compute_tokens=2:uint32 total_time_ns=3:uint64 "
    "tokenization_time_ns=4:uint64 queue_time_ns=5:uint64 inference_time_ns=6:uint64",
    "EmbedRequest": "inputs=1:string truncate=2:bool normalize=3:bool? "
    "truncation_direction=4:TruncationDirection prompt_name=5:string? dimensions=6:uint32?",
    "EmbedResponse": "embeddings=1:float* metadata=2:Metadata",
    "EmbedSparseRequest": "inputs=1:string truncate=2:bool "
    "truncation_direction=3:TruncationDirection prompt_name=4:string?",
    "SparseValue": "index=1:uint32 value=2:float",
    "EmbedSparseResponse": "sparse_embeddings=1:SparseValue* metadata=2:Metadata",
    "EmbedAllRequest": "inputs=1:string truncate=2:bool "
    "truncation_direction=3:TruncationDirection prompt_name=4:string?",
    "TokenEmbedding": "embeddings=1:float*",
    "EmbedAllResponse": "token_embeddings=1:TokenEmbedding* metadata=2:Metadata",
    "PredictRequest": "inputs=1:string truncate=2:bool raw_scores=3:bool "
    "truncation_direction=4:TruncationDirection",
    "PredictPairRequest": "inputs=1:string* truncate=2:bool raw_scores=3:bool "
    "truncation_direction=4:TruncationDirection",
    "Prediction": "score=1:float label=2:string",
    "PredictResponse": "predictions=1:Prediction* metadata=2:Metadata",
    "RerankRequest": "query=1:string texts=2:string* truncate=3:bool raw_scores=4:bool "
    "return_text=5:bool truncation_direction=6:TruncationDirection",
    "RerankStreamRequest": "query=1:string text=2:string truncate=3:bool raw_scores=4:bool "
    "return_text=5:bool truncation_direction=6:TruncationDirection",
    "Rank": "index=1:uint32 text=2:string? score=3:float",
    "RerankResponse": "ranks=1:Rank* metadata=2:Metadata",
    "EncodeRequest": "inputs=1:string add_special_tokens=2:bool prompt_name=3:string?",
    "SimpleToken": "id=1:uint32 text=2:string special=3:bool start=4:uint32? stop=5:uint32?",
    "EncodeResponse": "tokens=1:SimpleToken*",
    "DecodeRequest": "ids=1:uint32* skip_special_tokens=2:bool",
    "DecodeResponse": "text=1:string",
}
"""Of each message the fields, as name=number:type; `*` is repeated, `?` optional."""

SERVICES = {
    "Info": "Info(InfoRequest)InfoResponse",
    "Embed": "Embed(EmbedRequest)EmbedResponse EmbedStream(*EmbedRequest)*EmbedResponse "
    "EmbedSparse(EmbedSparseRequest)EmbedSparseResponse "
    "EmbedSparseStream(*EmbedSparseRequest)*EmbedSparseResponse "
    "EmbedAll(EmbedAllRequest)EmbedAllResponse EmbedAllStream(*EmbedAllRequest)*EmbedAllResponse",
    "Predict": "Predict(PredictRequest)PredictResponse "
    "PredictPair(PredictPairRequest)PredictResponse "
    "PredictStream(*PredictRequest)*PredictResponse "
    "PredictPairStream(*PredictPairRequest)*PredictResponse",
    "Rerank": "Rerank(RerankRequest)RerankResponse "
    "RerankStream(*RerankStreamRequest)RerankResponse",
    "Tokenize": "Tokenize(EncodeRequest)EncodeResponse "
    "TokenizeStream(*EncodeRequest)*EncodeResponse Decode(DecodeRequest)DecodeResponse "
    "DecodeStream(*DecodeRequest)*DecodeResponse",
}
"""Of each service the rpcs; `*` is a stream."""

ENUMS = {
    "ModelType": {
        "MODEL_TYPE_EMBEDDING": 0,
        "MODEL_TYPE_CLASSIFIER": 1,
        "MODEL_TYPE_RERANKER": 2,
    },
    "TruncationDirection": {"TRUNCATION_DIRECTION_RIGHT": 0, "TRUNCATION_DIRECTION_LEFT": 1},
}

TYPES = {
    FieldDescriptor.TYPE_STRING: "string",
    FieldDescriptor.TYPE_BOOL: "bool",
    FieldDescriptor.TYPE_FLOAT: "float",
    FieldDescriptor.TYPE_UINT32: "uint32",
    FieldDescriptor.TYPE_UINT64: "uint64",
}


def told(field: FieldDescriptor) -> str:
    named = field.message_type or field.enum_type
    kind = TYPES[field.type] if named is None else named.name
    is_optional = field.containing_oneof is not None
    return f"{field.name}={field.number}:{kind}{'*' * field.is_repeated}{'?' * is_optional}"


def test_no_message_is_missing_and_none_is_ours():
    assert list(tei_pb2.DESCRIPTOR.message_types_by_name) == list(MESSAGES)
    assert tei_pb2.DESCRIPTOR.package == "tei.v1"


@pytest.mark.parametrize("name", MESSAGES)
def test_a_message_has_the_fields_of_tei(name):
    fields = tei_pb2.DESCRIPTOR.message_types_by_name[name].fields
    assert " ".join(map(told, fields)) == MESSAGES[name]


def test_services_have_the_rpcs_of_tei():
    def told_rpc(rpc):
        asked = "*" * rpc.client_streaming + rpc.input_type.name
        answered = "*" * rpc.server_streaming + rpc.output_type.name
        return f"{rpc.name}({asked}){answered}"

    services = tei_pb2.DESCRIPTOR.services_by_name.values()
    assert {each.name: " ".join(map(told_rpc, each.methods)) for each in services} == SERVICES


def test_enumerations_have_the_numbers_of_tei():
    enums = tei_pb2.DESCRIPTOR.enum_types_by_name.values()
    assert {e.name: {v.name: v.number for v in e.values} for e in enums} == ENUMS


def test_another_package_tei_v1_lives_beside_the_client_and_the_server():
    """Protobuf refuses a second definition of a message, so ours must not be loaded unasked."""
    code = """
import twopass.client, twopass.server.app
from google.protobuf import descriptor_pb2, descriptor_pool
theirs = descriptor_pb2.FileDescriptorProto(name="tei.proto", package="tei.v1", syntax="proto3")
theirs.message_type.add(name="InfoRequest").field.add(name="unlike", number=1, type=9, label=1)
descriptor_pool.Default().AddSerializedFile(theirs.SerializeToString())
"""
    subprocess.run([sys.executable, "-c", code], check=True)
