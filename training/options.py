"""Options of a training run."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a reranker is trained.

    Attributes:
        steps: Updates of the weights.
        questions: Groups in a step.
        negatives: Passages in each group beside the one that answers.
        random_negatives: How many of the negatives are random passages of the source, not mined.
        max_tokens: Longest pair, special tokens included; longer passages are cut.
        max_passage_tokens: Most tokens of a passage that a server will read at once; None for
            `max_tokens`. A model orders passages worse the farther they exceed its training.
        tokens_a_part: Most tokens computed at once, which bounds the memory of activations; None
            for 4,096 on a CPU, and on a GPU for what takes half of its memory, at most 262,144. A
            step's loss is the same however it is divided, but for rounding.
        learning_rate: The highest rate; it rises over the first 5 % of the steps, then falls to 0.
        teacher: A reranker to learn from, as it would be served; None for the first pass.
        teacher_weight: How much the teacher's order counts beside the answer. The first pass as
            teacher keeps what the encoder knows of subjects that the pairs do not cover.
        teacher_temperature: Temperature of the softmax over the first pass's cosines; a reranker's
            logits are taken as they are.
        layers: Layers to keep of the base, its first and last and some between; None for all.
        average: Weights are averaged over about 1 / (1 - average) steps (Polyak and Juditsky 1992).
        frozen_embeddings: Whether word embeddings stay as they are, so that words which no pair
            holds keep their place among the others.
        development_one_in: One query in this many is kept from training, to measure on.
        development_queries: Most queries to measure on.
        measure_every: Steps from one measurement to the next; each writes a checkpoint.
        patience: Measurements without a better nDCG before training ends early.
        seed: Seed of every random choice.
    """

    steps: int = 4_000
    questions: int = 16
    negatives: int = 7
    random_negatives: int = 1
    max_tokens: int = 192
    max_passage_tokens: int | None = None
    tokens_a_part: int | None = None
    learning_rate: float = 6e-5
    teacher: str | None = None
    teacher_weight: float = 0.3
    teacher_temperature: float = 0.05
    layers: int | None = None
    average: float = 0.998
    frozen_embeddings: bool = True
    development_one_in: int = 50
    development_queries: int = 400
    measure_every: int = 500
    patience: int = 4
    seed: int = 0
