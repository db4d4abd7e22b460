"""Losses, learning rates and the optimiser's settings of iDAT, and its training loop."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from vit import Sizes, Weights, forward, is_adapter, is_trainable

LOSSES = ("ce_student", "ce_teacher", "distill", "total")


@dataclass(frozen=True)
class Model:
    sizes: Sizes
    weights: Weights

    def to(self, dtype: torch.dtype) -> "Model":
        return Model(self.sizes, {name: t.to(dtype) for name, t in self.weights.items()})

    def trainable(self, adapters: bool = True) -> Weights:
        """Fresh leaves for the tensors that train: head and, unless told otherwise, adapters."""
        return {
            name: t.detach().clone().requires_grad_()
            for name, t in self.weights.items()
            if is_trainable(name) and (adapters or not is_adapter(name))
        }

    def logits(
        self, tuned: Weights, images: Tensor, placement: str | None, multipliers: Tensor | None = None
    ) -> Tensor:
        return forward(self.sizes, self.weights | tuned, images, placement, multipliers)


@dataclass(frozen=True)
class Schedule:
    """timm's cosine schedule by epochs. Warm-up does not shift the cosine."""

    base_lr: float
    epochs: int
    warmup_epochs: int = 0
    warmup_lr: float = 0.0
    min_lr: float = 0.0
    cooldown_epochs: int = 0

    def at(self, epoch: int) -> float:
        if epoch < self.warmup_epochs:
            return self.warmup_lr + epoch * ((self.base_lr - self.warmup_lr) / self.warmup_epochs)
        if epoch >= self.epochs:
            return self.min_lr
        wave = 1 + math.cos(math.pi * epoch / self.epochs)
        return self.min_lr + 0.5 * (self.base_lr - self.min_lr) * wave


@dataclass(frozen=True)
class Adam:
    betas: tuple[float, float]
    eps: float
    weight_decay: float


def decay_groups(tensors: Weights) -> dict[str, list[str]]:
    """timm's grouping: 1-D tensors and biases do not decay."""
    still = [name for name, t in tensors.items() if t.ndim <= 1 or name.endswith(".bias")]
    return {"no_decay": still, "decay": [name for name in tensors if name not in still]}


def adamw(tensors: Weights, adam: Adam) -> torch.optim.Optimizer:
    groups = decay_groups(tensors)
    return torch.optim.AdamW(
        [
            {"params": [tensors[name] for name in groups["no_decay"]], "weight_decay": 0.0},
            {"params": [tensors[name] for name in groups["decay"]], "weight_decay": adam.weight_decay},
        ],
        lr=0.0, betas=adam.betas, eps=adam.eps, foreach=False,
    )  # fmt: skip


def losses(student: Tensor, teacher: Tensor, labels: Tensor, kind: str, temperature: float) -> dict[str, Tensor]:
    """The three terms and their sum, from logits [B, K]. Nothing is detached, no factor temperature²."""
    if kind == "kl":  # KL(teacher || student), mean over the batch
        log_p, log_q = (student / temperature).log_softmax(1), (teacher / temperature).log_softmax(1)
        distill = (log_q.exp() * (log_q - log_p)).sum() / len(labels)
    else:
        distill = (student - teacher).square().mean()
    ce_student, ce_teacher = F.cross_entropy(student, labels), F.cross_entropy(teacher, labels)
    return dict(zip(LOSSES, (ce_student, ce_teacher, distill, ce_student + ce_teacher + distill)))


@dataclass(frozen=True)
class Course:
    """What every run over many steps shares."""

    train_images: Tensor
    train_labels: Tensor
    heldout_images: Tensor
    heldout_labels: Tensor
    batches: list[list[int]]
    lr: list[float]
    adam: Adam

    def to(self, dtype: torch.dtype) -> "Course":
        return replace(self, train_images=self.train_images.to(dtype), heldout_images=self.heldout_images.to(dtype))


def train(
    course: Course,
    tensors: dict[str, Weights],
    step_losses: Callable[[Tensor, Tensor], dict[str, Tensor]],
    noise: float = 0.0,
    teacher_gradient: float = 1.0,
) -> dict[str, list[float]]:
    """Runs the course, changing `tensors` (by role) in place; returns each loss as a list over the steps.

    step_losses(images, labels): the named losses, the last of which is minimised; taken before the step's update.
    noise: random noise on every gradient, relative to its largest entry.  teacher_gradient: factor on the teacher's.
    """
    optimisers = [adamw(t, course.adam) for t in tensors.values()]
    generator = torch.Generator().manual_seed(0)
    history: dict[str, list[float]] = {}
    for batch, lr in zip(course.batches, course.lr, strict=True):
        named = step_losses(course.train_images[batch], course.train_labels[batch])
        for name, value in named.items():
            history.setdefault(name, []).append(value.item())
        for optimiser in optimisers:
            optimiser.zero_grad()
            for group in optimiser.param_groups:
                group["lr"] = lr
        list(named.values())[-1].backward()
        for role, weights in tensors.items():
            for t in weights.values():
                t.grad *= teacher_gradient if role == "teacher" else 1.0
                if noise:
                    t.grad += noise * t.grad.abs().max() * torch.randn(t.shape, dtype=t.dtype, generator=generator)
        for optimiser in optimisers:
            optimiser.step()
    return history
