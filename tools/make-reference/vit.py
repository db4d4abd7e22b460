"""A Vision Transformer with iDAT's three adapter placements, as one pure function of a dictionary of tensors.

Semantics of timm's VisionTransformer: pre-norm blocks, fused qkv, exact GELU, class token, no pooling.
Letters in shape comments: B images, T tokens, D width, H heads, K classes, r adapter width.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

Weights = dict[str, Tensor]


@dataclass(frozen=True)
class Sizes:
    """The sizes of one model; the field names are the keys of `models` in one_step.json."""

    img_size: int
    patch_size: int
    embed_dim: int
    depth: int
    num_heads: int
    num_classes: int
    mlp_ratio: float
    qkv_bias: bool
    layer_norm_eps: float
    adapter_hidden: int
    adapter_scale_P_PS: float


def forward(
    sizes: Sizes, weights: Weights, images: Tensor, placement: str | None, multipliers: Tensor | None = None
) -> Tensor:
    """Logits [B, K] of images [B, 3, S, S].

    placement: 'S' after the block, 'P' beside the MLP, 'PS' beside attention and MLP, None without adapters.
    multipliers: [depth, 2, B], drop path's factors on the attention and the MLP branch; None in evaluation.
    """
    dim, eps, scale = sizes.embed_dim, sizes.layer_norm_eps, sizes.adapter_scale_P_PS

    def linear(x: Tensor, name: str) -> Tensor:
        return F.linear(x, weights[f"{name}.weight"], weights.get(f"{name}.bias"))

    def norm(x: Tensor, name: str) -> Tensor:
        return F.layer_norm(x, (dim,), weights[f"{name}.weight"], weights[f"{name}.bias"], eps)

    def attention(x: Tensor, name: str) -> Tensor:
        b, t, _ = x.shape
        qkv = linear(x, f"{name}.qkv").reshape(b, t, 3, sizes.num_heads, -1)  # [B, T, 3, H, D/H]
        q, k, v = qkv.permute(2, 0, 3, 1, 4)  # each [B, H, T, D/H]
        scores = q @ k.transpose(-2, -1) * (dim // sizes.num_heads) ** -0.5  # [B, H, T, T]
        return linear((scores.softmax(-1) @ v).transpose(1, 2).reshape(b, t, dim), f"{name}.proj")

    def mlp(x: Tensor, name: str) -> Tensor:
        return linear(F.gelu(linear(x, f"{name}.fc1")), f"{name}.fc2")

    def adapter(x: Tensor, block: str) -> Tensor:
        name = f"{block}.gist_adapter"
        return linear(F.gelu(linear(x, f"{name}.linear1")), f"{name}.linear2")

    def drop_path(branch: Tensor, index: int, which: int) -> Tensor:
        return branch if multipliers is None else branch * multipliers[index, which, :, None, None]

    patches = F.conv2d(
        images, weights["patch_embed.proj.weight"], weights["patch_embed.proj.bias"], stride=sizes.patch_size
    ).flatten(2).transpose(1, 2)  # [B, T-1, D], row by row
    x = torch.cat([weights["cls_token"].expand(len(images), -1, -1), patches], 1) + weights["pos_embed"]  # [B, T, D]
    for i in range(sizes.depth):
        block = f"blocks.{i}"
        u = x + drop_path(attention(norm(x, f"{block}.norm1"), f"{block}.attn"), i, 0)
        if placement == "PS":
            u = u + scale * adapter(x, block)
        y = u + drop_path(mlp(norm(u, f"{block}.norm2"), f"{block}.mlp"), i, 1)
        if placement in ("P", "PS"):
            y = y + scale * adapter(u, block)
        x = y + adapter(y, block) if placement == "S" else y
    return linear(norm(x, "norm")[:, 0], "head")


def drop_path_rates(rate: float, depth: int) -> list[float]:
    """Per-block rates, linear from 0 to `rate`; float32 values, as timm computes them. One block has rate 0."""
    return torch.linspace(0, rate, depth, dtype=torch.float32).tolist()


def is_adapter(name: str) -> bool:
    return "gist" in name


def is_trainable(name: str) -> bool:
    """The published code's rule: adapters and the head train, all else is frozen."""
    return "head." in name or is_adapter(name)


def tensor_shapes(sizes: Sizes) -> dict[str, tuple[int, ...]]:
    """Every tensor of the state dict, adapters and head included, in state-dict order."""
    d, r, p = sizes.embed_dim, sizes.adapter_hidden, sizes.patch_size
    m = int(d * sizes.mlp_ratio)

    def affine(name: str, out: int, *inputs: int, bias: bool = True) -> dict[str, tuple[int, ...]]:
        return {f"{name}.weight": (out, *inputs)} | ({f"{name}.bias": (out,)} if bias else {})

    shapes: dict[str, tuple[int, ...]] = {
        "cls_token": (1, 1, d),
        "pos_embed": (1, (sizes.img_size // p) ** 2 + 1, d),
    } | affine("patch_embed.proj", d, 3, p, p)
    for i in range(sizes.depth):
        b = f"blocks.{i}"
        shapes |= affine(f"{b}.norm1", d)
        shapes |= affine(f"{b}.attn.qkv", 3 * d, d, bias=sizes.qkv_bias) | affine(f"{b}.attn.proj", d, d)
        shapes |= affine(f"{b}.norm2", d)
        shapes |= affine(f"{b}.mlp.fc1", m, d) | affine(f"{b}.mlp.fc2", d, m)
        shapes |= affine(f"{b}.gist_adapter.linear1", r, d) | affine(f"{b}.gist_adapter.linear2", d, r)
    return shapes | affine("norm", d) | affine("head", sizes.num_classes, d)


# Spread of the random weights by the end of their name, first match wins, for width 48 and patch 8. Wide enough that
# attention is far from uniform, GELU leaves its linear part and every gradient is well above rounding.
SPREADS = (
    ("cls_token", 0.03), ("pos_embed", 0.03), ("patch_embed.proj.weight", 0.02),
    ("norm1.weight", 0.1), ("norm2.weight", 0.1), ("norm.weight", 0.1),
    ("linear1.weight", 0.1), ("linear2.weight", 0.1), ("linear1.bias", 0.03), ("head.weight", 0.2), ("bias", 0.05),
    ("qkv.weight", 0.12), ("attn.proj.weight", 0.08), ("fc1.weight", 0.15), ("fc2.weight", 0.08),
)  # fmt: skip


def random_weights(sizes: Sizes, rng: np.random.Generator) -> Weights:
    """Random float32 weights; norm gains are spread around 1, all else around 0.

    Larger fan-ins get a smaller spread. Otherwise the residual stream grows with the width until an adapter unit is
    dead (GELU's gradient below 1e-6), and AdamW then takes full steps along rounding noise.
    """
    narrower = min(1.0, math.sqrt(48 / sizes.embed_dim))
    weights = {}
    for name, shape in tensor_shapes(sizes).items():
        spread = next(s for ending, s in SPREADS if name.endswith(ending))
        spread *= {2: narrower, 4: 8 / sizes.patch_size}.get(len(shape), 1.0)
        centre = 1.0 if "norm" in name and name.endswith("weight") else 0.0
        weights[name] = torch.from_numpy((centre + spread * rng.standard_normal(shape)).astype(np.float32))
    return weights
