"""Random weights and images that a test can be strict with: nothing is 0 or 1, nothing grows."""

import numpy as np
import torch


def randomise(model: torch.nn.Module, seed: int) -> None:
    """Gains around 1, biases and positions around 0, kernels so that a layer keeps the size of what it is given."""
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            noise = torch.randn(parameter.shape, generator=generator)
            if parameter.ndim == 1 and (name.endswith("weight") or "gamma" in name or "lambda1" in name):
                parameter.copy_(1 + 0.2 * noise)
            elif parameter.ndim < 2 or is_token(name, parameter) or "bias_table" in name:
                parameter.copy_(0.3 * noise)
            else:
                parameter.copy_(0.7 * noise / parameter[0].numel() ** 0.5)


def is_token(name: str, parameter: torch.nn.Parameter) -> bool:
    """Tokens and positions, whatever their axes; class tokens of plain ViTs are kept as the stored fixtures have them."""
    if "embed" in name and parameter.ndim == 3 or "position_embedding" in name:
        return True
    return any(kind in name for kind in ("reg_token", "register_tokens", "dist_token", "distillation_token", "latent", "probe"))


def images(batch: int, size: int | tuple[int, int]) -> torch.Tensor:
    """[batch, 3, height, width]; anyone can make the same ones."""
    height, width = size if isinstance(size, tuple) else (size, size)
    count = batch * 3 * height * width
    return torch.from_numpy(np.sin(0.37 * np.arange(count) + 1).astype(np.float32)).reshape(batch, 3, height, width)
