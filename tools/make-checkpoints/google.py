"""A timm ViT as Google's code would have saved it: kernels [in, out], heads apart, an array a name."""

import numpy as np

ATTENTION = "MultiHeadDotProductAttention_1"


def google_arrays(state: dict, heads: int) -> dict[str, np.ndarray]:
    """timm's state dict -> arrays by the names of google-research/vision_transformer."""
    numbers = {name: tensor.numpy() for name, tensor in state.items()}
    width = numbers["cls_token"].shape[-1]
    arrays = {
        "cls": numbers["cls_token"],
        "Transformer/posembed_input/pos_embedding": numbers["pos_embed"],
        "embedding/kernel": numbers["patch_embed.proj.weight"].transpose(2, 3, 1, 0),
        "embedding/bias": numbers["patch_embed.proj.bias"],
        "Transformer/encoder_norm/scale": numbers["norm.weight"],
        "Transformer/encoder_norm/bias": numbers["norm.bias"],
        "head/kernel": numbers["head.weight"].T,
        "head/bias": numbers["head.bias"],
    }
    depth = 1 + max(int(name.split(".")[1]) for name in numbers if name.startswith("blocks."))
    for b in range(depth):
        ours, theirs = f"blocks.{b}", f"Transformer/encoderblock_{b}"
        for norm, theirs_norm in (("norm1", "LayerNorm_0"), ("norm2", "LayerNorm_2")):
            arrays[f"{theirs}/{theirs_norm}/scale"] = numbers[f"{ours}.{norm}.weight"]
            arrays[f"{theirs}/{theirs_norm}/bias"] = numbers[f"{ours}.{norm}.bias"]
        kernels = np.split(numbers[f"{ours}.attn.qkv.weight"], 3)
        biases = np.split(numbers[f"{ours}.attn.qkv.bias"], 3)
        for part, kernel, bias in zip(("query", "key", "value"), kernels, biases, strict=True):
            arrays[f"{theirs}/{ATTENTION}/{part}/kernel"] = kernel.T.reshape(width, heads, -1)
            arrays[f"{theirs}/{ATTENTION}/{part}/bias"] = bias.reshape(heads, -1)
        arrays[f"{theirs}/{ATTENTION}/out/kernel"] = numbers[f"{ours}.attn.proj.weight"].T.reshape(heads, -1, width)
        arrays[f"{theirs}/{ATTENTION}/out/bias"] = numbers[f"{ours}.attn.proj.bias"]
        for layer, dense in (("fc1", "Dense_0"), ("fc2", "Dense_1")):
            arrays[f"{theirs}/MlpBlock_3/{dense}/kernel"] = numbers[f"{ours}.mlp.{layer}.weight"].T
            arrays[f"{theirs}/MlpBlock_3/{dense}/bias"] = numbers[f"{ours}.mlp.{layer}.bias"]
    return {name: np.ascontiguousarray(array) for name, array in arrays.items()}
