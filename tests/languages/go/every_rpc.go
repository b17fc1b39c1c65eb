// Calls every rpc by stubs that protoc generated for Go, and prints what became of each.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/structpb"

	healthpb "everyrpc/health/v1"
	reflectionpb "everyrpc/reflection/v1"
	reflectionalphapb "everyrpc/reflection/v1alpha"

	twopass "github.com/twopass/twopass/protos/twopass/v1"
)

const (
	query   = "What is the capital of Australia?"
	of      = "twopass.v1.CollectionService."
	service = "twopass.v1.SearchService"
)

// rpc prints an rpc's name and what became of it.
func rpc(name string, call func() error) {
	if err := call(); err != nil {
		fmt.Printf("%s\tfails: %s\n", name, strings.Split(err.Error(), "\n")[0])
	} else {
		fmt.Printf("%s\tworks\n", name)
	}
}

// expect fails unless two values are the same.
func expect[T comparable](err error, got, wanted T) error {
	if err == nil && got != wanted {
		err = fmt.Errorf("%v, not %v", got, wanted)
	}
	return err
}

func fields(values map[string]interface{}) *structpb.Struct {
	made, err := structpb.NewStruct(values)
	if err != nil {
		panic(err)
	}
	return made
}

func text(value string) *twopass.Literal {
	return &twopass.Literal{Literal: &twopass.Literal_Text{Text: value}}
}

