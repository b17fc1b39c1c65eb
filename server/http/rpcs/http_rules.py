"""Which rpc stands at which path of REST: the rules of `http_rules.json`.

The file has the form of a service configuration of Google's API infrastructure, whose rules
google/api/http.proto defines: other gateways read it as it is.
"""

import re
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

import orjson
from google.api import http_pb2
from google.protobuf.json_format import ParseDict

_VARIABLE = re.compile(r"\{([\w.]+)(?:=[^}]*)?\}")
WHOLE_BODY = "*"
"""The body of a rule that is the whole request, but for the variables of the path."""


@dataclass(frozen=True, slots=True)
class HttpRule:
    """A method and a path of HTTP, and the rpc that is called there.

    Attributes:
        rpc: The full name of the rpc.
        method: The method of HTTP, in capitals.
        path: The path; variables, which are names of the request's fields, in braces.
        body: The field that the body is, `WHOLE_BODY`, or "" where there is no body.
        is_first: Whether it is the rpc's own rule, and not an additional one.
    """

    rpc: str
    method: str
    path: str
    body: str
    is_first: bool

    @property
    def variables(self) -> list[str]:
        """The fields of the request that the path holds."""
        return _VARIABLE.findall(self.path)


@cache
def http_rules() -> tuple[HttpRule, ...]:
    """All rules, in the order of the file, an rpc's own one before its additional ones."""
    content = orjson.loads(files(__package__).joinpath("http_rules.json").read_bytes())
    table = ParseDict(content["http"], http_pb2.Http())
    return tuple(
        _rule(rule.selector, each, is_first=each is rule)
        for rule in table.rules
        for each in (rule, *rule.additional_bindings)
    )


def _rule(rpc: str, rule: http_pb2.HttpRule, *, is_first: bool) -> HttpRule:
    method = rule.WhichOneof("pattern") or ""
    return HttpRule(rpc, method.upper(), getattr(rule, method), rule.body, is_first)
