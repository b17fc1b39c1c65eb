"""What ModelService tells of an engine."""

from dataclasses import replace

import pytest

from twopass.server.models.registry import Models
from twopass.server.request import Request
from twopass.server.servicers.models import ModelServicer
from twopass.v1 import model_pb2

from ..scripted import ScriptedEngine, scripted_reranker


@pytest.mark.parametrize("has_graphs", [False, True])
async def test_a_model_says_whether_its_engine_has_graphs_now(has_graphs):
    engine = ScriptedEngine()
    servicer = ModelServicer(Models([scripted_reranker(engine)]))
    engine.info = replace(engine.info, has_graphs=has_graphs)
    message = model_pb2.GetModelRequest(id="scripted")
    answer = await servicer.get_model(message, Request())
    assert answer.model.cuda_graphs is has_graphs
    assert answer.model.engine == "scripted"
