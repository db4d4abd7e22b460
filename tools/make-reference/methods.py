"""Losses, logits and gradients of tuning methods on a tiny ViT, from PyTorch in float64, as their papers write them.

methods.py OUT.safetensors

The numbers of weights, tuned tensors and images follow from their names (`numbers`), so that only results are stored.
Nothing is dropped at random, and which experts a MoSA block draws is given. Letters in shape comments: B images,
T tokens, D width, H heads, K classes, n learned tokens, h hidden numbers.
"""

import sys

import numpy as np
import torch
from safetensors.numpy import save_file
from torch import Tensor
from torch.nn import functional as F

IMAGE, PATCH, DEPTH, CLASSES, LABELS = 12, 4, 2, 3, [0, 2]
EPS = 1e-6


def numbers(name: str, *shape: int, factor: float = 0.3, centre: float = 0.0) -> Tensor:
    """Waves whose phase is the sum of the name's character codes, rounded to float32."""
    phase = 0.31 * sum(map(ord, name)) + 0.5
    wave = centre + factor * np.sin(1.7 * np.arange(np.prod(shape)) + phase)
    return torch.from_numpy(wave.astype(np.float32).astype(np.float64).reshape(shape))


class Plain:
    """A ViT with a head; what a method changes is a method here."""

    def __init__(self, width: int, heads: int) -> None:
        self.width, self.heads = width, heads
        self.tuned: dict[str, Tensor] = {}

    def tune(self, name: str, *shape: int) -> Tensor:
        if name not in self.tuned:
            self.tuned[name] = numbers(name, *shape, factor=0.2).requires_grad_()
        return self.tuned[name]

    def linear(self, x: Tensor, name: str, out: int) -> Tensor:
        return F.linear(x, numbers(f"{name}.weight", out, x.shape[-1]), numbers(f"{name}.bias", out))

    def tuned_linear(self, x: Tensor, name: str, out: int) -> Tensor:
        return F.linear(x, self.tune(f"{name}.weight", out, x.shape[-1]), self.tune(f"{name}.bias", out))

    def norm(self, x: Tensor, name: str) -> Tensor:
        d = self.width
        return F.layer_norm(x, (d,), numbers(f"{name}.weight", d, centre=1.0), numbers(f"{name}.bias", d), EPS)

    def in_heads(self, x: Tensor) -> Tensor:
        """[B, T, D] -> [B, H, T, D/H]"""
        return x.unflatten(-1, (self.heads, -1)).transpose(1, 2)

    def queries_keys_values(self, i: int, x: Tensor) -> list[Tensor]:
        qkv = self.linear(self.norm(x, f"blocks.{i}.norm1"), f"blocks.{i}.attn.qkv", 3 * self.width)
        return [self.in_heads(part) for part in qkv.chunk(3, -1)]

    def enter(self, i: int, x: Tensor) -> Tensor:
        return x

    def attend(self, i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        return (q @ k.transpose(-2, -1) * k.shape[-1] ** -0.5).softmax(-1) @ v

    def after_attention(self, i: int, u: Tensor) -> Tensor:
        return u

    def after_mlp(self, i: int, normal: Tensor, y: Tensor) -> Tensor:
        return y

    def leave(self, i: int, u: Tensor, y: Tensor) -> Tensor:
        return y

    def forward(self, images: Tensor) -> Tensor:
        d = self.width
        kernel = numbers("patch_embed.proj.weight", d, 3, PATCH, PATCH)
        x = F.conv2d(images, kernel, numbers("patch_embed.proj.bias", d), stride=PATCH).flatten(2).transpose(1, 2)
        x = torch.cat([numbers("cls_token", 1, 1, d).expand(len(images), -1, -1), x], 1)  # [B, T, D]
        x = x + numbers("pos_embed", 1, x.shape[1], d)
        for i in range(DEPTH):
            name = f"blocks.{i}"
            x = self.enter(i, x)
            mixed = self.attend(i, *self.queries_keys_values(i, x)).transpose(1, 2).flatten(2)
            u = self.after_attention(i, x + self.linear(mixed, f"{name}.attn.proj", d))
            normal = self.norm(u, f"{name}.norm2")
            y = self.linear(F.gelu(self.linear(normal, f"{name}.mlp.fc1", 2 * d)), f"{name}.mlp.fc2", d)
            x = self.leave(i, u, u + self.after_mlp(i, normal, y))
        return self.tuned_linear(self.norm(x, "norm")[:, 0], "head", CLASSES)

    def loss(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The model's own loss, and the logits that all else reads."""
        logits = self.forward(images)
        return F.cross_entropy(logits, torch.tensor(LABELS)), logits


class VptShallow(Plain):
    def enter(self, i: int, x: Tensor) -> Tensor:
        if i > 0:
            return x
        prompts = self.tune("prompts", 1, 3, self.width).expand(len(x), -1, -1)
        return torch.cat([x[:, :1], prompts, x[:, 1:]], 1)


class VptDeep(Plain):
    def enter(self, i: int, x: Tensor) -> Tensor:
        prompts = self.tune(f"blocks.{i}.prompts", 1, 3, self.width).expand(len(x), -1, -1)
        return torch.cat([x[:, :1], prompts, x[:, 1 if i == 0 else 4 :]], 1)


class Mona(Plain):
    hidden = 4

    def adapted(self, name: str, z: Tensor) -> Tensor:
        d, h = self.width, self.hidden
        normal = F.layer_norm(z, (d,), self.tune(f"{name}.norm.weight", d), self.tune(f"{name}.norm.bias", d), 1e-5)
        mixed = self.tune(f"{name}.gamma", d) * normal + self.tune(f"{name}.gammax", d) * z
        down = self.tuned_linear(mixed, f"{name}.linear1", h)
        side = IMAGE // PATCH
        f = down[:, 1:].transpose(1, 2).unflatten(-1, (side, side))  # [B, h, side, side]
        windows = [
            F.conv2d(f, self.tune(f"{name}.conv{k}.weight", h, 1, k, k), self.tune(f"{name}.conv{k}.bias", h),
                     padding=k // 2, groups=h)
            for k in (3, 5, 7)
        ]  # fmt: skip
        g = sum(windows) / 3 + f
        pointwise = self.tune(f"{name}.pointwise.weight", h, h)[:, :, None, None]
        g = g + F.conv2d(g, pointwise, self.tune(f"{name}.pointwise.bias", h))
        seen = torch.cat([down[:, :1], g.flatten(2).transpose(1, 2)], 1)  # the class token as it is
        return z + self.tuned_linear(F.gelu(seen), f"{name}.linear2", d)

    def after_attention(self, i: int, u: Tensor) -> Tensor:
        return self.adapted(f"blocks.{i}.mona1", u)

    def leave(self, i: int, u: Tensor, y: Tensor) -> Tensor:
        return self.adapted(f"blocks.{i}.mona2", y)


class Mosa(Plain):
    hidden, experts, scale = 4, 4, 0.1
    draws = ((2, 0), (1, 3))  # the expert of each block, in the first and the second pass
    drawn: tuple[int, ...] | None = None  # None: the experts' mean

    def leave(self, i: int, u: Tensor, y: Tensor) -> Tensor:
        d, h, name = self.width, self.hidden, f"blocks.{i}.adapter"
        normal = F.layer_norm(u, (d,), self.tune(f"{name}.norm.weight", d), self.tune(f"{name}.norm.bias", d), EPS)
        hidden = F.gelu(self.tuned_linear(normal, f"{name}.linear1", h))
        weights = self.tune(f"{name}.experts.weight", self.experts, d, h)
        biases = self.tune(f"{name}.experts.bias", self.experts, d)
        weight, bias = (
            (weights.mean(0), biases.mean(0)) if self.drawn is None else (weights[self.drawn[i]], biases[self.drawn[i]])
        )
        return y + self.scale * F.linear(hidden, weight, bias)

    def loss(self, images: Tensor) -> tuple[Tensor, Tensor]:
        passes = []
        for self.drawn in self.draws:
            passes.append(self.forward(images))
        self.drawn = None
        ln1, ln2 = (z.log_softmax(-1) for z in passes)
        apart = [
            F.kl_div(ln1, ln2.detach(), log_target=True, reduction="batchmean"),
            F.kl_div(ln2, ln1.detach(), log_target=True, reduction="batchmean"),
        ]
        return F.cross_entropy(passes[0], torch.tensor(LABELS)) + sum(apart) / 2, passes[0]


class ResTuning(Plain):
    """Prefix and prompt as mixtures of separate attentions, weighted by their sums of exponentials."""

    hidden, tokens, reads_input = 3, 2, False

    def learned(self, name: str) -> Tensor:
        return self.tune(f"{name}.scale", self.width) * self.tune(name, 1, self.tokens, self.width)

    def attend(self, i: int, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        prefix = [self.in_heads(self.learned(f"blocks.{i}.prefix.{part}")) for part in ("keys", "values")]
        _, *prompt = self.queries_keys_values(i, self.learned(f"blocks.{i}.prompt"))
        scores = [q @ keys.transpose(-2, -1) * q.shape[-1] ** -0.5 for keys in (k, prefix[0], prompt[0])]
        sums = torch.stack([s.exp().sum(-1) for s in scores])
        shares = (sums / sums.sum(0)).unsqueeze(-1)
        alone = [s.softmax(-1) @ values for s, values in zip(scores, (v, prefix[1], prompt[1]), strict=True)]
        return sum(share * mixed for share, mixed in zip(shares, alone, strict=True))

    def res_adapter(self, name: str, v: Tensor) -> Tensor:
        return self.tuned_linear(F.gelu(self.tuned_linear(v, f"{name}.linear1", self.hidden)), f"{name}.linear2", self.width)

    def after_mlp(self, i: int, normal: Tensor, y: Tensor) -> Tensor:
        name = f"blocks.{i}.adapter"
        return y + self.tune(f"{name}.scale", self.width) * self.res_adapter(name, normal if self.reads_input else y)


class ResTuningFromInput(ResTuning):
    reads_input = True


class Bypass(ResTuning):
    attend = Plain.attend
    after_mlp = Plain.after_mlp

    def enter(self, i: int, x: Tensor) -> Tensor:
        if i == 0:
            self.beside = x.detach()
        return x

    def leave(self, i: int, u: Tensor, y: Tensor) -> Tensor:
        lateral, vertical = (
            v + self.res_adapter(f"blocks.{i}.{name}", v)
            for name, v in (("lateral", y.detach()), ("vertical", self.beside))
        )
        self.beside = lateral + vertical
        return self.beside if i == DEPTH - 1 else y


CASES = {
    "vpt-shallow": VptShallow, "vpt-deep": VptDeep, "mona": Mona, "mosa": Mosa, "res-tuning": ResTuning,
    "res-tuning-in": ResTuningFromInput, "bypass": Bypass,
}  # fmt: skip


def results(prefix: str, model: Plain, images: Tensor, logits: Tensor) -> dict[str, Tensor]:
    found = {f"{prefix}/logits": logits}
    with torch.no_grad():
        found[f"{prefix}/evaluated"] = model.forward(images)
    for name, tensor in model.tuned.items():
        found[f"{prefix}/gradient/{name}"] = torch.zeros_like(tensor) if tensor.grad is None else tensor.grad
    return found


def main(out: str) -> None:
    images = numbers("images", len(LABELS), 3, IMAGE, IMAGE, factor=1.0)
    stored: dict[str, Tensor] = {}
    for case, kind in CASES.items():
        model = kind(8, 2)
        loss, logits = model.loss(images)
        loss.backward()
        stored[f"{case}/loss"] = loss
        stored |= results(case, model, images, logits)
    # a MoSA student and a teacher with prompts of another width, tied by the mean squared difference of their logits
    student, teacher = Mosa(8, 2), VptDeep(4, 2)
    (own, logits), (taught, teacher_logits) = student.loss(images), teacher.loss(images)
    loss = own + taught + F.mse_loss(logits, teacher_logits)
    loss.backward()
    stored["pair/loss"] = loss
    stored |= results("pair/student", student, images, logits)
    stored |= results("pair/teacher", teacher, images, teacher_logits)
    save_file({name: t.detach().numpy().astype(np.float32) for name, t in stored.items()}, out)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(sys.argv[1])
