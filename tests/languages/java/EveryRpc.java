import com.google.protobuf.Any;
import com.google.protobuf.Duration;
import com.google.protobuf.Struct;
import com.google.protobuf.Value;
import com.twopass.v1.*;
import io.grpc.ManagedChannel;
import io.grpc.ManagedChannelBuilder;
import io.grpc.Metadata;
import io.grpc.Status.Code;
import io.grpc.StatusRuntimeException;
import io.grpc.health.v1.HealthCheckRequest;
import io.grpc.health.v1.HealthCheckResponse.ServingStatus;
import io.grpc.health.v1.HealthGrpc;
import io.grpc.health.v1.HealthListRequest;
import io.grpc.protobuf.StatusProto;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.util.ArrayList;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.TimeUnit;
import java.util.function.Function;

/** Calls every rpc by stubs that protoc generated for Java, and prints what became of each. */
public final class EveryRpc {
  private static final String QUERY = "What is the capital of Australia?";
  private static final String OF = "twopass.v1.CollectionService.";
  private static final String SERVICE = "twopass.v1.SearchService";

  private interface Call {
    void make() throws Exception;
  }

  /** Prints an rpc's name and what became of it. */
  private static void rpc(String name, Call call) {
    try {
      call.make();
      System.out.println(name + "\tworks");
    } catch (Exception error) {
      System.out.println(name + "\tfails: " + error.toString().lines().findFirst().orElse(""));
    }
  }

  private static void expect(Object got, Object wanted) {
    if (!got.equals(wanted)) {
      throw new IllegalStateException(got + ", not " + wanted);
    }
  }

  /** Sends all requests of a stream, and waits for all answers. */
  private static <I, O> List<O> all(Function<StreamObserver<O>, StreamObserver<I>> begin, List<I> requests)
      throws Exception {
    List<O> answers = new ArrayList<>();
    CompletableFuture<List<O>> done = new CompletableFuture<>();
    StreamObserver<I> sending =
        begin.apply(
            new StreamObserver<O>() {
              @Override
              public void onNext(O answer) {
                answers.add(answer);
              }

              @Override
              public void onError(Throwable error) {
                done.completeExceptionally(error);
              }

              @Override
              public void onCompleted() {
                done.complete(answers);
              }
            });
    requests.forEach(sending::onNext);
    sending.onCompleted();
    return done.get(1, TimeUnit.MINUTES);
  }

  private static Document document(String id, String text, double year, String tag) {
    Struct metadata =
        Struct.newBuilder()
            .putFields("year", Value.newBuilder().setNumberValue(year).build())
            .putFields("tag", Value.newBuilder().setStringValue(tag).build())
            .build();
    return Document.newBuilder().setId(id).setText(text).setMetadata(metadata).build();
  }

  private static Candidate candidate(String text) {
    return Candidate.newBuilder().setText(text).build();
  }

  private static Literal literal(String text) {
    return Literal.newBuilder().setText(text).build();
  }

