"""The files of a reference directory: which names and nesting they have, and how to read and write them."""

import json
from dataclasses import asdict, fields
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import load_file, save_file
from torch import Tensor

from sections import PLACEMENTS, ROLES, Bench, Result
from training import LOSSES, Adam, Course, Model, decay_groups
from vit import Sizes, tensor_shapes

PAIR_SECTIONS = ("one_step", "one_step_wide", "drop_path", "trajectory")
AS_IN_ONE_STEP = "as in one_step.safetensors"


def to_json(value, indent: int = 0) -> str:
    """JSON with short objects and lists of numbers on one line. Numbers keep all their digits."""
    flat = json.dumps(value)
    if not isinstance(value, (dict, list)) or len(flat) + indent < 120 or "{" not in flat and "[[" not in flat:
        return flat
    pad = "\n" + " " * (indent + 1)
    if isinstance(value, list):
        return "[" + ",".join(pad + to_json(v, indent + 1) for v in value) + pad[:-1] + "]"
    return "{" + ",".join(f"{pad}{json.dumps(k)}: {to_json(v, indent + 1)}" for k, v in value.items()) + pad[:-1] + "}"


def write_json(file: Path, value) -> None:
    file.write_text(to_json(value) + "\n")


def read_json(file: Path):
    return json.loads(file.read_text())


def write_tensors(file: Path, tensors: dict[str, Tensor], metadata: dict[str, str]) -> None:
    """Floating-point tensors are stored as F32, the others in their own type."""
    arrays = {
        name: np.ascontiguousarray((t.float() if t.is_floating_point() else t).numpy()) for name, t in tensors.items()
    }
    save_file(arrays, file, metadata)
    file.chmod(0o644)


def read_tensors(file: Path) -> dict[str, Tensor]:
    return {name: torch.from_numpy(array) for name, array in load_file(file).items()}


# The bench: what the results are computed from.


def read_bench(folder: Path) -> Bench:
    step, path = (read_json(folder / f"{name}.json") for name in ("one_step", "trajectory"))
    step_tensors, wide, drop, path_tensors = (read_tensors(folder / f"{name}.safetensors") for name in PAIR_SECTIONS)
    adam = path["optimizer"]

    def model(role: str) -> Model:
        sizes = Sizes(**{f.name: step["models"][role][f.name] for f in fields(Sizes)})
        stored = read_tensors(folder / "models" / f"{role}.safetensors")
        return Model(sizes, {name: stored[name] for name in tensor_shapes(sizes)})  # in the state dict's order

    return Bench(
        models={role: model(role) for role in ROLES},
        temperature=step["temperature"],
        inputs=step_tensors["inputs"],
        labels=step_tensors["labels"].long(),
        wide_adapters={
            r: {n.removeprefix(f"adapters/{r}/"): t for n, t in wide.items() if n.startswith(f"adapters/{r}/")}
            for r in ROLES
        },
        multipliers={r: drop[f"multipliers/{r}"] for r in ROLES},
        course=Course(
            path_tensors["images/train"], torch.tensor(path["labels_train"]),
            path_tensors["images/heldout"], torch.tensor(path["labels_heldout"]), path["batches"], path["lr"],
            Adam(tuple(adam["betas"]), adam["eps"], adam["weight_decay"]),
        ),
    )  # fmt: skip


# The results.


def nest(losses: dict) -> dict:
    """{'A/x': 1, 'A/y': 2, 'B/C/x': 3} -> {'A': {'x': 1, 'y': 2}, 'B/C': {'x': 3}}"""
    nested: dict = {}
    for name, value in losses.items():
        owner, term = name.rsplit("/", 1)
        nested.setdefault(owner, {})[term] = value
    return nested


def variant_entries(losses: dict) -> dict:
    """The `variants` object of the sections with two models."""
    entries = {}
    for variant, terms in nest(losses).items():
        placement, kind = variant.split("-")
        entries[variant] = {"tuning_mode": PLACEMENTS[placement], "distill_loss": kind} | terms
    return entries


