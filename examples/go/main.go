// Fills a collection, searches it, and reads what an error says.
//
// Stubs are generated beside it, into twopass/v1:
//
//	go mod init example
//	protoc -I protos --go_out=. --go_opt=module=github.com/twopass/twopass/protos \
//	  --go-grpc_out=. --go-grpc_opt=module=github.com/twopass/twopass/protos protos/twopass/v1/*.proto
//	go mod tidy && go run .
package main

import (
	"context"
	"fmt"
	"log"
	"os"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	twopass "example/twopass/v1"
)

const name = "example-go"

func main() {
	target := os.Getenv("TWOPASS_TARGET")
	if target == "" {
		target = "127.0.0.1:50051"
	}
	connection, err := grpc.Dial(target, grpc.WithInsecure())
	if err != nil {
		log.Fatal(err)
	}
	defer connection.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	if key := os.Getenv("TWOPASS_API_KEY"); key != "" {
		ctx = metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+key)
	}
	collections := twopass.NewCollectionServiceClient(connection)
	searches := twopass.NewSearchServiceClient(connection)

	if _, err := collections.CreateCollection(ctx, &twopass.CreateCollectionRequest{Name: name}); err != nil {
		log.Fatal(err)
	}
	defer collections.DeleteCollection(ctx, &twopass.DeleteCollectionRequest{Name: name})
	if _, err := collections.UpsertDocuments(ctx, &twopass.UpsertDocumentsRequest{
		Collection: name,
		Documents: []*twopass.Document{
			document("strptime", "datetime.strptime parses a date from a string.", 2003),
			document("copyfile", "shutil.copyfile copies the contents of a file.", 2001),
		},
	}); err != nil {
		log.Fatal(err)
	}

	since := 1990.0
	found, err := searches.Search(ctx, &twopass.SearchRequest{
		Collection: name,
		Query:      "How do I parse a date?",
		TopN:       1,
		TimeBudget: durationpb.New(5 * time.Second),
		Filter: &twopass.Filter{Must: []*twopass.Condition{{
			Condition: &twopass.Condition_Field{Field: &twopass.FieldCondition{
				Field: "year",
				Test:  &twopass.FieldCondition_Range{Range: &twopass.Range{Gte: &since}},
			}},
		}}},
	})
	if err != nil {
		log.Fatal(err)
	}
	for _, hit := range found.Hits {
		fmt.Printf("%s %.2f %s\n", hit.Id, hit.GetScore(), found.RerankStatus)
	}

	_, err = searches.Search(ctx, &twopass.SearchRequest{Collection: name, Query: "x", TopN: -1})
	for _, detail := range status.Convert(err).Details() {
		if info, ok := detail.(*errdetails.ErrorInfo); ok {
			fmt.Println(status.Code(err), info.Reason, info.Metadata["field"], info.Metadata["value"])
		}
	}
}

func document(id, text string, year int) *twopass.Document {
	fields, err := structpb.NewStruct(map[string]interface{}{"year": year})
	if err != nil {
		log.Fatal(err)
	}
	return &twopass.Document{Id: id, Text: text, Metadata: fields}
}
