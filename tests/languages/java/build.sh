#!/usr/bin/env bash
# Generates the stubs and builds the program, with what a distribution packages. On Debian:
# apt-get install default-jdk-headless protobuf-compiler protobuf-compiler-grpc-java-plugin libgrpc-java libnetty-java \
#   libperfmark-java libprotobuf-java libgoogle-common-protos-java
set -euo pipefail
cd "$(dirname "$0")"
rm -rf build && mkdir -p build/src build/classes
plugin="--plugin=protoc-gen-grpc-java=$(command -v grpc_java_plugin)"
protos=../../../protos
protoc -I$protos "$plugin" --java_out=build/src --grpc-java_out=build/src $protos/twopass/v1/*.proto
protoc --descriptor_set_in=../build/standard.binpb "$plugin" --java_out=build/src --grpc-java_out=build/src \
  grpc/health/v1/health.proto grpc/reflection/v1/reflection.proto grpc/reflection/v1alpha/reflection.proto
javac -nowarn -encoding UTF-8 -cp '/usr/share/java/*' -d build/classes $(find build/src -name '*.java') EveryRpc.java
