"""Compare the speed of embedding with other libraries: same texts, threads, lengths and precision.

    python benches/embed/compare.py --embed PROGRAM --store DIR --model DIR... --work DIR [--texts N] [--rounds N]
        [--batch N,N...] [--device cuda] [--server URL]

PROGRAM is the example `embed` of the model crate, built with --release. The texts
are chunks of the store, drawn at random, of all lengths. A model is a directory of sentence-transformers with
`model.safetensors`; its ONNX graph and an int8 copy of it are made in the work directory. Others are
sentence-transformers, fastembed and, with --server, text-embeddings-inference, which runs at that address with the same
model. --device says where all but that one compute; int8 is left out on a GPU.

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
import urllib.request
from concurrent.futures import ThreadPoolExecutor

import numpy as np

SEED = 11
# Texts a request to a server, and requests at once.
ASKED, AT_ONCE = 32, 8


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


def limit(plain):
    """Has fastembed, which asks the tokenizer's file, read as many tokens of a text as sentence-transformers."""
    settings = plain / "tokenizer_config.json"
    most = json.loads((plain / "sentence_bert_config.json").read_text())["max_seq_length"]
    settings.write_text(json.dumps(json.loads(settings.read_text()) | {"model_max_length": most, "max_length": most}))


def other(library, model, texts, out, threads, device):
    """Runs in a process of its own."""
    texts = json.loads(pathlib.Path(texts).read_text())
    if library == "sentence-transformers":
        import torch
        from sentence_transformers import SentenceTransformer

        torch.set_num_threads(threads)
        loaded = SentenceTransformer(model, device=device)
        run = lambda texts: loaded.encode(texts, batch_size=32, normalize_embeddings=True)
    elif library == "fastembed":
        from fastembed import TextEmbedding
        from fastembed.common.model_description import ModelSource, PoolingType

        model = pathlib.Path(model)
        first = json.loads((model / "1_Pooling/config.json").read_text()).get("pooling_mode_cls_token")
        TextEmbedding.add_custom_model(
            model="compared", pooling=PoolingType.CLS if first else PoolingType.MEAN, normalization=True,
            sources=ModelSource(hf="compared/compared"), model_file="onnx/model.onnx",
            dim=json.loads((model / "config.json").read_text())["hidden_size"],
        )
        loaded = TextEmbedding("compared", specific_model_path=str(model), threads=threads, cuda=device != "cpu")
        run = lambda texts: np.array(list(loaded.embed(texts, batch_size=32)))
    else:

        def ask(inputs):
            body = json.dumps({"inputs": inputs, "truncate": True, "normalize": True}).encode()
            request = urllib.request.Request(f"{model}/embed", body, {"Content-Type": "application/json"})
            with urllib.request.urlopen(request) as answer:
                return json.load(answer)

        def run(texts):
            parts = [texts[at : at + ASKED] for at in range(0, len(texts), ASKED)]
            with ThreadPoolExecutor(AT_ONCE) as pool:
                return np.array([vector for vectors in pool.map(ask, parts) for vector in vectors])

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


def peak(threads, device, size=2048, rounds=10):
    """Prints how many operations a second a product of matrices comes to. Runs in a process of its own."""
    import torch

    torch.set_num_threads(threads)
    one, two = (torch.rand(size, size, device=device) for _ in range(2))
    best = float("inf")
    for _ in range(rounds):
        started = time.perf_counter()
        (one @ two)[0, 0].item()
        best = min(best, time.perf_counter() - started)
    print(json.dumps(2 * size**3 / best))


def overlap(one, two, sample=300, nearest=10):
    """Share of the ten nearest neighbours that two sets of vectors agree on."""
    shared, sample = 0, min(sample, len(one))
    for at in range(sample):
        best = [set(np.argsort(-(vectors @ vectors[at]))[1 : nearest + 1]) for vectors in (one, two)]
        shared += len(best[0] & best[1])
    return shared / (sample * nearest)


