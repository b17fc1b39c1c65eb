"""What a training run is told."""

from dataclasses import dataclass, field

from twopass.training.mining import MiningOptions


@dataclass(frozen=True, slots=True)
class TrainingOptions:
    """How a reranker is trained.

    Attributes:
        steps: Updates of the weights.
        questions: Groups a step.
        negatives: Passages beside the one that answers, in each group.
        random_negatives: How many of them are any passage of the same source, not mined ones.
        max_tokens: Longest pair, special tokens included; longer passages are cut.
        learning_rate: At its highest; it rises over the first 5 % of the steps and then falls to 0.
        teacher_weight: How much the order of the first pass counts beside the answer; it keeps what
            the encoder knows of subjects that the pairs do not touch.
        teacher_temperature: Of the softmax over the first pass's cosines.
        average: Weights are averaged over about 1 / (1 - average) steps (Polyak and Juditsky 1992).
        frozen_embeddings: Whether word embeddings stay as they are, so that words which no pair
            holds keep their place among the others.
        development_one_in: One query in so many is not trained on, but measured on.
        development_queries: Most queries to measure on.
        measure_every: Steps from one measurement to the next; each writes a checkpoint.
        patience: Measurements without a better nDCG before training ends early.
        seed: Of every random choice.
        mining: How negatives are found.
    """

    steps: int = 4_000
    questions: int = 16
    negatives: int = 7
    random_negatives: int = 1
    max_tokens: int = 192
    learning_rate: float = 6e-5
    teacher_weight: float = 0.3
    teacher_temperature: float = 0.05
    average: float = 0.998
    frozen_embeddings: bool = True
    development_one_in: int = 50
    development_queries: int = 400
    measure_every: int = 500
    patience: int = 4
    seed: int = 0
    mining: MiningOptions = field(default_factory=MiningOptions)
