"""The table of REST's paths."""

import re

import pytest
from google.protobuf.descriptor import FieldDescriptor

from twopass.server.http.rpcs.http_rules import WHOLE_BODY, HttpRule, http_rules
from twopass.server.http.rpcs.methods import METHODS, has_no_side_effects, is_unary


def test_the_table_names_every_unary_rpc_of_the_contract_once() -> None:
    unary = sorted(name for name, method in METHODS.items() if is_unary(method))
    assert sorted(rule.rpc for rule in http_rules() if rule.is_first) == unary


def test_no_two_rules_have_one_method_and_path() -> None:
    places = [(rule.method, re.sub(r"\{.*?\}", "{}", rule.path)) for rule in http_rules()]
    assert len(set(places)) == len(places)


@pytest.mark.parametrize("rule", http_rules(), ids=lambda rule: f"{rule.method} {rule.path}")
def test_a_rule_names_fields_that_its_request_has(rule: HttpRule) -> None:
    fields = METHODS[rule.rpc].input_type.fields_by_name
    for name in rule.variables:
        assert fields[name].cpp_type == FieldDescriptor.CPPTYPE_STRING
        assert not fields[name].is_repeated
    if rule.body not in ("", WHOLE_BODY):
        assert fields[rule.body].message_type is not None


@pytest.mark.parametrize("rule", http_rules(), ids=lambda rule: f"{rule.method} {rule.path}")
def test_what_changes_nothing_alone_is_a_get(rule: HttpRule) -> None:
    if rule.method == "GET":
        assert has_no_side_effects(METHODS[rule.rpc])
    if rule.method in ("GET", "DELETE"):
        assert not rule.body