def read_results(folder: Path) -> dict[str, Result]:
    """The stored results, in the form sections.all_sections returns them."""
    results: dict[str, Result] = {}
    for section in PAIR_SECTIONS:
        variants = read_json(folder / f"{section}.json")["variants"]
        tensors = read_tensors(folder / f"{section}.safetensors")
        losses = {f"{v}/{term}": entry[term] for v, entry in variants.items() for term in LOSSES}
        results[section] = losses, {n: t for n, t in tensors.items() if n.split("/")[0] in variants}
    stored, tensors = read_json(folder / "baselines.json"), read_tensors(folder / "baselines.safetensors")
    one_step = {n: t for n, t in tensors.items() if n.split("/")[1] == "one_step"}
    results["baselines"] = (
        {f"{v}/ce": entry["ce"] for v, entry in stored["trajectories"].items()},
        {n: t for n, t in tensors.items() if n not in one_step},
    )
    results["baseline_step"] = {f"{v}/ce": entry["ce"] for v, entry in stored["one_step"].items()}, one_step
    return results


def write_reference(
    folder: Path, bench: Bench, results: dict[str, Result], drop_path: dict, trajectory: dict, metadata: dict[str, str]
) -> None:
    """Writes models/ and the five sections. `drop_path` and `trajectory`: the entries only the caller knows."""
    (folder / "models").mkdir(parents=True, exist_ok=True)
    for role, model in bench.models.items():
        sizes = ("img_size", "patch_size", "embed_dim", "depth", "num_heads", "num_classes")
        facts = {key: str(getattr(model.sizes, key)) for key in sizes}
        write_tensors(folder / "models" / f"{role}.safetensors", model.weights, metadata | facts)

    course = bench.course
    extra_tensors: dict[str, dict[str, Tensor]] = {
        "one_step": {"inputs": bench.inputs, "labels": bench.labels.int()},
        "one_step_wide": {f"adapters/{r}/{n}": t for r in ROLES for n, t in bench.wide_adapters[r].items()},
        "drop_path": {f"multipliers/{r}": bench.multipliers[r] for r in ROLES},
        "trajectory": {"images/train": course.train_images, "images/heldout": course.heldout_images},
        "baselines": results["baseline_step"][1],
    }
    for section, extra in extra_tensors.items():
        write_tensors(folder / f"{section}.safetensors", results[section][1] | extra, metadata)

    head = {
        "one_step": {
            "temperature": bench.temperature,
            "batch": len(bench.labels),
            "labels": bench.labels.tolist(),
            "models": {role: asdict(model.sizes) for role, model in bench.models.items()},
        },
        "one_step_wide": {
            "adapter_hidden": len(bench.wide_adapters["student"]["blocks.0.gist_adapter.linear1.bias"]),
            "inputs": AS_IN_ONE_STEP,
        },
        "drop_path": drop_path
        | {"inputs": AS_IN_ONE_STEP, "multipliers": {r: m.tolist() for r, m in bench.multipliers.items()}},
        "trajectory": {
            "steps": len(course.batches),
            "batch_size": len(course.batches[0]),
            "labels_train": course.train_labels.tolist(),
            "labels_heldout": course.heldout_labels.tolist(),
            "optimizer": optimizer_entry(bench),
            "lr": course.lr,
            "batches": course.batches,
        }
        | trajectory,
    }
    for section, settings in head.items():
        write_json(folder / f"{section}.json", settings | {"variants": variant_entries(results[section][0])})
    write_json(folder / "baselines.json", {
        "data": "batches, labels, lr and optimizer as in trajectory.json; one-step inputs as in one_step.safetensors",
        "trajectories": {
            v: {"tuning_mode": PLACEMENTS.get(v, v)} | terms for v, terms in nest(results["baselines"][0]).items()
        },
        "one_step": nest(results["baseline_step"][0]),
    })  # fmt: skip


def optimizer_entry(bench: Bench) -> dict:
    return {
        "optimizer": "AdamW (decoupled weight decay)",
        **asdict(bench.course.adam),
        "amsgrad": False,
        "parameter_groups_S": {role: decay_groups(model.trainable()) for role, model in bench.models.items()},
    }
