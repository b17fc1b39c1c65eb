#!/usr/bin/env bash
# Generates the stubs and builds the program and the example, with what a distribution packages and no module proxy. On Debian:
# apt-get install golang-go golang-google-grpc-dev golang-google-genproto-dev golang-google-protobuf-dev protobuf-compiler protoc-gen-go-1-5 protoc-gen-go-grpc
set -euo pipefail
cd "$(dirname "$0")"
rm -rf build && mkdir -p build/src/everyrpc
protos=../../../protos
plugins=(--go_out=build/src --go-grpc_out=build/src)
protoc -I$protos "${plugins[@]}" $protos/twopass/v1/*.proto
# The library's own are older than the services: health has no List there, reflection no v1.
for service in health/v1/health reflection/v1/reflection reflection/v1alpha/reflection; do
  package="everyrpc/$(dirname $service)"
  protoc --descriptor_set_in=../build/standard.binpb "${plugins[@]}" "--go_opt=Mgrpc/$service.proto=$package" \
    "--go-grpc_opt=Mgrpc/$service.proto=$package" grpc/$service.proto
done
cp every_rpc.go codec.go build/src/everyrpc/
mkdir -p build/src/example
protoc -I$protos --go_out=build/src/example --go_opt=module=github.com/twopass/twopass/protos \
  --go-grpc_out=build/src/example --go-grpc_opt=module=github.com/twopass/twopass/protos $protos/twopass/v1/*.proto
cp ../../../examples/go/*.go codec.go build/src/example/
export GO111MODULE=off GOFLAGS= GOPATH=$PWD/build:/usr/share/gocode
go build -o build/every_rpc everyrpc
go build -o build/example example
