"""Compare the speed of writing with llama.cpp: a decoder of DeepSeek-Coder-1.3b's shape with random weights.

    python benches/voice/speed.py make WORK [--kinds fp32,int8,...]
    python benches/voice/speed.py run WORK --write PROGRAM [--prompt N] [--tokens N] [--rounds N] [--kinds fp32,int8,...]

`make` needs `training/tiny/requirements.txt` and `gguf`, 25 GB of disk and 14 GB of memory. It writes, with the same random
weights, an ONNX graph in 32 bits as the usual exporter gives it, what ONNX Runtime's own tools make of that (`int8`: eight
bits, one scale for each column of a matrix; `blocks8` and `blocks4`: a scale for every 32 weights), and files of llama.cpp in
32 bits, Q8_0 and Q4_0, which also have a scale for every 32.

`run` needs llama-cpp-python. PROGRAM is the example `write` of the model crate, built with --release, and ORT_DYLIB_PATH
names the runtime. Each runs in a process of its own, on the same number of threads, in turns; a round reads a prompt and then
writes tokens one by one, greedily. llama.cpp arranges weights for the processor that it finds; with those for AMX,
llama-cpp-python 0.3.36 has been seen to crash on a prompt, and --plain does without. Peak memory is that of the process,
with files that are mapped.
"""

import argparse
import json
import os
import pathlib
import shutil
import statistics
import subprocess
import sys
import time

SEED = 20261126
LAYERS, WIDTH, HEADS, INNER, VOCABULARY, CONTEXT = 24, 2048, 16, 5504, 32256, 16384
PAIRS = {"fp32": "f32", "int8": "q8_0", "blocks8": "q8_0", "blocks4": "q4_0"}
HERE = pathlib.Path(__file__).resolve().parent


