"""How calls are spread over several servers."""

import json
from dataclasses import dataclass

from twopass.client._target import is_balanced, is_mesh
from twopass.client.errors import InvalidArgumentError


@dataclass(frozen=True, slots=True)
class Balancing:
    """How calls are spread over several servers: in turn, over those that say they are well.

    It counts where the target may lead to several servers: a list, or a name. With a single address
    there is nothing to choose.

    Attributes:
        health_service: Whose health each server is asked for, over a stream that it answers when
            something changes: "" for the server as a whole, or one service of it, such as
            "twopass.v1.EmbedService" where nothing else is called. None asks nothing: a server is
            taken to be well while it is connected. Servers that do not tell health to callers
            without a key are asked in turn as if they were well.
        hedge_after: Seconds after which a read that is not answered yet is asked a second time, of
            the next server; the first answer counts, the other call is cancelled. It shortens the
            longest waits and costs the work of a call each time, so choose what nineteen in twenty
            calls stay below. None: never. Writes are never asked twice at once.
    """

    health_service: str | None = ""
    hedge_after: float | None = None

    def __post_init__(self) -> None:
        """Refuses a delay that is none.

        Raises:
            InvalidArgumentError: `hedge_after` is not above 0.
        """
        if self.hedge_after is not None and not self.hedge_after > 0:
            raise InvalidArgumentError(
                f"hedge_after: {self.hedge_after:g} given, seconds above 0 are needed; None to ask "
                "no server a second time",
                metadata={"field": "hedge_after", "value": f"{self.hedge_after:g}"},
            )

    def service_config(self, target: str) -> str:
        """The service config of gRPC for a target."""
        if not is_balanced(target) or is_mesh(target):  # a mesh has policies of its own
            return "{}"
        health = (
            {}
            if self.health_service is None
            else {"healthCheckConfig": {"serviceName": self.health_service}}
        )
        return json.dumps({"loadBalancingConfig": [{"round_robin": {}}]} | health)
