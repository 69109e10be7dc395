"""Make the tiny models in fixtures/models, and the vectors that sentence-transformers and model2vec give for them.

    python training/tiny/make.py fixtures/models [NAME...]

Their weights are random: they stand for an architecture, and mean nothing. Three are ONNX graphs with the files of
sentence-transformers beside them (BERT with mean pooling, ModernBERT, whose positions are rotations, with the first
token, and Qwen3, a decoder, with the last token and prompts), one is a static model in model2vec's layout.

texts.json holds the texts, cut from this repository's own sources. vectors.f32 beside each model holds one unit vector
a text in little-endian f32, and one more for each of the questions.
"""

import json
import pathlib
import random
import shutil
import sys
import tempfile

import numpy as np
import torch
from sentence_transformers import SentenceTransformer
from sentence_transformers.sentence_transformer.modules import Normalize, Pooling, Transformer
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, processors, trainers
from transformers import (
    BertConfig,
    BertModel,
    ModernBertConfig,
    ModernBertModel,
    PreTrainedTokenizerFast,
    Qwen3Config,
    Qwen3Model,
)

SEED = 20261122
TEXTS = 500
QUESTIONS = ["parse a date", "where is the lock taken?", "größte Länge", "x"]
WIDTH = 32
VOCABULARY = 384
QWEN_SPLIT = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def texts_of(root):
    """Pieces of this repository's sources from one line to some hundred, and a few that are unlike any source."""
    lines = []
    for path in sorted((root / "model/src").rglob("*.rs")) + sorted((root / "docs").glob("*.md")):
        lines += path.read_text().splitlines()
    pick = random.Random(SEED)
    texts = ["", " ", "x", "\n\n\t", "naïve Größe 東京 🦀", "  indented\n    more", "a" * 300, "1 2 3 " * 200]
    while len(texts) < TEXTS:
        start, length = pick.randrange(len(lines)), int(2 ** pick.uniform(0, 5))
        text = "\n".join(lines[start : start + length])[:800]
        if text.strip() and text not in texts:
            texts.append(text)
    return texts


