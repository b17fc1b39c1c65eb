"""ModelService: the models that the server holds."""

from twopass.engines.base.model import LoadedEncoder, LoadedModel
from twopass.engines.fleet.fleet import Fleet
from twopass.engines.fleet.member import MemberState
from twopass.server.errors import InvalidRequestError
from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.v1 import model_pb2


class ModelServicer:
    """Describes the models."""

    def __init__(self, models: Models) -> None:
        self._models = models

    async def list_models(
        self, message: model_pb2.ListModelsRequest, request: Request
    ) -> model_pb2.ListModelsResponse:
        """Returns all models, defaults first."""
        models = [self._message(model) for model in self._models.all()]
        return model_pb2.ListModelsResponse(models=models)

    async def get_model(
        self, message: model_pb2.GetModelRequest, request: Request
    ) -> model_pb2.GetModelResponse:
        """Returns one model."""
        if not message.id:
            raise InvalidRequestError("id: empty; ListModels has the ids")
        return model_pb2.GetModelResponse(model=self._message(self._models.get(message.id)))

    def _message(self, model: LoadedModel) -> model_pb2.Model:
        spec, engine = model.spec, model.engine
        info = engine.info
        is_encoder = isinstance(model, LoadedEncoder)
        max_seq_len = min(spec.max_seq_len, info.max_seq_len)
        max_passage_tokens = min(max_seq_len, spec.max_passage_tokens or max_seq_len)
        return model_pb2.Model(
            id=spec.id,
            kind=model_pb2.MODEL_KIND_ENCODER if is_encoder else model_pb2.MODEL_KIND_RERANKER,
            default=self._models.is_default(model),
            engine=info.engine,
            precision=info.precision,
            device=info.device,
            sha256=spec.weights_sha256,
            max_seq_len=max_seq_len,
            max_query_tokens=spec.max_query_tokens,
            max_passage_tokens=0 if is_encoder else max_passage_tokens,
            dimension=engine.output_width if is_encoder else 0,
            blend=spec.blend,
            takes_instruction=model.takes_instruction,
            revision=spec.revision,
            other_ids=sorted(spec.other_names),
            members=map(_member, engine.members) if isinstance(engine, Fleet) else (),
            cuda_graphs=info.has_graphs,
        )


def _member(member: MemberState) -> model_pb2.EngineMember:
    return model_pb2.EngineMember(
        name=member.name,
        engine=member.engine,
        precision=member.precision,
        device=member.device,
        suspected=member.is_suspected,
        batches_held=member.num_held,
        num_batches=member.num_batches,
        num_tokens=member.num_tokens,
        tokens_per_second=member.tokens_per_second,
    )
