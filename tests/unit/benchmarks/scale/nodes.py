"""A node for tests: two cores, a search takes 48 core-ms."""

from twopass.benchmarks.scale.node_constants import NodeConstants
from twopass.benchmarks.scale.resting import NO_REST

CONSTANTS = NodeConstants(
    num_cores=2,
    tokenize_ms=0.3,
    embed_ms=2.0,
    retrieve_ms=2.0,
    load_ms=0.4,
    rest_ms=2.0,
    wire_ms=1.8,
    front_core_ms=6.9,
    loop_core_ms=0.0,
    client_core_ms=0.8,
    core_us_per_token=25.0,
    alone_us_per_token=25.0,
    second_core_ms=0.0,
    second_loop_core_ms=0.0,
    loop_turns=0.0,
    turn_ms=4.0,
    packing=0.0,
    rests=(NO_REST,),
    rerank_lengths=[[80] * 20],
)
