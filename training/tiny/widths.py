"""Make graphs of narrower weights of a tiny decoder, and what ONNX Runtime writes with them.

    python training/tiny/widths.py fixtures/models/writers

They lie in `widths`, with the names that exporters give them: onnx/model_fp16.onnx (keys and values too), model_int8.onnx and
model_q4.onnx, all made of the graph of `qwen`, whose other files are copied. expected.json holds for each graph what it writes greedily
behind the prompts of `qwen`, where no choice hangs on rounding.
"""

import json
import pathlib
import shutil
import sys

import numpy as np
import onnx
import onnxruntime
from onnxruntime.quantization import QuantType, quantize_dynamic
from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer
from onnxruntime.transformers.float16 import convert_float_to_float16

LENGTH = 16
PROMPTS = 25
# Another machine's kernels add up in another order.
LEAST_LEAD = {"fp16": 2e-2, "int8": 2e-2, "q4": 1e-3}


def graphs(source, folder):
    folder.mkdir(parents=True, exist_ok=True)
    half = convert_float_to_float16(onnx.load(source), keep_io_types=False)
    onnx.save(half, folder / "model_fp16.onnx")
    # With the whole range, products of bytes overflow on CPUs without VNNI, and another machine writes something else.
    quantize_dynamic(source, folder / "model_int8.onnx", weight_type=QuantType.QInt8, reduce_range=True)
    quantizer = MatMulNBitsQuantizer(onnx.load(source), block_size=32, is_symmetric=True)
    quantizer.process()
    onnx.save(quantizer.model.model, folder / "model_q4.onnx")


def steps(session, ids):
    """The tokens that follow, and whether each leads by enough."""
    past = {i.name: np.zeros((1, i.shape[1], 0, i.shape[3]), np.float16 if "16" in i.type else np.float32)
            for i in session.get_inputs() if i.name.startswith("past")}
    names = [o.name for o in session.get_outputs()]
    seen, part, out, least = 0, list(ids), [], float("inf")
    while True:
        seen += len(part)
        feed = {
            "input_ids": np.array([part], np.int64),
            "attention_mask": np.ones((1, seen), np.int64),
            "position_ids": np.arange(seen - len(part), seen, dtype=np.int64)[None],
            **past,
        }
        got = dict(zip(names, session.run(None, feed)))
        logits = got["logits"][0, -1].astype(np.float32)
        first, second = np.sort(logits)[::-1][:2]
        least = min(least, float(first - second))
        out.append(int(logits.argmax()))
        if len(out) == LENGTH:
            return out, least
        past = {name: got[name.replace("past_key_values", "present")] for name in past}
        part = out[-1:]


def main():
    target = pathlib.Path(sys.argv[1])
    source, folder = target / "qwen", target / "widths"
    graphs(source / "model.onnx", folder / "onnx")
    for name in ["config.json", "tokenizer.json", "tokenizer_config.json"]:
        shutil.copy(source / name, folder / name)
    ends = json.loads((source / "config.json").read_text())["eos_token_id"]
    prompts = json.loads((source / "expected.json").read_text())["prompts"]
    expected = {}
    for width, lead in LEAST_LEAD.items():
        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        session = onnxruntime.InferenceSession(folder / "onnx" / f"model_{width}.onnx", options)
        kept = []
        for prompt in prompts:
            written, least = steps(session, prompt["tokens"])
            if least > lead and not set(written) & set(ends) and len(kept) < PROMPTS:
                kept.append({"tokens": prompt["tokens"], "greedy": written})
        print(width, len(kept))
        expected[width] = kept
    (folder / "expected.json").write_text(json.dumps(expected) + "\n")


if __name__ == "__main__":
    main()
