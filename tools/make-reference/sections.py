"""The numeric sections of a reference: from a bench (weights, inputs, settings) to losses and tensors.

A section's result is (losses, tensors): losses under 'VARIANT/TERM', a number or a list over the steps, and tensors
under the names they have in the section's safetensors file.
"""

from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional as F

from training import Course, Model, losses, train
from vit import Weights, is_adapter

ROLES = ("student", "teacher")
PLACEMENTS = {"S": "gist_seq_adapter", "P": "adaptformer", "PS": "gist_shared_par_adapter"}
VARIANTS = [f"{placement}-{kind}" for placement in PLACEMENTS for kind in ("kl", "mse")]
WIDE_VARIANTS = ["S-mse", "P-kl", "PS-mse"]
DROP_PATH_VARIANTS = ["S-kl", "P-kl", "PS-kl"]

Losses = dict[str, float | list[float]]
Result = tuple[Losses, dict[str, Tensor]]


@dataclass(frozen=True)
class Bench:
    """Everything a reference is computed from. All tensors hold float32 values, whatever their type."""

    models: dict[str, Model]
    temperature: float
    inputs: Tensor
    labels: Tensor
    wide_adapters: dict[str, Weights]
    multipliers: dict[str, Tensor]
    course: Course

    def to(self, dtype: torch.dtype) -> "Bench":
        return replace(
            self,
            models={role: model.to(dtype) for role, model in self.models.items()},
            inputs=self.inputs.to(dtype),
            wide_adapters={r: {n: t.to(dtype) for n, t in a.items()} for r, a in self.wide_adapters.items()},
            multipliers={role: m.to(dtype) for role, m in self.multipliers.items()},
            course=self.course.to(dtype),
        )

    def with_wide_adapters(self) -> "Bench":
        models = {r: Model(m.sizes, m.weights | self.wide_adapters[r]) for r, m in self.models.items()}
        return replace(self, models=models)


def pair_step(bench: Bench, variants: list[str], multipliers: dict[str, Tensor] | None = None) -> Result:
    """One forward and one backward pass of the total, for each variant."""
    scalars: Losses = {}
    tensors: dict[str, Tensor] = {}
    for variant in variants:
        placement, kind = variant.split("-")
        tuned = {role: model.trainable() for role, model in bench.models.items()}
        logits = {
            role: model.logits(tuned[role], bench.inputs, placement, multipliers and multipliers[role])
            for role, model in bench.models.items()
        }
        terms = losses(logits["student"], logits["teacher"], bench.labels, kind, bench.temperature)
        wanted = {f"grad_logits/{role}": logits[role] for role in ROLES}
        wanted |= {f"grad/{role}/{name}": t for role in ROLES for name, t in tuned[role].items()}
        gradients = torch.autograd.grad(terms["total"], list(wanted.values()))
        scalars |= {f"{variant}/{term}": value.item() for term, value in terms.items()}
        tensors |= {f"{variant}/{role}_logits": logits[role].detach() for role in ROLES}
        tensors |= {f"{variant}/{name}": g for name, g in zip(wanted, gradients)}
    return scalars, tensors


def pair_training(bench: Bench, noise: float = 0.0, teacher_gradient: float = 1.0) -> Result:
    """The whole course for each variant: one backward pass and two AdamW steps, each step."""
    scalars: Losses = {}
    tensors: dict[str, Tensor] = {}
    for variant in VARIANTS:
        placement, kind = variant.split("-")
        tuned = {role: model.trainable() for role, model in bench.models.items()}

        def logits(role: str, images: Tensor) -> Tensor:
            return bench.models[role].logits(tuned[role], images, placement)

        def step(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return losses(logits("student", images), logits("teacher", images), labels, kind, bench.temperature)

        history = train(bench.course, tuned, step, noise, teacher_gradient)
        scalars |= {f"{variant}/{term}": values for term, values in history.items()}
        for role in ROLES:
            tensors |= {f"{variant}/final/{role}/{name}": t.detach() for name, t in tuned[role].items()}
            with torch.no_grad():
                tensors[f"{variant}/heldout_logits/{role}"] = logits(role, bench.course.heldout_images)
    return scalars, tensors


def baseline_training(bench: Bench, noise: float = 0.0) -> Result:
    """The course for the student alone with cross-entropy: each placement, and the head only."""
    scalars: Losses = {}
    tensors: dict[str, Tensor] = {}
    student = bench.models["student"]
    for variant in (*PLACEMENTS, "linear_probe"):
        placement = variant if variant in PLACEMENTS else None
        tuned = student.trainable(adapters=placement is not None)

        def step(images: Tensor, labels: Tensor) -> dict[str, Tensor]:
            return {"ce": F.cross_entropy(student.logits(tuned, images, placement), labels)}

        history = train(bench.course, {"student": tuned}, step, noise)
        scalars[f"{variant}/ce"] = history["ce"]
        tensors |= {f"{variant}/final/student/{name}": t.detach() for name, t in tuned.items()}
        with torch.no_grad():
            heldout = student.logits(tuned, bench.course.heldout_images, placement)
        tensors[f"{variant}/heldout_logits/student"] = heldout
    return scalars, tensors


def baseline_step(bench: Bench) -> Result:
    """One backward pass of one model's cross-entropy; `full` has every tensor of the plain backbone."""
    scalars: Losses = {}
    tensors: dict[str, Tensor] = {}
    runs = [(v, "student") for v in (*PLACEMENTS, "linear_probe")] + [("full", role) for role in ROLES]
    for variant, role in runs:
        model = bench.models[role]
        placement = variant if variant in PLACEMENTS else None
        if variant == "full":
            tuned = {n: t.detach().clone().requires_grad_() for n, t in model.weights.items() if not is_adapter(n)}
        else:
            tuned = model.trainable(adapters=placement is not None)
        images = bench.inputs.detach().clone().requires_grad_()
        logits = model.logits(tuned, images, placement)
        ce = F.cross_entropy(logits, bench.labels)
        grad_input, *gradients = torch.autograd.grad(ce, [images, *tuned.values()])
        scalars[f"{variant}/{role}/ce"] = ce.item()
        tensors[f"{variant}/one_step/logits/{role}"] = logits.detach()
        tensors |= {f"{variant}/one_step/grad/{role}/{name}": g for name, g in zip(tuned, gradients)}
        tensors[f"{variant}/one_step/grad_input/{role}"] = grad_input
    return scalars, tensors


def all_sections(bench: Bench, dtype: torch.dtype) -> dict[str, Result]:
    bench = bench.to(dtype)
    return {
        "one_step": pair_step(bench, VARIANTS),
        "one_step_wide": pair_step(bench.with_wide_adapters(), WIDE_VARIANTS),
        "drop_path": pair_step(bench, DROP_PATH_VARIANTS, bench.multipliers),
        "trajectory": pair_training(bench),
        "baselines": baseline_training(bench),
        "baseline_step": baseline_step(bench),
    }


def noisy_sections(bench: Bench, noise: float) -> dict[str, Result]:
    """Float64 runs with noise on every gradient: an engine whose gradients are right to about six digits."""
    bench = bench.to(torch.float64)
    return {
        "noisy trajectory": pair_training(bench, noise=noise),
        "noisy baselines": baseline_training(bench, noise=noise),
    }
