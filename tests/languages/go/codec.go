package main

import (
	"google.golang.org/grpc/encoding"
	"google.golang.org/protobuf/proto"
)

// codec encodes messages as today's protobuf library does. Debian's gRPC is older than its plugins of protoc, and
// can't encode what they generate; a current one needs no codec.
type codec struct{}

func (codec) Name() string { return "proto" }

func (codec) Marshal(message interface{}) ([]byte, error) {
	return proto.Marshal(message.(proto.Message))
}

func (codec) Unmarshal(content []byte, message interface{}) error {
	return proto.Unmarshal(content, message.(proto.Message))
}

func init() { encoding.RegisterCodec(codec{}) }