def compare(options, model, file, most):
    """Prints a line for each library and batch size."""
    work = options.work / model.name
    work.mkdir(parents=True, exist_ok=True)
    on_cpu = options.device == "cpu"
    plain, small = prepare(model, work, int8=on_cpu)
    limit(plain)
    threads = str(options.threads)
    own = lambda model, out, *more: [
        options.embed, str(model), str(file), out, "--threads", threads, "--device", options.device, *more
    ]
    others = lambda library, model, out: [
        sys.executable, __file__, "--other", library, str(model), str(file), out, threads, options.device
    ]
    runs = {
        "precedent": lambda out: own(plain, out),
        "precedent int8": lambda out: own(small, out),
        "sentence-transformers": lambda out: others("sentence-transformers", model, out),
        "fastembed": lambda out: others("fastembed", plain, out),
        "text-embeddings-inference": lambda out: others("text-embeddings-inference", options.server, out),
    }
    for size in filter(None, options.batch.split(",")):
        runs[f"precedent {size}"] = lambda out, size=size: own(plain, out, "--batch", size)
    without = {*options.without, *([] if on_cpu else ["precedent int8"]), *([] if options.server else ["text-embeddings-inference"])}
    runs = {name: run for name, run in runs.items() if name not in without}
    best, batches, tokens = {}, {}, None
    for _ in range(options.rounds):
        for name, run in runs.items():
            said = json.loads(start(run(str(work / f"{name.replace(' ', '-')}.f32")), options.threads).splitlines()[-1])
            batches[name] = said.get("batch_tokens")
            best[name] = min(best.get(name, float("inf")), *said["seconds"])
            tokens = said.get("tokens") or tokens
    count = len(json.loads(file.read_text()))
    vectors = {name: np.fromfile(work / f"{name.replace(' ', '-')}.f32", dtype="<f4").reshape(count, -1) for name in runs}
    base = best["sentence-transformers"]
    flops = flops_of_a_token(model)
    print(
        f"{model.name}: {count} texts, {tokens} tokens, {options.device}, {threads} threads, best of {options.rounds}, "
        f"peak {most / 1e9:.0f} GFLOP/s"
    )
    for name, seconds in best.items():
        cosine = (vectors[name] * vectors["sentence-transformers"]).sum(axis=1)
        shared = overlap(vectors[name], vectors["sentence-transformers"])
        print(
            f"{name:26} {count / seconds:8.1f} texts/s {tokens / seconds:9.0f} tokens/s {base / seconds:5.2f}x  "
            f"cosine min {cosine.min():.5f} mean {cosine.mean():.5f}  nearest ten {shared:.3f}  "
            f"batch {batches[name] or '-':>6}  {100 * tokens / seconds * flops / most:5.1f} % of peak"
        )


def start(command, threads):
    environment = os.environ | {"RAYON_NUM_THREADS": str(threads)}
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def main():
    if sys.argv[1:2] == ["--peak"]:
        return peak(int(sys.argv[2]), sys.argv[3])
    if sys.argv[1:2] == ["--other"]:
        return other(*sys.argv[2:6], int(sys.argv[6]), sys.argv[7])
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--embed", required=True)
    parser.add_argument("--store", required=True, type=pathlib.Path)
    parser.add_argument("--model", required=True, type=pathlib.Path, action="append", help="may be given several times")
    parser.add_argument("--work", required=True, type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--without", action="append", default=[])
    parser.add_argument("--batch", default="", help="sizes in tokens, with commas between them")
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--server", default="", help="the address of a text-embeddings-inference")
    options = parser.parse_args()
    if options.server and len(options.model) > 1:
        parser.error("a server has one model, so --server goes with one --model")
    options.work.mkdir(parents=True, exist_ok=True)
    file = options.work / "texts.json"
    file.write_text(json.dumps(chunks(options.store, options.texts)))
    most = json.loads(start([sys.executable, __file__, "--peak", str(options.threads), options.device], options.threads))
    for model in options.model:
        compare(options, model, file, most)


if __name__ == "__main__":
    main()
