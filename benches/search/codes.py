"""Measures what a code of one, two or four bits a dimension is worth, with and without a random rotation.

Usage: codes.py STORE [--clusters 400] [--every 3] [--questions 100]

For every so-manieth vector of a store, and questions that are such vectors with as much noise added, it prints the part
of the exact ten nearest that is among the best 20, 50, 100 … by estimates from codes: those vectors would be compared in a
second stage. Codes are of what is left of a vector without the centre of its cluster; estimates are scaled to be unbiased
as RaBitQ's, or by least squares.
"""

import argparse
import pathlib

import faiss
import numpy

from compare import COUNT, DIMENSION, read_vectors

COMPARED = (20, 50, 100, 200, 400)
# Where to cut a normal distribution in four, and the means of the parts: Max, "Quantizing for minimum distortion", 1960.
QUARTERS = (0.9816, 0.4528, 1.510)
# The same for sixteen parts of equal width.
SIXTEENTH = 0.3352


def levels(rest: numpy.ndarray, bits: int) -> numpy.ndarray:
    if bits == 1:
        return numpy.sign(rest)
    spread = numpy.linalg.norm(rest, axis=1, keepdims=True) / DIMENSION**0.5
    scaled = rest / numpy.maximum(spread, 1e-9)
    if bits == 2:
        cut, inner, outer = QUARTERS
        return numpy.where(numpy.abs(scaled) < cut, inner, outer) * numpy.sign(scaled)
    return (numpy.clip(numpy.floor(scaled / SIXTEENTH), -8, 7) + 0.5) * SIXTEENTH


def main() -> None:
    parser = argparse.ArgumentParser(description="Measures codes of vectors.")
    parser.add_argument("store", metavar="STORE", type=pathlib.Path)
    parser.add_argument("--clusters", type=int, default=400)
    parser.add_argument("--every", type=int, default=3)
    parser.add_argument("--questions", type=int, default=100)
    arguments = parser.parse_args()
    values, scales = read_vectors([arguments.store])
    vectors = (values.astype(numpy.float32) * scales[:, None])[:: arguments.every]
    random = numpy.random.default_rng(0)
    questions = vectors[random.integers(0, len(vectors), arguments.questions)]
    questions = questions + 0.9 / DIMENSION**0.5 * random.normal(size=questions.shape).astype(numpy.float32)
    exact = numpy.argsort(-(questions @ vectors.T), axis=1)[:, :COUNT]
    rotation = numpy.linalg.qr(random.normal(size=(DIMENSION, DIMENSION)))[0].astype(numpy.float32)
    print(f"{len(vectors)} vectors; recall@{COUNT} among the best {', '.join(map(str, COMPARED))}")
    for clusters in (1, arguments.clusters):
        trained = faiss.Kmeans(DIMENSION, clusters, niter=4, spherical=clusters > 1, seed=1, max_points_per_centroid=64)
        trained.train(vectors)
        nearest = trained.index.search(vectors, 1)[1][:, 0]
        rest = vectors - trained.centroids[nearest]
        base = (questions @ trained.centroids.T)[:, nearest]
        for rotated in (False, True):
            turned, asked = (rest @ rotation, questions @ rotation) if rotated else (rest, questions)
            for bits in (1, 2, 4):
                code = levels(turned, bits).astype(numpy.float32)
                along = (code * turned).sum(axis=1)
                for scaling, step in (
                    ("unbiased", (turned * turned).sum(axis=1) / numpy.maximum(along, 1e-9)),
                    ("least squares", along / numpy.maximum((code * code).sum(axis=1), 1e-9)),
                ):
                    order = numpy.argsort(-(base + asked @ code.T * step), axis=1)
                    found = [
                        numpy.mean([len(set(one) & set(two)) / COUNT for one, two in zip(exact, order[:, :compared])])
                        for compared in COMPARED
                    ]
                    shown = " ".join(f"{value:.3f}" for value in found)
                    print(f"{clusters:>5} clusters, {'rotated' if rotated else 'plain':<7} {bits} bit {scaling:<13} {shown}")


if __name__ == "__main__":
    main()
