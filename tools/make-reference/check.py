"""Holds the code of this folder against a reference made by someone else: recomputes its results from its inputs."""

from pathlib import Path

import numpy as np
import torch

from deviation import deviations, print_table
from images import normalise, preprocess_all
from layout import optimizer_entry, read_bench, read_json, read_results, read_tensors
from sections import Bench, all_sections
from training import Schedule
from vit import drop_path_rates, tensor_shapes

SCHEDULE_KEYS = ("epochs", "warmup_epochs", "warmup_lr", "min_lr")


def check(folder: Path) -> None:
    bench = read_bench(folder)
    print_table(deviations(read_results(folder), all_sections(bench, torch.float64)))
    print()
    check_settings(folder, bench)
    check_learning_rates(folder)
    check_images(folder)


def report(what: str, verdict: bool | str) -> None:
    print(f"{what}: {verdict if isinstance(verdict, str) else 'equal' if verdict else 'DIFFERENT'}")


def check_settings(folder: Path, bench: Bench) -> None:
    settings = read_json(folder / "trajectory.json")["optimizer"]
    settings["betas"] = tuple(settings["betas"])
    report("optimiser's settings and parameter groups", optimizer_entry(bench) == settings)
    drop = read_json(folder / "drop_path.json")
    for role, model in bench.models.items():
        stored = read_tensors(folder / "models" / f"{role}.safetensors")
        shapes = {name: tuple(t.shape) for name, t in stored.items()}
        report(f"{role}: names and shapes of the weights", shapes == tensor_shapes(model.sizes))
        rates, multipliers = drop_path_rates(drop["drop_path_rate"], model.sizes.depth), bench.multipliers[role]
        report(f"{role}: drop path rates", rates == drop["rate_per_block"][role])
        report(f"{role}: multipliers in JSON and safetensors", multipliers.tolist() == drop["multipliers"][role])
        kept = torch.tensor([1 / (1 - rate) for rate in rates], dtype=torch.float32)[:, None, None]
        report(f"{role}: multipliers 0 or 1 / keep", bool(((multipliers == 0) | (multipliers == kept)).all()))


def check_learning_rates(folder: Path) -> None:
    path = read_json(folder / "trajectory.json")
    entry = path["schedule"]
    schedule = Schedule(entry["lr"], **{key: entry[key] for key in SCHEDULE_KEYS})
    mine = [schedule.at(step // path["steps_per_epoch"]) for step in range(path["steps"])]
    report("learning rates of the trajectory, relative difference", f"{worst_relative(mine, path['lr']):.0e}")
    for i, table in enumerate(read_json(folder / "lr_schedule.json")["tables"]):
        schedule = Schedule(table["base_lr"], **{key: table[key] for key in SCHEDULE_KEYS})
        mine = [schedule.at(epoch) for epoch in range(table["epochs_run"])]
        report(f"lr_schedule table {i}, relative difference", f"{worst_relative(mine, table['lr_per_epoch']):.0e}")


def worst_relative(mine: list[float], theirs: list[float]) -> float:
    return max(0.0 if a == b else abs(a - b) / abs(b) for a, b in zip(mine, theirs, strict=True))


def check_images(folder: Path) -> None:
    """The images, decoded and resized anew, against what is stored; `normalised` against the stored `resized`."""
    stored_facts, stored = read_json(folder / "preprocess.json"), read_tensors(folder / "preprocess.safetensors")
    facts, mine = preprocess_all(folder / "images", stored_facts["transform"]["input_size"][1])
    theirs = {name: t.numpy() for name, t in stored.items()}
    same = {n: a.shape for n, a in mine.items()} == {n: a.shape for n, a in theirs.items()}
    report("names and shapes of the image tensors", same)
    for file, entry in facts["images"].items():
        stages = []
        for stage in ("decoded", "resized"):
            if (name := f"{file}/{stage}") in theirs:
                gap = np.abs(mine[name].astype(int) - theirs[name].astype(int))
                stages.append(f"{stage} {gap.max()} levels in {(gap > 0).mean():.2%}")
        gap = np.abs(normalise(theirs[f"{file}/resized"]) - theirs[f"{file}/normalised"]).max()
        same = entry == stored_facts["images"][file]
        report(file, f"{', '.join(stages)}; normalised {gap:.0e}; facts {'equal' if same else 'DIFFERENT'}")