def word_pieces(texts):
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=True)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    trainer = trainers.WordPieceTrainer(vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer, {"unk_token": "[UNK]", "pad_token": "[PAD]", "cls_token": "[CLS]", "sep_token": "[SEP]"}


def byte_pairs(texts, split, single):
    tokenizer = Tokenizer(models.BPE())
    byte_level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=split is None)
    parts = [byte_level]
    if split is not None:
        parts.insert(0, pre_tokenizers.Split(Regex(split), "isolated"))
    tokenizer.pre_tokenizer = pre_tokenizers.Sequence(parts)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=["<|pad|>", "<|start|>", "<|end|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator(texts, trainer)
    tokenizer.post_processor = processors.TemplateProcessing(
        single=single, special_tokens=[("<|start|>", 1), ("<|end|>", 2)]
    )
    return tokenizer, {"pad_token": "<|pad|>", "cls_token": "<|start|>", "eos_token": "<|end|>"}


class Graph(torch.nn.Module):
    """A model with the inputs and the output that exporters give it."""

    def __init__(self, model):
        super().__init__()
        self.model = model

    def forward(self, input_ids, attention_mask, token_type_ids=None):
        more = {} if token_type_ids is None else {"token_type_ids": token_type_ids}
        if hasattr(self.model.config, "use_cache"):
            more["use_cache"] = False
        return self.model(input_ids=input_ids, attention_mask=attention_mask, **more).last_hidden_state


def export(model, types, file):
    ids = torch.randint(5, VOCABULARY, (2, 9))
    inputs = [ids, torch.ones_like(ids)] + ([torch.zeros_like(ids)] if types else [])
    names = ["input_ids", "attention_mask"] + (["token_type_ids"] if types else [])
    file.parent.mkdir(parents=True, exist_ok=True)
    axes = {0: torch.export.Dim.DYNAMIC, 1: torch.export.Dim.DYNAMIC}
    program = torch.onnx.export(
        Graph(model).eval(),
        tuple(inputs),
        input_names=names,
        output_names=["last_hidden_state"],
        dynamic_shapes=(axes,) * len(inputs),
        dynamo=True,
        verbose=False,
    )
    # Weights in the graph's own file, and no trace of the place where it was made.
    for node in program.model.graph.all_nodes() if hasattr(program.model.graph, "all_nodes") else program.model.graph:
        node.metadata_props.clear()
    program.save(str(file), external_data=False)


def encoder(directory, model, tokenizer, special, pooling, max_tokens, prompts, types, texts):
    torch.manual_seed(SEED)
    for parameter in model.parameters():
        # Wide enough that vectors differ: the usual start is made for training, not for telling texts apart.
        if parameter.dim() > 1:
            torch.nn.init.normal_(parameter, std=0.25)
    model.eval()
    with tempfile.TemporaryDirectory() as work:
        PreTrainedTokenizerFast(tokenizer_object=tokenizer, model_max_length=max_tokens, **special).save_pretrained(work)
        model.save_pretrained(work)
        transformer = Transformer(work, max_seq_length=max_tokens)
        sentence = SentenceTransformer(
            modules=[transformer, Pooling(WIDTH, pooling_mode=pooling), Normalize()], prompts=prompts, device="cpu"
        )
        saved = pathlib.Path(work) / "saved"
        sentence.save_pretrained(str(saved))
        for name in ["config.json", "modules.json", "1_Pooling/config.json", "config_sentence_transformers.json",
                     "sentence_bert_config.json", "tokenizer_config.json", "tokenizer.json"]:
            if (saved / name).is_file():
                (directory / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy(saved / name, directory / name)
        # What is compared with is loaded from the same files, as others would load them.
        loaded = SentenceTransformer(str(saved), device="cpu")
        documents = loaded.encode_document(texts, batch_size=1, normalize_embeddings=True)
        queries = loaded.encode_query(QUESTIONS, batch_size=1, normalize_embeddings=True)
    np.concatenate([documents, queries]).astype("<f4").tofile(directory / "vectors.f32")
    export(model, types, directory / "onnx/model.onnx")


def static(directory, texts):
    from model2vec import StaticModel

    tokenizer, _ = word_pieces(texts)
    tokenizer.post_processor = None
    generator = np.random.default_rng(SEED)
    size = tokenizer.get_vocab_size()
    # Tokens share rows, and have weights.
    mapping = generator.integers(0, size // 2, size)
    vectors = generator.normal(size=(size // 2, WIDTH)).astype(np.float32)
    weights = generator.uniform(0.1, 1.0, size).astype(np.float32)
    model = StaticModel(vectors, tokenizer, config={}, normalize=True, weights=weights, token_mapping=mapping)
    model.save_pretrained(directory)
    (directory / "README.md").unlink(missing_ok=True)
    (directory / "modules.json").unlink(missing_ok=True)
    loaded = StaticModel.from_pretrained(directory)
    loaded.encode(texts + QUESTIONS).astype("<f4").tofile(directory / "vectors.f32")
    loaded.encode(long_texts(texts)).astype("<f4").tofile(directory / "long.f32")


def long_texts(texts):
    """Texts of which model2vec reads the first characters, and of those the first tokens."""
    return ["\n".join(texts), "\n".join(reversed(texts)), "größe東京 " * 2000, "( ) " * 2000]


def main():
    target, wanted = pathlib.Path(sys.argv[1]), sys.argv[2:] or ["bert", "rope", "decoder", "static"]
    root = pathlib.Path(__file__).resolve().parents[2]
    file = target / "texts.json"
    target.mkdir(parents=True, exist_ok=True)
    # Texts that are there stay, since the sources go on changing.
    if not file.is_file():
        file.write_text(json.dumps({"documents": texts_of(root), "questions": QUESTIONS}, ensure_ascii=False, indent=0))
    texts = json.loads(file.read_text())["documents"]
    torch.manual_seed(SEED)
    common = {"hidden_size": WIDTH, "num_hidden_layers": 2, "num_attention_heads": 4}

    if "bert" in wanted:
        tokenizer, special = word_pieces(texts)
        config = BertConfig(vocab_size=VOCABULARY, intermediate_size=64, max_position_embeddings=128, **common)
        model = BertModel(config, add_pooling_layer=False)
        encoder(target / "bert", model, tokenizer, special, "mean", 96, {}, True, texts)
    if "rope" in wanted:
        tokenizer, special = byte_pairs(texts, None, "<|start|> $A <|end|>")
        config = ModernBertConfig(
            vocab_size=VOCABULARY, intermediate_size=48, max_position_embeddings=256, global_attn_every_n_layers=2,
            local_attention=16, pad_token_id=0, cls_token_id=1, sep_token_id=2, bos_token_id=1, eos_token_id=2,
            attn_implementation="eager", **common,
        )
        encoder(target / "rope", ModernBertModel(config), tokenizer, special, "cls", 128, {}, False, texts)
    if "decoder" in wanted:
        tokenizer, special = byte_pairs(texts, QWEN_SPLIT, "$A <|end|>")
        config = Qwen3Config(
            vocab_size=VOCABULARY, intermediate_size=48, head_dim=8, num_key_value_heads=2, max_position_embeddings=256,
            pad_token_id=0, bos_token_id=1, eos_token_id=2, attn_implementation="eager", **common,
        )
        prompts = {"query": "Instruct: find code\nQuery: ", "document": "Code:\n"}
        encoder(target / "decoder", Qwen3Model(config), tokenizer, special, "lasttoken", 128, prompts, False, texts)
    if "static" in wanted:
        static(target / "static", texts)



if __name__ == "__main__":
    main()
