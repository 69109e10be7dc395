"""Make graphs that are unlike the usual ones, for tests of what is refused and what is understood.

    python training/tiny/odd.py fixtures/models/odd

Each looks up a row of four values a token, and gives them in its own way. All go with the tokenizer of the tiny BERT.
"""

import pathlib
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

ROWS, WIDTH = 384, 4
# The tokens of `0` and `1` in the tiny BERT's vocabulary are looked up where they are needed.
INT, FLOAT, HALF = TensorProto.INT64, TensorProto.FLOAT, TensorProto.FLOAT16


def table(**rows):
    values = np.random.default_rng(7).normal(size=(ROWS, WIDTH)).astype(np.float32)
    for row, value in rows.items():
        values[int(row[1:])] = value
    return numpy_helper.from_array(values, "table")


def model(nodes, inputs, outputs, initializers):
    graph = helper.make_graph(nodes, "odd", inputs, outputs, initializers)
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    onnx.checker.check_model(made)
    return made


def tensor(name, kind, *shape):
    return helper.make_tensor_value_info(name, kind, shape)


def main():
    target = pathlib.Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    vocabulary = __import__("json").loads((target.parent / "bert/tokenizer.json").read_text())["model"]["vocab"]
    look_up = helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])
    ids = tensor("input_ids", INT, "batch", "tokens")
    mask = tensor("attention_mask", INT, "batch", "tokens")
    hidden = tensor("last_hidden_state", FLOAT, "batch", "tokens", WIDTH)
    mean = helper.make_node("ReduceMean", ["last_hidden_state"], ["sentence_embedding"], axes=[1], keepdims=0)
    first = helper.make_node("Gather", ["last_hidden_state", "zero"], ["pooler_output"], axis=1)
    zero = numpy_helper.from_array(np.array(0, dtype=np.int64), "zero")
    made = {
        "plain": model([look_up], [ids], [hidden], [table()]),
        "renamed": model(
            [helper.make_node("Gather", ["table", "words"], ["last_hidden_state"])],
            [tensor("words", INT, "batch", "tokens")], [hidden], [table()],
        ),
        "stranger": model(
            [look_up], [ids, tensor("pixel_values", FLOAT, "batch", 3)], [hidden], [table()],
        ),
        "fixed": model(
            [look_up], [tensor("input_ids", INT, 2, 8)], [tensor("last_hidden_state", FLOAT, 2, 8, WIDTH)], [table()],
        ),
        "outputs": model(
            [look_up, first], [ids, mask], [tensor("pooler_output", FLOAT, "batch", WIDTH), hidden], [table(), zero],
        ),
        "pooled": model(
            [look_up, mean], [ids], [hidden, tensor("sentence_embedding", FLOAT, "batch", WIDTH)], [table()],
        ),
        "classes": model(
            [look_up, first, helper.make_node("Identity", ["pooler_output"], ["logits"])], [ids],
            [tensor("pooler_output", FLOAT, "batch", WIDTH), tensor("logits", FLOAT, "batch", WIDTH)], [table(), zero],
        ),
        "narrow": model(
            [helper.make_node("Gather", ["table", "input_ids"], ["wide"]),
             helper.make_node("Cast", ["wide"], ["last_hidden_state"], to=HALF)],
            [tensor("input_ids", TensorProto.INT32, "batch", "tokens")],
            [tensor("last_hidden_state", HALF, "batch", "tokens", WIDTH)], [table()],
        ),
        # The row of `b` is not a number, and no text with only `c`, whatever stands around it, has a direction.
        "broken": model(
            [look_up], [ids], [hidden],
            [table(**{f"r{vocabulary['b']}": np.nan, f"r{vocabulary['c']}": 0, "r2": 0, "r3": 0})],
        ),
    }
    for name, graph in made.items():
        onnx.save(graph, target / f"{name}.onnx")
    # The plain one again, with its table in a file beside it.
    onnx.save(
        model([look_up], [ids], [hidden], [table()]), target / "beside.onnx", save_as_external_data=True,
        location="model.onnx_data", size_threshold=0,
    )


if __name__ == "__main__":
    main()