func main() {
	name := os.Args[1]
	keyed := metadata.AppendToOutgoingContext(context.Background(),
		"authorization", "Bearer "+os.Getenv("TWOPASS_API_KEY"))
	ctx, cancel := context.WithTimeout(keyed, 2*time.Minute)
	defer cancel()
	connection, err := grpc.Dial(os.Getenv("TWOPASS_TARGET"), grpc.WithInsecure())
	if err != nil {
		panic(err)
	}
	defer connection.Close()
	collections := twopass.NewCollectionServiceClient(connection)
	searches := twopass.NewSearchServiceClient(connection)
	reranks := twopass.NewRerankServiceClient(connection)
	embeds := twopass.NewEmbedServiceClient(connection)
	feedback := twopass.NewFeedbackServiceClient(connection)
	models := twopass.NewModelServiceClient(connection)
	reports := twopass.NewReportServiceClient(connection)
	servers := twopass.NewServerServiceClient(connection)
	health := healthpb.NewHealthClient(connection)

	documents := []*twopass.Document{
		{
			Id: "canberra", Text: "Canberra is the capital city of Australia.",
			Metadata: fields(map[string]interface{}{"year": 1913, "tags": []interface{}{"city"}}),
		},
		{
			Id: "bread", Text: "Bread rises because yeast makes carbon dioxide.",
			Metadata: fields(map[string]interface{}{"year": 1857, "tags": []interface{}{"food"}}),
		},
	}
	more := []*twopass.Document{{
		Id: "tides", Text: "The tides follow the moon.",
		Metadata: fields(map[string]interface{}{"year": 1687}),
	}}

	rpc(of+"CreateCollection", func() error {
		schema := &twopass.CollectionSchema{IndexedFields: []*twopass.IndexedField{
			{Field: "year", Type: twopass.FieldType_FIELD_TYPE_NUMBER},
		}}
		made, err := collections.CreateCollection(ctx,
			&twopass.CreateCollectionRequest{Name: name, Schema: schema})
		return expect(err, made.GetCollection().GetName(), name)
	})
	rpc(of+"UpsertDocuments", func() error {
		written, err := collections.UpsertDocuments(ctx,
			&twopass.UpsertDocumentsRequest{Collection: name, Documents: documents})
		return expect(err, written.GetNumInserted(), 2)
	})
	rpc(of+"UpsertDocumentsStream", func() error {
		stream, err := collections.UpsertDocumentsStream(ctx)
		if err != nil {
			return err
		}
		for _, chunk := range []*twopass.UpsertDocumentsStreamRequest{
			{Collection: name, Documents: more}, {Documents: documents},
		} {
			if err := stream.Send(chunk); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		var last *twopass.UpsertDocumentsStreamResponse
		for {
			progress, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				return expect(nil, last.GetNumDocuments(), 3)
			}
			if err != nil {
				return err
			}
			last = progress
		}
	})
	rpc(of+"GetCollection", func() error {
		found, err := collections.GetCollection(ctx, &twopass.GetCollectionRequest{Name: name})
		return expect(err, found.GetCollection().GetNumDocuments(), 3)
	})
	rpc(of+"ListCollections", func() error {
		listed, err := collections.ListCollections(ctx, &twopass.ListCollectionsRequest{})
		return expect(err, len(listed.GetCollections()) > 0, true)
	})
	rpc(of+"GetDocuments", func() error {
		found, err := collections.GetDocuments(ctx,
			&twopass.GetDocumentsRequest{Collection: name, Ids: []string{"bread"}})
		if err != nil {
			return err
		}
		return expect(nil, found.Documents[0].Metadata.Fields["year"].GetNumberValue(), 1857)
	})
	rpc(of+"ListDocuments", func() error {
		page, err := collections.ListDocuments(ctx,
			&twopass.ListDocumentsRequest{Collection: name, PageSize: 2})
		if err != nil {
			return err
		}
		rest, err := collections.ListDocuments(ctx,
			&twopass.ListDocumentsRequest{Collection: name, PageToken: page.NextPageToken})
		return expect(err, len(page.Documents)+len(rest.GetDocuments()), 3)
	})
	rpc(of+"CountDocuments", func() error {
		values := &twopass.LiteralList{Values: []*twopass.Literal{text("city"), text("food")}}
		test := &twopass.FieldCondition{
			Field: "tags", Test: &twopass.FieldCondition_AnyOfLiterals{AnyOfLiterals: values},
		}
		filter := &twopass.Filter{Must: []*twopass.Condition{
			{Condition: &twopass.Condition_Field{Field: test}},
		}}
		counted, err := collections.CountDocuments(ctx,
			&twopass.CountDocumentsRequest{Collection: name, Filter: filter})
		return expect(err, counted.GetNumDocuments(), 2)
	})
	rpc(of+"GetFacets", func() error {
		found, err := collections.GetFacets(ctx, &twopass.GetFacetsRequest{
			Collection: name, Facets: []*twopass.FacetRequest{{Field: "year"}},
		})
		if err != nil {
			return err
		}
		return expect(nil, found.Facets[0].NumValues, 3)
	})
	rpc(of+"UpdateMetadata", func() error {
		updated, err := collections.UpdateMetadata(ctx, &twopass.UpdateMetadataRequest{
			Collection: name, Ids: []string{"tides"},
			Change: &twopass.UpdateMetadataRequest_Merge{
				Merge: fields(map[string]interface{}{"seen": true}),
			},
		})
		return expect(err, updated.GetNumUpdated(), 1)
	})
	rpc(of+"UpdateAliases", func() error {
		changed, err := collections.UpdateAliases(ctx, &twopass.UpdateAliasesRequest{
			Changes: []*twopass.AliasChange{{Alias: name + "-alias", Collection: name}},
		})
		if err := expect(err, len(changed.GetAliases()), 1); err != nil {
			return err
		}
		_, err = collections.UpdateAliases(ctx, &twopass.UpdateAliasesRequest{
			Changes: []*twopass.AliasChange{{Alias: name + "-alias"}},
		})
		return err
	})
	rpc(of+"CreateSnapshot", func() error {
		made, err := collections.CreateSnapshot(ctx,
			&twopass.CreateSnapshotRequest{Collection: name, Name: "one"})
		return expect(err, made.GetSnapshot().GetNumDocuments(), 3)
	})
	rpc(of+"ListSnapshots", func() error {
		listed, err := collections.ListSnapshots(ctx, &twopass.ListSnapshotsRequest{Collection: name})
		return expect(err, len(listed.GetSnapshots()), 1)
	})
	rpc(of+"RestoreSnapshot", func() error {
		restored, err := collections.RestoreSnapshot(ctx, &twopass.RestoreSnapshotRequest{
			Collection: name, Name: "one", NewCollection: name + "-copy",
		})
		return expect(err, restored.GetCollection().GetNumDocuments(), 3)
	})
	rpc(of+"RenameCollection", func() error {
		renamed, err := collections.RenameCollection(ctx, &twopass.RenameCollectionRequest{
			Name: name + "-copy", NewName: name + "-renamed", KeepAlias: true,
		})
		aliases := fmt.Sprint(renamed.GetCollection().GetAliases())
		if err := expect(err, aliases, "["+name+"-copy]"); err != nil {
			return err
		}
		renamed, err = collections.RenameCollection(ctx, &twopass.RenameCollectionRequest{
			Name: name + "-renamed", NewName: name + "-copy",
		})
		return expect(err, renamed.GetCollection().GetName(), name+"-copy")
	})
	rpc(of+"SetSearchDefaults", func() error {
		set, err := collections.SetSearchDefaults(ctx, &twopass.SetSearchDefaultsRequest{
			Collection: name, SearchDefaults: &twopass.SearchDefaults{K: 30},
		})
		if err := expect(err, set.GetCollection().GetSearchDefaults().GetK(), int32(30)); err != nil {
			return err
		}
		set, err = collections.SetSearchDefaults(ctx, &twopass.SetSearchDefaultsRequest{Collection: name})
		return expect(err, set.GetCollection().GetSearchDefaults() == nil, true)
	})
	rpc(of+"DeleteSnapshot", func() error {
		_, err := collections.DeleteSnapshot(ctx,
			&twopass.DeleteSnapshotRequest{Collection: name, Name: "one"})
		return err
	})

	rpc(service+".Search", func() error {
		found, err := searches.Search(ctx, &twopass.SearchRequest{
			Collection: name, Query: query, TopN: 1, TimeBudget: durationpb.New(20 * time.Second),
		})
		if err != nil {
			return err
		}
		status := twopass.RerankStatus_RERANK_STATUS_COMPLETE
		return expect(expect(nil, found.Hits[0].Id, "canberra"), found.RerankStatus, status)
	})
	rpc(service+".BatchSearch", func() error {
		answers, err := searches.BatchSearch(ctx, &twopass.BatchSearchRequest{
			Searches: []*twopass.SearchRequest{
				{Collection: name, Query: query}, {Collection: name, Query: query, TopN: -1},
			},
		})
		if err != nil {
			return err
		}
		good, bad := answers.Results[0].GetResponse(), answers.Results[1].GetError()
		wrong := expect(nil, good.Hits[0].Id, "canberra")
		return expect(wrong, codes.Code(bad.GetCode()), codes.InvalidArgument)
	})
	rpc("twopass.v1.RerankService.Rerank", func() error {
		ranked, err := reranks.Rerank(ctx, &twopass.RerankRequest{
			Query:      "fruit",
			Candidates: []*twopass.Candidate{{Text: "a stone"}, {Text: "an apple, ripe fruit"}},
		})
		if err != nil {
			return err
		}
		return expect(nil, ranked.Hits[0].Index, 1)
	})
	rpc("twopass.v1.RerankService.RerankStream", func() error {
		stream, err := reranks.RerankStream(ctx)
		if err != nil {
			return err
		}
		for _, piece := range []*twopass.RerankStreamRequest{
			{
				SetId: "a", Set: &twopass.RerankSet{Query: "fruit", NumCandidates: 2},
				Candidates: []*twopass.Candidate{{Text: "a stone"}},
			},
			{SetId: "b", Set: &twopass.RerankSet{NumCandidates: 1}},
			{SetId: "a", Candidates: []*twopass.Candidate{{Text: "an apple"}}},
		} {
			if err := stream.Send(piece); err != nil {
				return err
			}
		}
		if err := stream.CloseSend(); err != nil {
			return err
		}
		answers := map[string]*twopass.RerankStreamResponse{}
		for {
			answer, err := stream.Recv()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				return err
			}
			answers[answer.SetId] = answer
		}
		wrong := expect(nil, answers["a"].GetResult().GetHits()[0].Index, 1)
		return expect(wrong, codes.Code(answers["b"].GetError().GetCode()), codes.InvalidArgument)
	})
	rpc("twopass.v1.EmbedService.Embed", func() error {
		embedded, err := embeds.Embed(ctx, &twopass.EmbedRequest{
			Texts: []string{"one", "two"}, Role: twopass.EmbedRole_EMBED_ROLE_QUERY, Dimensions: 32,
		})
		if err != nil {
			return err
		}
		return expect(nil, len(embedded.Embeddings[1].Vector.Values), 32)
	})
	var first *twopass.Model
	rpc("twopass.v1.ModelService.ListModels", func() error {
		listed, err := models.ListModels(ctx, &twopass.ListModelsRequest{})
		if err != nil {
			return err
		}
		first = listed.Models[0]
		return expect(nil, len(listed.Models) >= 2, true)
	})
	rpc("twopass.v1.ModelService.GetModel", func() error {
		model, err := models.GetModel(ctx, &twopass.GetModelRequest{Id: first.GetId()})
		return expect(err, model.GetModel().GetSha256(), first.GetSha256())
	})
	rpc("twopass.v1.FeedbackService.RecordFeedback", func() error {
		event := &twopass.FeedbackEvent{
			QueryId:    "q",
			DocumentId: "bread",
			Kind:       twopass.FeedbackKind_FEEDBACK_KIND_JUDGEMENT,
			Grade:      2,
		}
		request := &twopass.RecordFeedbackRequest{Collection: name, Events: []*twopass.FeedbackEvent{event}}
		recorded, err := feedback.RecordFeedback(ctx, request)
		return expect(err, recorded.GetNumRecorded(), int32(1))
	})
	rpc("twopass.v1.FeedbackService.ExportFeedback", func() error {
		page, err := feedback.ExportFeedback(ctx, &twopass.ExportFeedbackRequest{Collection: name})
		return expect(err, len(page.GetFeedback()), 1)
	})
	rpc("twopass.v1.FeedbackService.DeleteFeedback", func() error {
		request := &twopass.DeleteFeedbackRequest{Collection: name, QueryIds: []string{"q"}}
		deleted, err := feedback.DeleteFeedback(ctx, request)
		return expect(err, deleted.GetNumDeleted(), int64(1))
	})
	rpc("twopass.v1.FeedbackService.ListShadows", func() error {
		listed, err := feedback.ListShadows(ctx, &twopass.ListShadowsRequest{})
		return expect(err, len(listed.GetShadows()), 0)
	})
	rpc("twopass.v1.ReportService.GetReport", func() error {
		found, err := reports.GetReport(ctx, &twopass.GetReportRequest{Collection: name})
		return expect(err, found.GetReport().GetNumSearches() > 0, true)
	})
	rpc("twopass.v1.ReportService.ListReports", func() error {
		listed, err := reports.ListReports(ctx, &twopass.ListReportsRequest{})
		return expect(err, len(listed.GetReports()) > 0, true)
	})
	rpc("twopass.v1.ServerService.GetServerInfo", func() error {
		info, err := servers.GetServerInfo(ctx, &twopass.GetServerInfoRequest{})
		return expect(err, info.GetServer().GetLimits() != nil, true)
	})

	rpc(of+"DeleteDocuments", func() error {
		deleted, err := collections.DeleteDocuments(ctx,
			&twopass.DeleteDocumentsRequest{Collection: name, Ids: []string{"bread"}})
		return expect(err, deleted.GetNumDeleted(), 1)
	})
	rpc(of+"DeleteCollection", func() error {
		for _, gone := range []string{name, name + "-copy"} {
			request := &twopass.DeleteCollectionRequest{Name: gone}
			if _, err := collections.DeleteCollection(ctx, request); err != nil {
				return err
			}
		}
		return nil
	})
	rpc("an error's details", func() error {
		_, err := searches.Search(ctx, &twopass.SearchRequest{Collection: name, Query: query})
		for _, detail := range status.Convert(err).Details() {
			if info, ok := detail.(*errdetails.ErrorInfo); ok {
				wrong := expect(nil, info.Reason, "COLLECTION_NOT_FOUND")
				return expect(wrong, info.Metadata["collection"], name)
			}
		}
		return fmt.Errorf("no ErrorInfo in %v", err)
	})

	serving := healthpb.HealthCheckResponse_SERVING
	rpc("grpc.health.v1.Health.Check", func() error {
		answer, err := health.Check(ctx, &healthpb.HealthCheckRequest{Service: service})
		return expect(err, answer.GetStatus(), serving)
	})
	rpc("grpc.health.v1.Health.List", func() error {
		answer, err := health.List(ctx, &healthpb.HealthListRequest{})
		return expect(err, answer.GetStatuses()[service].GetStatus(), serving)
	})
	rpc("grpc.health.v1.Health.Watch", func() error {
		watching, stop := context.WithCancel(ctx)
		defer stop()
		stream, err := health.Watch(watching, &healthpb.HealthCheckRequest{Service: service})
		if err != nil {
			return err
		}
		answer, err := stream.Recv()
		return expect(err, answer.GetStatus(), serving)
	})
	rpc("grpc.reflection.v1.ServerReflection.ServerReflectionInfo", func() error {
		stream, err := reflectionpb.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		asked := &reflectionpb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service}
		if err := stream.Send(&reflectionpb.ServerReflectionRequest{MessageRequest: asked}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		found := len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) > 0
		return expect(err, found, true)
	})
	rpc("grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo", func() error {
		stream, err := reflectionalphapb.NewServerReflectionClient(connection).ServerReflectionInfo(ctx)
		if err != nil {
			return err
		}
		asked := &reflectionalphapb.ServerReflectionRequest_FileContainingSymbol{FileContainingSymbol: service}
		if err := stream.Send(&reflectionalphapb.ServerReflectionRequest{MessageRequest: asked}); err != nil {
			return err
		}
		answer, err := stream.Recv()
		found := len(answer.GetFileDescriptorResponse().GetFileDescriptorProto()) > 0
		return expect(err, found, true)
	})
}
