"""Paths that several dialects share: the body tells which one is spoken."""

import msgspec

from twopass.server.http.bodies import decode
from twopass.server.http.dialects import rerank
from twopass.server.http.dialects.superset import SHARED
from twopass.server.http.dialects.tei import TEI, Tei
from twopass.server.http.dialects.tei_bodies import Glance
from twopass.server.http.endpoint import Endpoint, HttpRequest, SharedEndpoint
from twopass.server.http.parts import HttpParts
from twopass.server.http.routes import AnyEndpoint
from twopass.server.request import Request


def endpoints(parts: HttpParts) -> list[AnyEndpoint]:
    """TEI's endpoints, and those that it shares.

    `/rerank` is TEI's where the body has `texts`, and that of vLLM and others with `documents`. At
    `/` and `/invocations` the body alone tells TEI's task.
    """
    tei = Tei(parts)
    of_others = rerank.vllm_endpoint(parts)

    async def by_texts(http: HttpRequest, request: Request) -> Endpoint:
        glance: Glance = await parts.translating.run_json(
            len(http.body), decode, http.body, Glance, request=request
        )
        return of_others if glance.texts is msgspec.UNSET else tei.endpoint("rerank")

    async def by_task(http: HttpRequest, request: Request) -> Endpoint:
        [task] = await tei.tasks_of(http, [http.body], request)
        return tei.endpoint(task)

    return [
        *tei.endpoints(),
        SharedEndpoint(
            name="rerank", method="POST", path="/rerank", choose=by_texts, dialect=SHARED
        ),
        *(
            SharedEndpoint(name="tei.root", method="POST", path=path, choose=by_task, dialect=TEI)
            for path in ("/", "/invocations")
        ),
    ]
