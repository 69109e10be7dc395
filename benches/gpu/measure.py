"""Measure an encoder of 137 million parameters with random weights on a GPU; run by run.sh."""

import argparse
import json
import os
import pathlib
import shutil
import subprocess
import sys
import time

import numpy as np

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "embed"))
import compare
import fuse

WIDTH, LAYERS, POSITIONS = 768, 12, 2048
MAX_TOKENS = 512


def make(work, tokenizer_texts):
    """The encoder in fp32 and fp16, with a tokenizer trained on the texts, and a copy whose attentions are fused."""
    import onnx
    import torch
    from onnxruntime.transformers.float16 import convert_float_to_float16
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
    from tokenizers import Tokenizer, models, normalizers, pre_tokenizers, processors, trainers
    from transformers import BertConfig, BertModel, PreTrainedTokenizerFast

    directory, fused = work / "model", work / "fused"
    if (fused / "onnx/model_fp16.onnx").is_file():
        return directory, fused
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    tokenizer.train_from_iterator(tokenizer_texts, trainers.WordPieceTrainer(vocab_size=30522, special_tokens=special))
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    torch.manual_seed(1)
    # 12 layers of BERT's base size, and as many positions as make it about 137 million with gates left out.
    config = BertConfig(
        vocab_size=65024, hidden_size=WIDTH, num_hidden_layers=LAYERS, num_attention_heads=12,
        intermediate_size=3072, max_position_embeddings=POSITIONS,
    )
    model = BertModel(config, add_pooling_layer=False).eval()
    print(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.0f} million parameters")
    plain = work / "plain"
    names = {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=MAX_TOKENS, **names).save_pretrained(plain)
    model.save_pretrained(plain)
    transformer = Transformer(str(plain), max_seq_length=MAX_TOKENS)
    SentenceTransformer(modules=[transformer, Pooling(WIDTH, pooling_mode="mean"), Normalize()]).save_pretrained(
        str(directory)
    )
    fp32, _ = compare.prepare(directory, work / "graphs", int8=False)
    (directory / "onnx").mkdir(exist_ok=True)
    graph = directory / "onnx/model.onnx"
    os.replace(fp32 / "onnx/model.onnx", graph)
    half = convert_float_to_float16(onnx.load(graph), keep_io_types=False)
    shutil.copytree(directory, fused)
    onnx.save(half, directory / "onnx/model_fp16.onnx")
    onnx.save(fuse.fuse(str(graph), 12)[0], fused / "onnx/model_fp16.onnx")
    return directory, fused


class Busy:
    """How much of the time the GPU works, by the driver's own samples."""

    def __enter__(self):
        command = ["nvidia-smi", "--query-gpu=utilization.gpu", "--format=csv,noheader,nounits", "-lms", "100"]
        self.sampler = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        return self

    def __exit__(self, *_):
        self.sampler.terminate()
        samples = [int(line) for line in self.sampler.communicate()[0].split() if line.isdigit()]
        # What comes before the first work and after the last is loading and writing.
        working = [at for at, sample in enumerate(samples) if sample > 0]
        self.samples = samples[working[0] : working[-1] + 1] if working else []


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("embed", "runtime", "store", "work"):
        parser.add_argument(f"--{name}", required=True, type=pathlib.Path)
    parser.add_argument("--texts", type=int, default=50_000)
    parser.add_argument("--peak", type=float, default=989e12, help="multiply-adds count two; dense fp16 of an H100 or H200")
    options = parser.parse_args()
    texts = compare.chunks(options.store, options.texts)
    file = options.work / "texts.json"
    file.write_text(json.dumps(texts))
    directory, fused = make(options.work, texts[:20_000])
    environment = {**os.environ, "ORT_DYLIB_PATH": str(options.runtime)}
    vectors = {}
    for name, model, device in (("fused", fused, "cuda"), ("as exported", directory, "cuda"), ("CPU", directory, "cpu")):
        # The processor would take long for all of them.
        part = texts if device == "cuda" else texts[:500]
        file.write_text(json.dumps(part))
        out = options.work / "vectors.f32"
        command = [options.embed, model, file, out, "--device", device, "--repeat", "5"]
        with Busy() as busy:
            ran = subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True, env=environment)
        said = json.loads(ran.stdout.splitlines()[-1])
        vectors[name] = np.fromfile(out, dtype="<f4").reshape(len(part), -1)
        seconds = sorted(said["seconds"])
        speeds = [len(part) / seconds[at] for at in (-1, len(seconds) // 2, 0)]
        operations = 2 * LAYERS * 12 * WIDTH * WIDTH * said["tokens"]
        print(
            f"{name}, {said['device']}: {' / '.join(f'{speed:.0f}' for speed in speeds)} chunks/s (least, median, most), "
            f"{said['tokens'] / seconds[len(seconds) // 2]:.0f} tokens/s, "
            f"{operations / seconds[len(seconds) // 2] / options.peak:.1%} of peak, batches of {said['batch_tokens']} tokens"
        )
        if device == "cuda" and busy.samples:
            print(f"  GPU busy: mean {np.mean(busy.samples):.0f} %, median {np.median(busy.samples):.0f} %")
    for name in ("fused", "as exported"):
        same = (vectors[name][:500] * vectors["CPU"]).sum(axis=1)
        print(f"cosine of {name} and CPU: {same.min():.5f} at least")
    import torch
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(directory), device="cuda", model_kwargs={"dtype": torch.float16})
    model.encode(texts[:256])
    started = time.perf_counter()
    model.encode(texts, batch_size=256, normalize_embeddings=True)
    print(f"sentence-transformers fp16: {len(texts) / (time.perf_counter() - started):.0f} chunks/s")


if __name__ == "__main__":
    main()
