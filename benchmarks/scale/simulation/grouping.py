"""How a batch is cut into groups for the threads of a core: as `core/src/encoder/grouping.cc`."""

from collections.abc import Sequence

_GROUP_TOKENS = 256
_MAX_GROUP_TOKENS = 512
# What threads that share a group lose by waiting for each other, in tokens of work.
_SHARING_COST = 24


def groups_of(lengths: Sequence[int], num_idle_threads: int) -> list[int]:
    """Tokens of the pieces that threads take one by one, largest first.

    Args:
        lengths: Tokens of each sequence of a batch.
        num_idle_threads: Threads that would begin at once; 1 where others keep them busy.

    Returns:
        A number for each group, or, where all threads share every group, an equal number for each
        thread, with what they lose by it.
    """
    total = sum(lengths)
    own = _spread(lengths, num_idle_threads * (total // (num_idle_threads * _GROUP_TOKENS) + 1))
    if num_idle_threads == 1:
        return own
    num_shared = len(_spread(lengths, total // _MAX_GROUP_TOKENS + 1))
    shared = total // num_idle_threads + _SHARING_COST * num_shared
    if shared < busiest(own, num_idle_threads):
        return [shared] * num_idle_threads
    return own


def busiest(groups: Sequence[int], num_threads: int) -> int:
    """Tokens of the thread that ends last, where each takes the next group as it comes free."""
    loads = [0] * num_threads
    for tokens in groups:
        loads[loads.index(min(loads))] += tokens
    return max(loads)


def _spread(lengths: Sequence[int], num_groups: int) -> list[int]:
    """Sequences, longest first, each to the group that has the least yet (Graham 1969)."""
    groups = [0] * num_groups
    for length in sorted(lengths, reverse=True):
        least = groups.index(min(groups))
        if groups[least] + length > _MAX_GROUP_TOKENS:
            groups.append(length)
        else:
            groups[least] += length
    return sorted((tokens for tokens in groups if tokens), reverse=True)
