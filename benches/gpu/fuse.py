"""Make a graph of BERT's kind faster on a GPU: half precision, with each attention as one operator.

    python benches/gpu/fuse.py GRAPH.onnx OUT.onnx --heads 12

ONNX Runtime's own optimiser knows the attention of older exporters, and not that of torch's present one. Here every
attention, from its three projections to what it puts out, becomes `MultiHeadAttention`, which is told how many tokens of
each row are there instead of a mask; for that it needs padding at the end of rows, as tokenizers put it. Layer norms with
their additions, and biases with GELU, are fused by the optimiser. The result runs on CUDA only.
"""

import argparse
import collections

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.transformers import optimizer
from onnxruntime.transformers.fusion_options import FusionOptions


def lengths(graph):
    """Adds what says how long rows are: lengths, then where each row starts, for questions and for keys."""
    for name, value in (("len_0", 0), ("len_1", 1), ("len_axis", [1])):
        graph.initializer.append(numpy_helper.from_array(np.array(value, np.int64), name))
    node = helper.make_node
    added = [
        node("Shape", ["input_ids"], ["len_shape"]),
        node("Gather", ["len_shape", "len_0"], ["len_rows"], axis=0),
        node("Gather", ["len_shape", "len_1"], ["len_row"], axis=0),
        node("ReduceSum", ["attention_mask", "len_axis"], ["len_tokens"], keepdims=0),
        node("Add", ["len_rows", "len_1"], ["len_bounds"]),
        node("Mul", ["len_bounds", "len_row"], ["len_end"]),
        node("Range", ["len_0", "len_end", "len_row"], ["len_starts"]),
        node("Concat", ["len_tokens", "len_starts", "len_starts"], ["len_all"], axis=0),
        node("Cast", ["len_all"], ["len_mask"], to=TensorProto.INT32),
    ]
    graph.node.extend(added)
    return "len_mask"


def fuse(source, heads):
    """The optimised model with its attentions fused, in half precision."""
    width = heads * 64
    model = optimizer.optimize_model(
        source, model_type="bert", num_heads=heads, hidden_size=width,
        optimization_options=FusionOptions("bert"), opt_level=0, use_gpu=True,
    )
    graph = model.model.graph
    made_by = {name: node for node in graph.node for name in node.output}
    used_by = collections.defaultdict(list)
    for node in graph.node:
        for name in node.input:
            used_by[name].append(node)

    def back(name, kind):
        node = made_by[name]
        while node.op_type != kind:
            node = made_by[node.input[0]]
        return node

    mask, count = lengths(graph), 0
    for softmax in [node for node in graph.node if node.op_type == "Softmax"]:
        scores = made_by[softmax.input[0]]
        while scores.op_type != "MatMul":
            scores = next(made_by[name] for name in scores.input if name in made_by and made_by[name].op_type in ("Mul", "MatMul"))
        (mixed,) = used_by[softmax.output[0]]
        (turned,) = used_by[mixed.output[0]]
        (result,) = used_by[turned.output[0]]
        assert (mixed.op_type, turned.op_type, result.op_type) == ("MatMul", "Transpose", "Reshape"), "another attention"
        parts = [back(name, "Add").output[0] for name in (*scores.input[:2], mixed.input[1])]
        name = result.output[0]
        result.output[0] = name + "_before"
        graph.node.append(
            helper.make_node("MultiHeadAttention", [*parts, "", mask], [name], domain="com.microsoft", num_heads=heads)
        )
        count += 1
    assert count, "no attention was found"
    model.prune_graph()
    model.topological_sort()
    model.convert_float_to_float16(keep_io_types=False)
    return model.model, count


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("graph")
    parser.add_argument("out")
    parser.add_argument("--heads", type=int, default=12, help="of 64 components each")
    options = parser.parse_args()
    model, count = fuse(options.graph, options.heads)
    onnx.save(model, options.out)
    print(f"{count} attentions fused, {len(model.graph.node)} nodes")


if __name__ == "__main__":
    main()
