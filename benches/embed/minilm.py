"""Hold precedent to sentence-transformers on real weights: those of all-MiniLM-L6-v2, which a package brings.

    python benches/embed/minilm.py --embed PROGRAM --model DIR --work DIR

PROGRAM is the example `embed` of the model crate, and the model a directory of sentence-transformers. The texts are those
of fixtures/models, and a question in other words than the function that answers it. It fails if a vector has a cosine
below .9999 with that of sentence-transformers, or if another function is nearer to the question.
"""

import argparse
import json
import pathlib
import subprocess
import sys

import numpy as np
from compare import other, prepare

NEAR = 0.9999
QUESTION = "load the rows of a spreadsheet file"
FUNCTIONS = [
    "def read_csv(path):\n    with open(path) as file:\n        return list(csv.reader(file))",
    "fn clamp(value: f64, low: f64, high: f64) -> f64 { value.max(low).min(high) }",
    "func (s *Server) Close() error { s.listener.Close(); return s.wait() }",
    "function debounce(call, wait) { let timer; return () => { clearTimeout(timer); timer = setTimeout(call, wait) } }",
]


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embed", required=True)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    fixtures = pathlib.Path(__file__).resolve().parents[2] / "fixtures/models/texts.json"
    texts = [text for text in json.loads(fixtures.read_text())["documents"] if text.strip()] + [QUESTION, *FUNCTIONS]
    file = options.work / "texts.json"
    file.write_text(json.dumps(texts))
    graph, _ = prepare(options.model, options.work, int8=False)
    outs = [str(options.work / name) for name in ("ours.f32", "theirs.f32")]
    subprocess.run([options.embed, str(graph), str(file), outs[0], "--threads", "2"], check=True)
    other("sentence-transformers", str(options.model), file, outs[1], 2, "cpu")
    ours, theirs = (np.fromfile(out, dtype="<f4").reshape(len(texts), -1) for out in outs)
    cosines = (ours * theirs).sum(axis=1)
    scores = ours[-len(FUNCTIONS) :] @ ours[-len(FUNCTIONS) - 1]
    print(f"{len(texts)} texts, cosine {cosines.min():.7f} at the least; the question's {np.round(scores, 2).tolist()}")
    if not cosines.min() >= NEAR:
        sys.exit(f"error: {texts[int(cosines.argmin())]!r} has a vector of its own")
    if scores.argmax() != 0:
        sys.exit("error: another function is nearer to the question than the one that answers it")


if __name__ == "__main__":
    main()