  public static void main(String[] arguments) throws Exception {
    String name = arguments[0];
    ManagedChannel channel =
        ManagedChannelBuilder.forTarget(System.getenv("TWOPASS_TARGET")).usePlaintext().build();
    Metadata keyed = new Metadata();
    keyed.put(
        Metadata.Key.of("authorization", Metadata.ASCII_STRING_MARSHALLER),
        "Bearer " + System.getenv("TWOPASS_API_KEY"));
    var withKey = MetadataUtils.newAttachHeadersInterceptor(keyed);
    var collections = CollectionServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var collectionStreams = CollectionServiceGrpc.newStub(channel).withInterceptors(withKey);
    var searches = SearchServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var reranks = RerankServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var rerankStreams = RerankServiceGrpc.newStub(channel).withInterceptors(withKey);
    var embeds = EmbedServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var feedback = FeedbackServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var models = ModelServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var reports = ReportServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var servers = ServerServiceGrpc.newBlockingStub(channel).withInterceptors(withKey);
    var health = HealthGrpc.newBlockingStub(channel).withInterceptors(withKey);

    List<Document> documents =
        List.of(
            document("canberra", "Canberra is the capital city of Australia.", 1913, "city"),
            document("bread", "Bread rises because yeast makes carbon dioxide.", 1857, "food"));
    Document more = document("tides", "The tides follow the moon.", 1687, "sea");

    rpc(
        OF + "CreateCollection",
        () -> {
          var year = IndexedField.newBuilder().setField("year").setType(FieldType.FIELD_TYPE_NUMBER);
          var schema = CollectionSchema.newBuilder().addIndexedFields(year);
          var request = CreateCollectionRequest.newBuilder().setName(name).setSchema(schema).build();
          expect(collections.createCollection(request).getCollection().getName(), name);
        });
    rpc(
        OF + "UpsertDocuments",
        () -> {
          var request =
              UpsertDocumentsRequest.newBuilder().setCollection(name).addAllDocuments(documents);
          expect(collections.upsertDocuments(request.build()).getNumInserted(), 2);
        });
    rpc(
        OF + "UpsertDocumentsStream",
        () -> {
          var first = UpsertDocumentsStreamRequest.newBuilder().setCollection(name).addDocuments(more);
          var second = UpsertDocumentsStreamRequest.newBuilder().addAllDocuments(documents);
          List<UpsertDocumentsStreamResponse> told =
              all(collectionStreams::upsertDocumentsStream, List.of(first.build(), second.build()));
          expect(told.get(1).getNumDocuments(), 3L);
        });
    rpc(
        OF + "GetCollection",
        () -> {
          var request = GetCollectionRequest.newBuilder().setName(name).build();
          expect(collections.getCollection(request).getCollection().getNumDocuments(), 3L);
        });
    rpc(
        OF + "ListCollections",
        () -> {
          var listed = collections.listCollections(ListCollectionsRequest.getDefaultInstance());
          expect(listed.getCollectionsList().stream().anyMatch(c -> c.getName().equals(name)), true);
        });
    rpc(
        OF + "GetDocuments",
        () -> {
          var request = GetDocumentsRequest.newBuilder().setCollection(name).addIds("bread").build();
          var found = collections.getDocuments(request).getDocuments(0).getMetadata();
          expect(found.getFieldsOrThrow("year").getNumberValue(), 1857.0);
        });
    rpc(
        OF + "ListDocuments",
        () -> {
          var request = ListDocumentsRequest.newBuilder().setCollection(name);
          var page = collections.listDocuments(request.setPageSize(2).build());
          var rest = collections.listDocuments(request.setPageToken(page.getNextPageToken()).build());
          expect(page.getDocumentsCount() + rest.getDocumentsCount(), 3);
        });
    rpc(
        OF + "CountDocuments",
        () -> {
          var values = LiteralList.newBuilder().addValues(literal("city")).addValues(literal("food"));
          var test = FieldCondition.newBuilder().setField("tag").setAnyOfLiterals(values);
          var filter = Filter.newBuilder().addMust(Condition.newBuilder().setField(test));
          var request = CountDocumentsRequest.newBuilder().setCollection(name).setFilter(filter);
          expect(collections.countDocuments(request.build()).getNumDocuments(), 2L);
        });
    rpc(
        OF + "GetFacets",
        () -> {
          var year = FacetRequest.newBuilder().setField("year");
          var request = GetFacetsRequest.newBuilder().setCollection(name).addFacets(year).build();
          expect(collections.getFacets(request).getFacets(0).getNumValues(), 3L);
        });
    rpc(
        OF + "UpdateMetadata",
        () -> {
          var seen = Struct.newBuilder().putFields("seen", Value.newBuilder().setBoolValue(true).build());
          var request =
              UpdateMetadataRequest.newBuilder().setCollection(name).addIds("tides").setMerge(seen);
          expect(collections.updateMetadata(request.build()).getNumUpdated(), 1L);
        });
    rpc(
        OF + "UpdateAliases",
        () -> {
          var change = AliasChange.newBuilder().setAlias(name + "-alias");
          var removal = UpdateAliasesRequest.newBuilder().addChanges(change.build()).build();
          var request = UpdateAliasesRequest.newBuilder().addChanges(change.setCollection(name));
          expect(collections.updateAliases(request.build()).getAliasesCount(), 1);
          expect(collections.updateAliases(removal).getAliasesCount(), 0);
        });
    rpc(
        OF + "CreateSnapshot",
        () -> {
          var request = CreateSnapshotRequest.newBuilder().setCollection(name).setName("one").build();
          expect(collections.createSnapshot(request).getSnapshot().getNumDocuments(), 3L);
        });
    rpc(
        OF + "ListSnapshots",
        () -> {
          var request = ListSnapshotsRequest.newBuilder().setCollection(name).build();
          expect(collections.listSnapshots(request).getSnapshotsCount(), 1);
        });
    rpc(
        OF + "RestoreSnapshot",
        () -> {
          var request = RestoreSnapshotRequest.newBuilder().setCollection(name).setName("one");
          var restored = collections.restoreSnapshot(request.setNewCollection(name + "-copy").build());
          expect(restored.getCollection().getNumDocuments(), 3L);
        });
    rpc(
        OF + "RenameCollection",
        () -> {
          var request = RenameCollectionRequest.newBuilder().setName(name + "-copy").setKeepAlias(true);
          var renamed = collections.renameCollection(request.setNewName(name + "-renamed").build());
          expect(renamed.getCollection().getAliases(0), name + "-copy");
          var back = RenameCollectionRequest.newBuilder().setName(name + "-renamed");
          collections.renameCollection(back.setNewName(name + "-copy").build());
        });
    rpc(
        OF + "SetSearchDefaults",
        () -> {
          var defaults = SearchDefaults.newBuilder().setK(30);
          var request = SetSearchDefaultsRequest.newBuilder().setCollection(name);
          var set = collections.setSearchDefaults(request.setSearchDefaults(defaults).build());
          expect(set.getCollection().getSearchDefaults().getK(), 30);
          collections.setSearchDefaults(request.clearSearchDefaults().build());
        });
    rpc(
        OF + "DeleteSnapshot",
        () -> {
          var request = DeleteSnapshotRequest.newBuilder().setCollection(name).setName("one").build();
          collections.deleteSnapshot(request);
        });

    SearchRequest search = SearchRequest.newBuilder().setCollection(name).setQuery(QUERY).build();
    rpc(
        SERVICE + ".Search",
        () -> {
          var budget = Duration.newBuilder().setSeconds(20);
          var found = searches.search(search.toBuilder().setTopN(1).setTimeBudget(budget).build());
          expect(found.getHits(0).getId(), "canberra");
          expect(found.getRerankStatus(), RerankStatus.RERANK_STATUS_COMPLETE);
        });
    rpc(
        SERVICE + ".BatchSearch",
        () -> {
          var bad = search.toBuilder().setTopN(-1);
          var request = BatchSearchRequest.newBuilder().addSearches(search).addSearches(bad).build();
          var answer = searches.batchSearch(request);
          expect(answer.getResults(0).getResponse().getHits(0).getId(), "canberra");
          expect(answer.getResults(1).getError().getCode(), Code.INVALID_ARGUMENT.value());
        });
    rpc(
        "twopass.v1.RerankService.Rerank",
        () -> {
          var request = RerankRequest.newBuilder().setQuery("fruit").addCandidates(candidate("a stone"));
          var ranked = reranks.rerank(request.addCandidates(candidate("an apple, ripe fruit")).build());
          expect(ranked.getHits(0).getIndex(), 1);
        });
    rpc(
        "twopass.v1.RerankService.RerankStream",
        () -> {
          var set = RerankSet.newBuilder().setQuery("fruit").setNumCandidates(2);
          var bad = RerankSet.newBuilder().setNumCandidates(1);
          List<RerankStreamRequest> pieces =
              List.of(
                  RerankStreamRequest.newBuilder()
                      .setSetId("a")
                      .setSet(set)
                      .addCandidates(candidate("a stone"))
                      .build(),
                  RerankStreamRequest.newBuilder().setSetId("b").setSet(bad).build(),
                  RerankStreamRequest.newBuilder()
                      .setSetId("a")
                      .addCandidates(candidate("an apple"))
                      .build());
          List<RerankStreamResponse> told = all(rerankStreams::rerankStream, pieces);
          Map<String, RerankStreamResponse> answers = new HashMap<>();
          told.forEach(answer -> answers.put(answer.getSetId(), answer));
          expect(answers.get("a").getResult().getHits(0).getIndex(), 1);
          expect(answers.get("b").getError().getCode(), Code.INVALID_ARGUMENT.value());
        });
    rpc(
        "twopass.v1.EmbedService.Embed",
        () -> {
          var request =
              EmbedRequest.newBuilder()
                  .addAllTexts(List.of("one", "two"))
                  .setRole(EmbedRole.EMBED_ROLE_QUERY)
                  .setDimensions(32);
          expect(embeds.embed(request.build()).getEmbeddings(1).getVector().getValuesCount(), 32);
        });
    var all = ListModelsRequest.getDefaultInstance();
    rpc(
        "twopass.v1.ModelService.ListModels",
        () -> expect(models.listModels(all).getModelsCount() >= 2, true));
    rpc(
        "twopass.v1.ModelService.GetModel",
        () -> {
          Model first = models.listModels(all).getModels(0);
          var request = GetModelRequest.newBuilder().setId(first.getId()).build();
          expect(models.getModel(request).getModel().getSha256(), first.getSha256());
        });
    rpc(
        "twopass.v1.FeedbackService.RecordFeedback",
        () -> {
          var event =
              FeedbackEvent.newBuilder()
                  .setQueryId("q")
                  .setDocumentId("bread")
                  .setKind(FeedbackKind.FEEDBACK_KIND_JUDGEMENT)
                  .setGrade(2);
          var request =
              RecordFeedbackRequest.newBuilder().setCollection(name).addEvents(event).build();
          expect(feedback.recordFeedback(request).getNumRecorded(), 1);
        });
    rpc(
        "twopass.v1.FeedbackService.ExportFeedback",
        () -> {
          var request = ExportFeedbackRequest.newBuilder().setCollection(name).build();
          expect(feedback.exportFeedback(request).getFeedbackCount(), 1);
        });
    rpc(
        "twopass.v1.FeedbackService.DeleteFeedback",
        () -> {
          var request =
              DeleteFeedbackRequest.newBuilder().setCollection(name).addQueryIds("q").build();
          expect(feedback.deleteFeedback(request).getNumDeleted(), 1L);
        });
    rpc(
        "twopass.v1.FeedbackService.ListShadows",
        () -> {
          var listed = feedback.listShadows(ListShadowsRequest.getDefaultInstance());
          expect(listed.getShadowsCount(), 0);
        });
    rpc(
        "twopass.v1.ReportService.GetReport",
        () -> {
          var request = GetReportRequest.newBuilder().setCollection(name).build();
          expect(reports.getReport(request).getReport().getNumSearches() > 0, true);
        });
    rpc(
        "twopass.v1.ReportService.ListReports",
        () -> {
          var listed = reports.listReports(ListReportsRequest.getDefaultInstance());
          expect(listed.getReportsCount() > 0, true);
        });
    rpc(
        "twopass.v1.ServerService.GetServerInfo",
        () -> {
          var info = servers.getServerInfo(GetServerInfoRequest.getDefaultInstance());
          expect(info.getServer().hasLimits(), true);
        });

    rpc(
        OF + "DeleteDocuments",
        () -> {
          var request = DeleteDocumentsRequest.newBuilder().setCollection(name).addIds("bread").build();
          expect(collections.deleteDocuments(request).getNumDeleted(), 1L);
        });
    rpc(
        OF + "DeleteCollection",
        () -> {
          for (String gone : List.of(name, name + "-copy")) {
            collections.deleteCollection(DeleteCollectionRequest.newBuilder().setName(gone).build());
          }
        });
    rpc(
        "an error's details",
        () -> {
          try {
            searches.search(search);
            throw new IllegalStateException("found");
          } catch (StatusRuntimeException error) {
            for (Any detail : StatusProto.fromThrowable(error).getDetailsList()) {
              if (detail.getTypeUrl().endsWith("/google.rpc.ErrorInfo")) {
                ErrorInfo info = ErrorInfo.parseFrom(detail.getValue());
                expect(info.getReason(), "COLLECTION_NOT_FOUND");
                expect(info.getMetadataOrThrow("collection"), name);
                return;
              }
            }
            throw error;
          }
        });

    var ask = HealthCheckRequest.newBuilder().setService(SERVICE).build();
    rpc(
        "grpc.health.v1.Health.Check",
        () -> expect(health.check(ask).getStatus(), ServingStatus.SERVING));
    rpc(
        "grpc.health.v1.Health.List",
        () -> {
          var listed = health.list(HealthListRequest.getDefaultInstance());
          expect(listed.getStatusesOrThrow(SERVICE).getStatus(), ServingStatus.SERVING);
        });
    rpc(
        "grpc.health.v1.Health.Watch",
        () -> {
          var context = io.grpc.Context.current().withCancellation();
          context.call(
              () -> {
                expect(health.watch(ask).next().getStatus(), ServingStatus.SERVING);
                return null;
              });
          context.cancel(null);
        });
    rpc(
        "grpc.reflection.v1.ServerReflection.ServerReflectionInfo",
        () -> {
          var stub = io.grpc.reflection.v1.ServerReflectionGrpc.newStub(channel).withInterceptors(withKey);
          var request =
              io.grpc.reflection.v1.ServerReflectionRequest.newBuilder().setFileContainingSymbol(SERVICE);
          List<io.grpc.reflection.v1.ServerReflectionResponse> answers =
              all(stub::serverReflectionInfo, List.of(request.build()));
          expect(answers.get(0).hasFileDescriptorResponse(), true);
        });
    rpc(
        "grpc.reflection.v1alpha.ServerReflection.ServerReflectionInfo",
        () -> {
          var stub =
              io.grpc.reflection.v1alpha.ServerReflectionGrpc.newStub(channel).withInterceptors(withKey);
          var request =
              io.grpc.reflection.v1alpha.ServerReflectionRequest.newBuilder()
                  .setFileContainingSymbol(SERVICE);
          List<io.grpc.reflection.v1alpha.ServerReflectionResponse> answers =
              all(stub::serverReflectionInfo, List.of(request.build()));
          expect(answers.get(0).hasFileDescriptorResponse(), true);
        });
    channel.shutdownNow().awaitTermination(10, TimeUnit.SECONDS);
  }
}
