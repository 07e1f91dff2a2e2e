"""Every method as its paper writes it: loops, float64, no log domain. Slow and plain."""

from __future__ import annotations

import math

import numpy as np
from scipy.stats import norm


def mean_of_best(values, k):
    return float(np.mean(sorted(values, reverse=True)[:k]))


def nnn(s, b, p):
    return [x - p["alpha"] * mean_of_best(b[:, j], int(p["neighbours"])) for j, x in enumerate(s)]


def csls(s, b, p):
    k = int(p["neighbours"])
    return [2 * x - mean_of_best(s, k) - mean_of_best(b[:, j], k) for j, x in enumerate(s)]


def gc(s, b, p):
    return [x - p["alpha"] * float(np.mean(b[:, j])) for j, x in enumerate(s)]


def ratio(x, column, beta):
    return math.exp(beta * x) / np.mean([math.exp(beta * y) for y in column])


def is_(s, b, p):
    return [math.log(ratio(x, b[:, j], p["beta"])) / p["beta"] for j, x in enumerate(s)]


def activated(b, hubs):
    return {j for row in b for j in np.argsort(-row)[:hubs]}


def dis(s, b, p):
    return is_(s, b, p) if int(np.argmax(s)) in activated(b, int(p["hubs"])) else list(s)


def dualis(s, b, p, h):
    beta, other = p["beta"], p["gallery_beta"]
    found = [ratio(x, b[:, j], beta) * ratio(x, h[:, j], other) for j, x in enumerate(s)]
    return [math.log(x) / (beta + other) for x in found]


def dualdis(s, b, p, h):
    beta, other, hubs = p["beta"], p["gallery_beta"], int(p["hubs"])
    best = int(np.argmax(s))
    found = []
    for j, x in enumerate(s):
        one = ratio(x, b[:, j], beta) if best in activated(b, hubs) else math.exp(beta * x)
        two = ratio(x, h[:, j], other) if best in activated(h, hubs) else math.exp(other * x)
        found.append(math.log(one * two) / (beta + other))
    return found


def nicdm(s, b, p):
    k = int(p["neighbours"])
    mu = [np.mean(sorted(math.sqrt(max(0, 2 - 2 * y)) for y in b[:, j])[:k]) for j in range(len(s))]
    return [-((math.sqrt(2 - 2 * x)) ** 2) / 2 / mu[j] for j, x in enumerate(s)]


def zscore(s, b, p):
    return [(x - np.mean(b[:, j])) / np.std(b[:, j]) for j, x in enumerate(s)]


def mp(s, b, p):
    mean, sd = np.mean(s), np.std(s)
    own = [norm.cdf((x - mean) / sd) for x in s]
    items = [norm.cdf((x - np.mean(b[:, j])) / np.std(b[:, j])) for j, x in enumerate(s)]
    return [math.log(x * y) for x, y in zip(own, items, strict=True)]


def sinkhorn(s, b, p):
    """Balance the matrix itself; rows are items, columns the bank."""
    m, n = b.shape
    kernel = np.exp(b.T / p["tau"])
    v = np.ones(m)
    for _ in range(int(p["iterations"])):
        u = 1 / (n * (kernel @ v))
        v = 1 / (m * (kernel.T @ u))
    return [x + p["tau"] * (math.log(u[j]) + math.log(n * m)) for j, x in enumerate(s)]


def dbsn(s, b, p, h):
    """Sinkhorn with the rows of a bank of items below the gallery's; `h` holds its scores with the bank."""
    return sinkhorn([*s, *[0.0] * h.shape[1]], np.hstack([b, h]), p)[: len(s)]


ALL = {"nnn": nnn, "csls": csls, "gc": gc, "is": is_, "dis": dis, "dualis": dualis, "dualdis": dualdis,
       "nicdm": nicdm, "zscore": zscore, "mp": mp, "sinkhorn": sinkhorn, "dbsn": dbsn}  # fmt: skip
