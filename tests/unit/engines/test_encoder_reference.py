"""The reference itself, held to what transformers 5.24.0 computed of the same folders."""

from pathlib import Path

import pytest

from twopass.engines.model.families import family_of

from . import encoder_reference
from .random_encoders import ALL_CONFIGS, float32s, write_encoder

TOKEN_IDS = [3, 5, 7, 9, 11, 2, 4, 5, 6, 8, 12, 14, 15]
QUERY_LENGTH = 4

# Logits of `AutoModelForSequenceClassification` in float32, attention "eager". Its release has no
# model for the two families that are the hub's own code.
LOGITS = {
    "bert": 0.5982373952865601,
    "roberta": -1.0605117082595825,
    "electra": 0.09268975257873535,
    "distilbert": 0.027130000293254852,
    "mpnet": 0.1934591829776764,
    "modernbert": 0.9770644307136536,
    "modernbert-biases": 1.1432747840881348,
    "nomic": 0.5568971633911133,
    "deberta": -0.23626147210597992,
    "deberta-apart": -0.2431643307209015,
    "deberta-convolution": 0.7153992056846619,
    "jina-v3": 0.2280997633934021,
}


@pytest.mark.parametrize("name", LOGITS)
def test_the_reference_gives_the_logits_of_transformers(tmp_path: Path, name: str) -> None:
    weights = write_encoder(tmp_path, name)
    architecture = family_of(ALL_CONFIGS[name]).read(ALL_CONFIGS[name])
    logit = encoder_reference.logit(architecture, float32s(weights), TOKEN_IDS, QUERY_LENGTH)
    assert logit == pytest.approx(LOGITS[name], abs=2e-5)  # float32 beside float64


def test_every_token_of_every_family_changes_the_logit(tmp_path: Path) -> None:
    for name, config in ALL_CONFIGS.items():
        tensors = float32s(write_encoder(tmp_path / name, name))
        architecture = family_of(config).read(config)
        logit = encoder_reference.logit(architecture, tensors, TOKEN_IDS, QUERY_LENGTH)
        for place in range(len(TOKEN_IDS)):
            changed = [*TOKEN_IDS[:place], 20, *TOKEN_IDS[place + 1 :]]
            other = encoder_reference.logit(architecture, tensors, changed, QUERY_LENGTH)
            assert abs(other - logit) > 1e-6, f"{name}: token {place}"
