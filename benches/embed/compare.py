"""Compare the speed of embedding with sentence-transformers and fastembed: same texts, threads and precision.

    python benches/embed/compare.py --embed PROGRAM --store DIR --model DIR [--texts N] [--rounds N] [--batch N,N...]

PROGRAM is the example `embed` of the model crate, built with --release. The texts
are chunks of the store, drawn at random, of all lengths. The model is a directory of sentence-transformers with
`model.safetensors`; its ONNX graph and an int8 copy of it are made beside it in a work directory.

Each library runs in a process of its own, in turns, and the best of the rounds counts. All threads of ours are bounded,
those that tokenise too. Vectors are compared by cosine, and what int8 loses is the overlap of the ten nearest neighbours
of each text. With --batch precedent runs with batches of so many tokens as well, beside the size that it finds by itself.

The last column is the share of the processor's peak: the multiplications of the model's layers, without those of
attention and of padding, over those of a large product of fp32 matrices on as many threads, as torch computes it.
"""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

SEED = 11


def chunks(store, count):
    import pyarrow.parquet as parquet

    texts = []
    for shard in sorted((store / "chunks").glob("*.parquet")):
        texts += parquet.read_table(shard, columns=["text"])["text"].to_pylist()
    texts = sorted(set(text for text in texts if text.strip()))
    order = np.random.default_rng(SEED).permutation(len(texts))[:count]
    return [texts[at] for at in order]


def prepare(source, work, int8=True):
    """The model with its graph in fp32 and in int8, each in a directory of its own."""
    import torch
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from transformers import AutoModel

    plain, small = work / "fp32", work / "int8"
    for directory in (plain, small):
        if not directory.is_dir():
            shutil.copytree(source, directory, ignore=shutil.ignore_patterns("*.safetensors", "*.bin", "onnx"))
    graph = plain / "onnx/model.onnx"
    if not graph.is_file():
        graph.parent.mkdir(parents=True, exist_ok=True)
        model = AutoModel.from_pretrained(source, attn_implementation="eager").eval()

        class Hidden(torch.nn.Module):
            def forward(self, input_ids, attention_mask, token_type_ids):
                output = model(input_ids=input_ids, attention_mask=attention_mask, token_type_ids=token_type_ids)
                return output.last_hidden_state

        ids = torch.randint(5, 1000, (2, 9))
        names = ["input_ids", "attention_mask", "token_type_ids"]
        axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
        program = torch.onnx.export(
            Hidden(), (ids, torch.ones_like(ids), torch.zeros_like(ids)), input_names=names,
            output_names=["last_hidden_state"], dynamic_shapes=(axes,) * 3, dynamo=True, verbose=False,
        )
        program.save(str(graph), external_data=False)
    quantised = small / "onnx/model.onnx"
    if int8 and not quantised.is_file():
        quantised.parent.mkdir(parents=True, exist_ok=True)
        quantize_dynamic(graph, quantised, weight_type=QuantType.QInt8, per_channel=True)
    return plain, small


def other(library, model, texts, out, threads):
    """Runs in a process of its own."""
    texts = json.loads(pathlib.Path(texts).read_text())
    if library == "sentence-transformers":
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        loaded = SentenceTransformer(model, device="cpu")
        run = lambda texts: loaded.encode(texts, batch_size=32, normalize_embeddings=True)
    else:
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        TextEmbedding.add_custom_model(
            model="compared", pooling=PoolingType.MEAN, normalization=True, sources=ModelSource(hf="compared/compared"),
            dim=384, model_file="onnx/model.onnx",
        )
        loaded = TextEmbedding("compared", specific_model_path=model, threads=threads)
        run = lambda texts: np.array(list(loaded.embed(texts, batch_size=32)))
    run(texts[:64])
    started = time.perf_counter()
    vectors = run(texts)
    seconds = time.perf_counter() - started
    np.asarray(vectors, dtype="<f4").tofile(out)
    print(json.dumps({"seconds": [seconds]}))


