"""Brings the weights of a table's tokens closer together, which finds more: python flatten.py TABLE OUTPUT

Each weight is raised to a power below one, another for questions than for documents. README.md says how they were chosen.
"""

import argparse
import os
import shutil

import numpy
from safetensors.numpy import load_file, save_file

QUERY_POWER, DOCUMENT_POWER = 0.7, 0.45


def flatten(tensors, query=QUERY_POWER, document=DOCUMENT_POWER):
    powers = {"query_weight": query, "document_weight": document}
    return {name: (numpy.power(values, powers[name]) if name in powers else values) for name, values in tensors.items()}


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("table", help="a directory that train.py has written")
    parser.add_argument("output", help="the directory that the flattened table is written to")
    parser.add_argument("--query", type=float, default=QUERY_POWER)
    parser.add_argument("--document", type=float, default=DOCUMENT_POWER)
    options = parser.parse_args()
    os.makedirs(options.output, exist_ok=True)
    tensors = load_file(os.path.join(options.table, "model.safetensors"))
    save_file(flatten(tensors, options.query, options.document), os.path.join(options.output, "model.safetensors"))
    shutil.copyfile(os.path.join(options.table, "vocab.txt"), os.path.join(options.output, "vocab.txt"))


if __name__ == "__main__":
    main()