def export(model, folder):
    import onnx
    import torch

    sys.path.insert(0, str(HERE.parents[1] / "training/tiny"))
    from decoders import Graph

    past = [torch.randn(1, HEADS, 3, WIDTH // HEADS) for _ in range(2 * LAYERS)]
    inputs = (torch.randint(0, 500, (1, 4)), torch.ones(1, 7, dtype=torch.long), torch.arange(3, 7)[None], *past)
    names = [f"{part}.{layer}.{which}" for part in ("past_key_values", "present") for layer in range(LAYERS)
             for which in ("key", "value")]
    tokens, seen = torch.export.Dim("tokens"), torch.export.Dim("seen")
    shapes = ({1: tokens}, {1: torch.export.Dim.DYNAMIC}, {1: tokens}, tuple({2: seen} for _ in past))
    program = torch.onnx.export(
        Graph(model).eval(), inputs, dynamic_shapes=shapes, dynamo=True, verbose=False,
        input_names=["input_ids", "attention_mask", "position_ids", *names[: 2 * LAYERS]],
        output_names=["logits", *names[2 * LAYERS :]],
    )
    folder.mkdir(parents=True)
    program.save(folder / "model.onnx", external_data=True)
    assert onnx.load(folder / "model.onnx", load_external_data=False).graph.output[0].name == "logits"


def quantise(plain, folder, bits):
    import onnx
    from onnxruntime.quantization import QuantType, quantize_dynamic
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer

    folder.mkdir(parents=True)
    if bits == "int8":
        quantize_dynamic(plain / "model.onnx", folder / "model.onnx", weight_type=QuantType.QInt8, per_channel=True,
                         op_types_to_quantize=["MatMul", "Gemm"], use_external_data_format=True)
        return
    # Accuracy level 4: activations are rounded to eight bits too, as llama.cpp does.
    made = MatMulNBitsQuantizer(onnx.load(plain / "model.onnx"), bits=int(bits), block_size=32, is_symmetric=True,
                                accuracy_level=4)
    made.process()
    made.model.save_model_to_file(str(folder / "model.onnx"), use_external_data_format=True)


def gguf_of(state, file, kind):
    import gguf
    import numpy as np
    from gguf import quants

    sys.path.insert(0, str(HERE))
    from llama_server import begun, tokens

    listed = tokens()
    listed += [(f"<{at}>", gguf.TokenType.NORMAL) for at in range(len(listed), VOCABULARY)]
    ty = getattr(gguf.GGMLQuantizationType, kind.upper())
    out = begun(file, listed, LAYERS, WIDTH, HEADS, INNER, CONTEXT)

    def add(name, of):
        values = state[of].float().numpy()
        if values.ndim == 1:
            out.add_tensor(name, values)
        else:
            out.add_tensor(name, quants.quantize(np.ascontiguousarray(values), ty), raw_dtype=ty)

    add("token_embd.weight", "model.embed_tokens.weight")
    add("output.weight", "lm_head.weight")
    add("output_norm.weight", "model.norm.weight")
    parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm", "attn_q": "self_attn.q_proj",
             "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj", "attn_output": "self_attn.o_proj",
             "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj", "ffn_down": "mlp.down_proj"}
    for layer in range(LAYERS):
        for name, of in parts.items():
            add(f"blk.{layer}.{name}.weight", f"model.layers.{layer}.{of}.weight")
    out.write_header_to_file()
    out.write_kv_data_to_file()
    out.write_tensors_to_file()
    out.close()


def describe(folder, config):
    """What stands beside a graph. Any tokenizer of the family will do, since the prompt is given as tokens, if it has as many."""
    tiny = HERE.parents[1] / "fixtures/models/writers/deepseek"
    shutil.copy(tiny / "tokenizer_config.json", folder)
    tokenizer = json.loads((tiny / "tokenizer.json").read_text())
    taken = [token["id"] for token in tokenizer["added_tokens"]]
    tokenizer["model"]["vocab"] |= {f"<{at}>": at for at in range(max(taken) + 1, VOCABULARY)}
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    said = config | {"architectures": ["LlamaForCausalLM"], "eos_token_id": taken[-1]}
    (folder / "config.json").write_text(json.dumps(said, default=str))


def make(work, kinds):
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    work.mkdir(parents=True, exist_ok=True)
    torch.manual_seed(SEED)
    config = LlamaConfig(hidden_size=WIDTH, intermediate_size=INNER, num_hidden_layers=LAYERS, num_attention_heads=HEADS,
                         num_key_value_heads=HEADS, vocab_size=VOCABULARY, max_position_embeddings=CONTEXT)
    model = LlamaForCausalLM(config).eval()
    state = model.state_dict()
    for kind in sorted({PAIRS[kind] for kind in kinds}):
        file = work / f"{kind}.gguf"
        if not file.is_file():
            gguf_of(state, file, kind)
    plain = work / "fp32"
    if not (plain / "model.onnx").is_file():
        export(model, plain)
    del model, state
    for kind in kinds:
        if kind != "fp32" and not (work / kind / "model.onnx").is_file():
            quantise(plain, work / kind, kind.removeprefix("blocks"))
        describe(work / kind, config.to_dict())


def llama(file, threads, prompt, tokens, repeat, is_plain):
    """Runs in a process of its own."""
    import llama_cpp
    import numpy as np

    if is_plain:
        usual = llama_cpp.llama_cpp.llama_model_default_params

        def params():
            made = usual()
            made.use_extra_bufts = False
            return made

        llama_cpp.llama_cpp.llama_model_default_params = params
    model = llama_cpp.Llama(file, n_ctx=prompt + tokens + 8, n_threads=threads, n_threads_batch=threads, verbose=False)
    asked = (np.random.default_rng(SEED).integers(3, 503, prompt)).tolist()

    rounds = []
    for _ in range(repeat):
        model.reset()
        started = time.perf_counter()
        model.eval(asked)
        first = time.perf_counter()
        for _ in range(tokens - 1):
            scores = llama_cpp.llama_get_logits_ith(model.ctx, -1)
            model.eval([int(np.ctypeslib.as_array(scores, shape=(VOCABULARY,)).argmax())])
        writing = time.perf_counter() - first
        rounds.append({"first_token_seconds": first - started, "tokens_a_second": (tokens - 1) / writing})
    print(json.dumps({"rounds": rounds}))


def run(options):
    shape = [str(options.prompt), str(options.tokens), "1"]
    threads = str(options.threads)
    commands = {}
    for kind in options.kinds.split(","):
        commands[f"precedent {kind}"] = [
            options.write, str(options.work / kind), "--threads", threads, "--prompt", shape[0], "--tokens", shape[1],
            "--repeat", shape[2],
        ]
        pair = PAIRS[kind]
        commands[f"llama.cpp {pair}"] = [
            sys.executable, __file__, "llama", str(options.work / f"{pair}.gguf"), threads, *shape,
            str(int(options.plain)),
        ]
    seen = {name: [] for name in commands}
    peaks = {}
    for at in range(options.rounds):
        for name, command in commands.items():
            timed = subprocess.run(["/usr/bin/time", "-f", "peak %M", *command], capture_output=True, text=True)
            assert timed.returncode == 0, timed.stderr
            seen[name] += json.loads(timed.stdout.splitlines()[-1])["rounds"]
            peaks[name] = int(timed.stderr.split("peak ")[1]) / 1e6
            print(at, name, seen[name][-1], file=sys.stderr)
    spread = lambda values, digits: " / ".join(f"{f(values):.{digits}f}" for f in (min, statistics.median, max))
    print(f"{options.prompt} tokens read, {options.tokens} written, {threads} threads, {options.rounds} rounds in turn")
    for name, rounds in seen.items():
        speeds, firsts = ([one[key] for one in rounds] for key in ("tokens_a_second", "first_token_seconds"))
        print(f"{name:20} {spread(speeds, 2)} tokens/s   first token {spread(firsts, 2)} s   peak {peaks[name]:.1f} GB")
    for kind in options.kinds.split(","):
        pair = zip(seen[f"precedent {kind}"], seen[f"llama.cpp {PAIRS[kind]}"])
        ratios = [(ours["tokens_a_second"] / theirs["tokens_a_second"]) for ours, theirs in pair]
        print(f"{kind} against {PAIRS[kind]}: {spread(ratios, 2)} x")


def main():
    if sys.argv[1:2] == ["llama"]:
        return llama(sys.argv[2], *map(int, sys.argv[3:8]))
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("what", choices=["make", "run"])
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("--write")
    parser.add_argument("--prompt", type=int, default=256)
    parser.add_argument("--tokens", type=int, default=64)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--plain", action="store_true", help="keep llama.cpp from arranging weights for the processor")
    parser.add_argument("--kinds", default=",".join(PAIRS))
    options = parser.parse_args()
    make(options.work, options.kinds.split(",")) if options.what == "make" else run(options)


if __name__ == "__main__":
    main()
