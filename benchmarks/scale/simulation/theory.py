"""Formulas of queueing theory that the simulation is checked against.

Arrivals are Poisson at `rate` a second. Waiting is before service; a sojourn is both together. All
times are in seconds.
"""

import math

# The sum over multiples of the service time ends where a term is this small a part of the sum.
_PRECISION = 1e-12


def mm1_mean_sojourn(rate: float, service: float) -> float:
    """M/M/1, and M/G/1 shared equally (processor sharing is insensitive to the distribution)."""
    return service / (1 - rate * service)


def mm1_sojourn_quantile(rate: float, service: float, part: float) -> float:
    """M/M/1, first come first served: the sojourn is exponential."""
    return -math.log(1 - part) * mm1_mean_sojourn(rate, service)


def erlang_c(rate: float, service: float, servers: int) -> float:
    """The probability that a job waits in M/M/c (Erlang 1917)."""
    offered = rate * service
    blocking = 1.0
    for number in range(1, servers + 1):
        blocking = offered * blocking / (number + offered * blocking)
    return blocking / (1 - offered / servers * (1 - blocking))


def mmc_mean_waiting(rate: float, service: float, servers: int) -> float:
    """M/M/c, first come first served."""
    return erlang_c(rate, service, servers) * service / (servers - rate * service)


def mg1_mean_waiting(rate: float, service: float, second_moment: float) -> float:
    """M/G/1, first come first served, by Pollaczek and Khinchine.

    Args:
        rate: Arrivals a second.
        service: Mean service time.
        second_moment: Of the service time: the mean of its square.
    """
    return rate * second_moment / (2 * (1 - rate * service))


def md1_mean_waiting(rate: float, service: float) -> float:
    """M/D/1, by Pollaczek and Khinchine."""
    load = rate * service
    return load * service / (2 * (1 - load))


def mdc_mean_waiting(rate: float, service: float, servers: int) -> float:
    """M/D/c, by Crommelin (1932).

    `D * sum over w >= 1 of P(N(aw) >= wc) - c/a * P(N(aw) >= wc + 1)`, where N(m) is Poisson with
    mean m, and a the offered load `rate * service`.
    """
    offered = rate * service
    total, number = 0.0, 1
    while True:
        mean, least = offered * number, number * servers
        term = _poisson_tail(mean, least) - servers / offered * _poisson_tail(mean, least + 1)
        total += term
        if abs(term) < _PRECISION * max(total, 1e-30):
            return total * service
        number += 1


def _poisson_tail(mean: float, least: int) -> float:
    """The probability that a Poisson variable is `least` or more, which is above its mean."""
    term = math.exp(least * math.log(mean) - mean - math.lgamma(least + 1))
    total, number = 0.0, least
    while term > _PRECISION * total:
        total += term
        number += 1
        term *= mean / number
    return total
