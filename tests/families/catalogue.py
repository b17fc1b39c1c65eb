"""All forms."""

from collections.abc import Iterator

from . import bert_forms, decoder_forms, head_forms, module_forms, relative_forms, rotary_forms
from .form import Form


def forms() -> Iterator[Form]:
    """By family."""
    yield from bert_forms.forms()
    yield from head_forms.forms()
    yield from relative_forms.forms()
    yield from rotary_forms.forms()
    yield from module_forms.forms()
    yield from decoder_forms.forms()