def flops_of_a_token(model):
    """Of the layers' matrices: four for attention and two behind it, a multiplication and an addition each."""
    config = json.loads((model / "config.json").read_text())
    width, layers, inner = (config[name] for name in ("hidden_size", "num_hidden_layers", "intermediate_size"))
    return 2 * layers * (4 * width * width + 2 * width * inner)


def peak(threads, size=2048, rounds=10):
    """Prints how many operations a second a product of matrices comes to. Runs in a process of its own."""
    import torch

    torch.set_num_threads(threads)
    one, two = torch.rand(size, size), torch.rand(size, size)
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        one @ two
        best = min(best, time.perf_counter() - started)
    print(json.dumps(2 * size**3 / best))


def overlap(one, two, sample=300, nearest=10):
    """Share of the ten nearest neighbours that two sets of vectors agree on."""
    shared, sample = 0, min(sample, len(one))
    for at in range(sample):
        best = [set(np.argsort(-(vectors @ vectors[at]))[1 : nearest + 1]) for vectors in (one, two)]
        shared += len(best[0] & best[1])
    return shared / (sample * nearest)


def main():
    if sys.argv[1:2] == ["--peak"]:
        return peak(int(sys.argv[2]))
    if sys.argv[1:2] == ["--other"]:
        return other(*sys.argv[2:6], int(sys.argv[6]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embed", required=True)
    parser.add_argument("--store", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True, type=pathlib.Path)
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--batch", default="", help="sizes in tokens, with commas between them")
    options = parser.parse_args()
    options.work.mkdir(parents=True, exist_ok=True)
    file = options.work / "texts.json"
    file.write_text(json.dumps(chunks(options.store, options.texts)))
    plain, small = prepare(options.model, options.work)
    threads = str(options.threads)
    own = lambda model, out, *more: [options.embed, str(model), str(file), out, "--threads", threads, *more]
    others = lambda library, model, out: [sys.executable, __file__, "--other", library, str(model), str(file), out, threads]
    runs = {
        "precedent": lambda out: own(plain, out),
        "precedent int8": lambda out: own(small, out),
        "sentence-transformers": lambda out: others("sentence-transformers", options.model, out),
        "fastembed": lambda out: others("fastembed", plain, out),
    }
    for size in filter(None, options.batch.split(",")):
        runs[f"precedent {size}"] = lambda out, size=size: own(plain, out, "--batch", size)
    runs = {name: run for name, run in runs.items() if name not in options.without}
    best, batches, tokens = {}, {}, None
    environment = os.environ | {"RAYON_NUM_THREADS": threads}
    start = lambda command: subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout
    limit = json.loads(start([sys.executable, __file__, "--peak", threads]))
    for _ in range(options.rounds):
        for name, run in runs.items():
            command = run(str(options.work / f"{name.replace(' ', '-')}.f32"))
            said = json.loads(start(command).splitlines()[-1])
            batches[name] = said.get("batch_tokens")
            best[name] = min(best.get(name, float("inf")), *said["seconds"])
            tokens = said.get("tokens") or tokens
    count = len(json.loads(file.read_text()))
    vectors = {
        name: np.fromfile(options.work / f"{name.replace(' ', '-')}.f32", dtype="<f4").reshape(count, -1) for name in runs
    }
    base = best["sentence-transformers"]
    work = flops_of_a_token(options.model)
    print(f"{count} texts, {tokens} tokens, {threads} threads, best of {options.rounds}, peak {limit / 1e9:.0f} GFLOP/s")
    for name, seconds in best.items():
        cosine = (vectors[name] * vectors["sentence-transformers"]).sum(axis=1)
        shared = overlap(vectors[name], vectors["sentence-transformers"])
        print(
            f"{name:24} {count / seconds:8.1f} texts/s {tokens / seconds:9.0f} tokens/s {base / seconds:5.2f}x  "
            f"cosine min {cosine.min():.5f} mean {cosine.mean():.5f}  nearest ten {shared:.3f}  "
            f"batch {batches[name] or '-':>6}  {100 * tokens / seconds * work / limit:5.1f} % of peak"
        )


if __name__ == "__main__":
    main()
