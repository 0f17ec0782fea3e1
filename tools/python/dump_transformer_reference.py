#!/usr/bin/env python3
"""Dumps a small pre-norm transformer, written here a second time in plain torch, for tests/nn/transformer_reference_test.cpp.

    pip install torch==2.11.0 numpy safetensors
    tools/python/dump_transformer_reference.py tests/fixtures/nn

OUT_DIR/transformer_{geglu_packed,gelu_positions,geglu_positions}.safetensors hold
    weight.NAME, head   parameters, by the names that mugato gives them
    x                   (B,S,D) embedded tokens
    documents           (n,3): row, first slot, length
    slots, targets      (K): row * S + slot, and the id that the slot predicts
    hidden, logits      what comes out: (B,S,D), zero at pads, and (K,V)
    loss                sum of the K negative log-likelihoods
    grad.NAME, grad.head, grad.x   the gradients of the loss
and the sizes in their metadata. Everything is computed in float64; weights are exact in float32 and stored so.
Shape legend: B rows, S slots, D width, H heads, d = D / H, V vocabulary, K targets, n tokens of a document.
"""
import argparse
import math
import pathlib

import torch
from safetensors.torch import save_file

WIDTH, HEADS, BLOCKS, FFN, VOCABULARY, CONTEXT = 16, 2, 2, 20, 13, 14
CASES = {  # activation, learned global positions, lengths of the documents of each row
    "geglu_packed": ("geglu", False, [[5, 1, 4], [12], [3, 6]]),
    "gelu_positions": ("gelu", True, [[7, 5], [1, 2, 3]]),
    "geglu_positions": ("geglu", True, [[12], [12]]),
}
SLOTS = 12


def layer_norm(x, weight, bias):
    mean = x.mean(-1, keepdim=True)
    variance = ((x - mean) ** 2).mean(-1, keepdim=True)
    return (x - mean) / torch.sqrt(variance + 1e-5) * weight + bias


def gelu(x):
    return x * 0.5 * (1.0 + torch.erf(x / math.sqrt(2.0)))


def attention(x, w, block):
    """Of one document (n,D): softmax over all slots, those to come set to minus infinity."""
    n, d = x.shape[0], WIDTH // HEADS
    q, k, v = (x @ w[block + "qkv_weight"].T + w[block + "qkv_bias"]).split(WIDTH, dim=1)
    heads = []
    for h in range(HEADS):
        part = slice(h * d, (h + 1) * d)
        scores = q[:, part] @ k[:, part].T / math.sqrt(d)
        future = torch.triu(torch.ones(n, n, dtype=torch.bool), diagonal=1)
        heads.append(torch.softmax(scores.masked_fill(future, -math.inf), dim=1) @ v[:, part])
    return torch.cat(heads, dim=1) @ w[block + "out_weight"].T + w[block + "out_bias"]


def feed_forward(x, w, block, activation):
    h = x @ w[block + "up_weight"].T + w[block + "up_bias"]
    if activation == "geglu":
        value, gate = h.split(FFN, dim=1)
        h = value * gelu(gate)
    else:
        h = gelu(h)
    return h @ w[block + "down_weight"].T + w[block + "down_bias"]


def transformer(x, w, activation):
    """Of one document: (n,D) -> (n,D)."""
    if "positions" in w:
        x = x + w["positions"][: x.shape[0]]
    for i in range(BLOCKS):
        block = f"block{i}."
        x = x + attention(layer_norm(x, w[block + "norm1_weight"], w[block + "norm1_bias"]), w, block)
        x = x + feed_forward(layer_norm(x, w[block + "norm2_weight"], w[block + "norm2_bias"]), w, block, activation)
    return layer_norm(x, w["norm_weight"], w["norm_bias"])


def make_weights(activation, positions, draw):
    """Far from the small start of training, so that a mistake anywhere shows."""
    up = 2 * FFN if activation == "geglu" else FFN
    w = {"norm_weight": 1 + draw(WIDTH), "norm_bias": draw(WIDTH)}
    if positions:
        w["positions"] = draw(CONTEXT, WIDTH)
    for i in range(BLOCKS):
        block = f"block{i}."
        for norm in ("norm1", "norm2"):
            w[block + norm + "_weight"], w[block + norm + "_bias"] = 1 + draw(WIDTH), draw(WIDTH)
        for name, rows, columns in (("qkv", 3 * WIDTH, WIDTH), ("out", WIDTH, WIDTH), ("up", up, WIDTH), ("down", WIDTH, FFN)):
            w[block + name + "_weight"], w[block + name + "_bias"] = draw(rows, columns), draw(rows)
    return w


def dump(path, activation, positions, lengths, seed):
    generator = torch.Generator().manual_seed(seed)

    def draw(*shape):
        return (0.3 * torch.randn(*shape, generator=generator)).float().double()

    w = {name: weight.float().double() for name, weight in make_weights(activation, positions, draw).items()}
    head, x = draw(VOCABULARY, WIDTH), draw(len(lengths), SLOTS, WIDTH) * 4
    leaves = [head, x, *w.values()]
    for leaf in leaves:
        leaf.requires_grad_()

    documents, slots, rows = [], [], []
    for row, row_lengths in enumerate(lengths):
        begin, parts = 0, []
        for length in row_lengths:
            documents.append([row, begin, length])
            parts.append(transformer(x[row, begin : begin + length], w, activation))
            slots += [row * SLOTS + begin + i for i in range(length) if i % 3 != 1]  # some are not asked for
            begin += length
        parts.append(torch.zeros(SLOTS - begin, WIDTH, dtype=torch.float64))
        rows.append(torch.cat(parts))
    hidden = torch.stack(rows)
    slots = torch.tensor(slots)
    targets = torch.randint(VOCABULARY, slots.shape, generator=generator)
    logits = hidden.reshape(-1, WIDTH)[slots] @ head.T
    loss = (torch.logsumexp(logits, dim=1) - logits.gather(1, targets[:, None])[:, 0]).sum()
    loss.backward()

    tensors = {"head": head.float(), "x": x.float(), "documents": torch.tensor(documents), "slots": slots, "targets": targets,
               "hidden": hidden, "logits": logits, "loss": loss.reshape(1), "grad.head": head.grad, "grad.x": x.grad}
    for name, weight in w.items():
        tensors["weight." + name], tensors["grad." + name] = weight.float(), weight.grad
    sizes = {"activation": activation, "global_positions": positions, "width": WIDTH, "heads": HEADS, "blocks": BLOCKS,
             "ffn_width": FFN, "context": CONTEXT}
    save_file({name: tensor.detach().contiguous() for name, tensor in tensors.items()}, str(path),
              metadata={name: str(value) for name, value in sizes.items()})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("out", type=pathlib.Path)
    out = parser.parse_args().out
    for seed, (name, (activation, positions, lengths)) in enumerate(CASES.items()):
        dump(out / f"transformer_{name}.safetensors", activation, positions, lengths, seed)
