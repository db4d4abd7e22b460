"""Writes a reference directory (numbers from PyTorch in float64) for models of any size, or checks an existing one.

make_reference.py OUT [--seed 1 ...]    write a reference
make_reference.py --check DIR           recompute DIR's numbers from DIR's inputs, print the deviations
"""

import argparse
import sys
from pathlib import Path

import numpy as np
import torch

from check import check
from deviation import deviations, doubled_teacher_gradient, print_table
from images import normalise, preprocess_all, test_pictures
from layout import write_json, write_reference, write_tensors
from sections import ROLES, Bench, all_sections, noisy_sections, pair_training
from training import Adam, Course, Model, Schedule
from vit import Sizes, drop_path_rates, is_adapter, random_weights

NOISE = 1e-6


def parse(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", nargs="?", type=Path, metavar="OUT", help="directory to write, new or empty")
    parser.add_argument("--check", type=Path, metavar="DIR", help="a reference to recompute")
    whole = {
        "seed": 1, "image": 32, "patch": 4, "student-width": 64, "student-depth": 3, "student-heads": 4,
        "teacher-width": 32, "teacher-depth": 5, "teacher-heads": 2, "classes": 7, "hidden": 4, "batch": 6,
        "steps": 60, "train-images": 48, "heldout-images": 16, "epochs": 8, "warmup-epochs": 2, "cooldown-epochs": 0,
        "input-size": 160,
    }  # fmt: skip
    real = {
        "mlp-ratio": 4.0, "layer-norm-eps": 1e-6, "adapter-scale": 0.1, "temperature": 5.0, "drop-path": 0.2,
        "lr": 5e-3, "warmup-lr": 1e-7, "min-lr": 1e-8, "weight-decay": 0.05, "beta1": 0.9, "beta2": 0.999, "eps": 1e-8,
    }  # fmt: skip
    for name, default in (whole | real).items():
        parser.add_argument(f"--{name}", type=type(default), default=default, help=f"default {default}")
    parser.add_argument("--no-qkv-bias", action="store_true")
    parser.add_argument("--no-deviation", action="store_true", help="write no float32_deviation.json, to save time")
    args = parser.parse_args(arguments)

    def demand(ok: bool, what: str) -> None:
        if not ok:
            parser.error(what)

    demand((args.out is None) != (args.check is None), "give either OUT or --check DIR")
    if args.out:
        demand(not args.out.exists() or not any(args.out.iterdir()), f"{args.out} is not empty")
        demand(args.image % args.patch == 0, f"--image {args.image} is no multiple of --patch {args.patch}")
        for role in ROLES:
            width, heads = getattr(args, f"{role}_width"), getattr(args, f"{role}_heads")
            demand(width % heads == 0, f"--{role}-width {width} is no multiple of --{role}-heads {heads}")
        demand(args.train_images >= args.batch, "--train-images must be at least --batch")
        demand(args.warmup_epochs <= args.epochs, "--warmup-epochs must be at most --epochs")
        demand(0 <= args.drop_path < 1, "--drop-path must be at least 0 and below 1")
    return args


def sizes(args: argparse.Namespace, role: str, hidden: int) -> Sizes:
    ratio = int(args.mlp_ratio) if args.mlp_ratio.is_integer() else args.mlp_ratio
    width, depth, heads = (getattr(args, f"{role}_{what}") for what in ("width", "depth", "heads"))
    return Sizes(
        args.image, args.patch, width, depth, heads, args.classes, ratio, not args.no_qkv_bias, args.layer_norm_eps,
        hidden, args.adapter_scale,
    )  # fmt: skip


def synthetic_images(labels: np.ndarray, patterns: np.ndarray, rng: np.random.Generator) -> torch.Tensor:
    """Normalised pictures of whole bytes: the coarse pattern of the class under noise."""
    size = patterns.shape[-1]
    pixels = 110 + 30 * patterns[labels] + 25 * rng.standard_normal((len(labels), 3, size, size))
    return torch.from_numpy(normalise(pixels.clip(0, 255).astype(np.uint8)))


def random_batches(count: int, size: int, steps: int, rng: np.random.Generator) -> list[list[int]]:
    """Shuffled anew each epoch; the last images are left out where they do not fill a batch."""
    per_epoch = count // size
    batches: list[list[int]] = []
    while len(batches) < steps:
        batches += rng.permutation(count)[: per_epoch * size].reshape(per_epoch, size).tolist()
    return batches[:steps]


def multipliers(rates: list[float], batch: int, rng: np.random.Generator) -> torch.Tensor:
    """[block, branch, sample]: 0 with the block's rate, else 1 / keep."""
    keep = 1 - np.asarray(rates)[:, None, None]
    drawn = rng.uniform(size=(len(rates), 2, batch)) < keep
    return torch.from_numpy((drawn / keep).astype(np.float32))


def random_bench(args: argparse.Namespace, schedule: Schedule) -> Bench:
    rng = np.random.default_rng(args.seed)
    models = {role: Model(s := sizes(args, role, args.hidden), random_weights(s, rng)) for role in ROLES}
    wide = {role: random_weights(sizes(args, role, 2 * args.hidden), rng) for role in ROLES}
    coarse = rng.standard_normal((args.classes, 3, 4, 4))
    patterns = torch.nn.functional.interpolate(torch.from_numpy(coarse), args.image, mode="bilinear").numpy()

    def images(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        labels = rng.integers(0, args.classes, count)
        return synthetic_images(labels, patterns, rng), torch.from_numpy(labels)

    per_epoch = args.train_images // args.batch
    return Bench(
        models, args.temperature, *images(args.batch),
        {role: {name: t for name, t in weights.items() if is_adapter(name)} for role, weights in wide.items()},
        {r: multipliers(drop_path_rates(args.drop_path, m.sizes.depth), args.batch, rng) for r, m in models.items()},
        Course(
            *images(args.train_images), *images(args.heldout_images),
            random_batches(args.train_images, args.batch, args.steps, rng),
            [schedule.at(step // per_epoch) for step in range(args.steps)],
            Adam((args.beta1, args.beta2), args.eps, args.weight_decay),
        ),
    )  # fmt: skip


def lr_tables(schedule: Schedule) -> dict:
    """This run's own schedule with two more epochs of cooldown, the paper's recipe, and one without warm-up."""
    own = Schedule(**(schedule.__dict__ | {"cooldown_epochs": schedule.cooldown_epochs + 2}))
    tables = [own, Schedule(1e-3, 100, 10, 1e-7, 1e-8, 10), Schedule(0.02, 7, min_lr=1e-5, cooldown_epochs=1)]
    keys = ("epochs", "warmup_epochs", "warmup_lr", "base_lr", "min_lr", "cooldown_epochs")
    return {
        "note": "lr_per_epoch[e] is the learning rate of every step of epoch e (epochs count from 0); "
        "epochs_run = epochs + cooldown_epochs",
        "tables": [
            {key: getattr(s, key) for key in keys}
            | {"epochs_run": (run := s.epochs + s.cooldown_epochs), "lr_per_epoch": [s.at(e) for e in range(run)]}
            for s in tables
        ],
    }


def make(args: argparse.Namespace, command: str) -> None:
    out = args.out
    schedule = Schedule(args.lr, args.epochs, args.warmup_epochs, args.warmup_lr, args.min_lr, args.cooldown_epochs)
    bench = random_bench(args, schedule)
    truth = all_sections(bench, torch.float64)
    schedule_entry = {
        "kind": "timm 0.6.13 cosine, one value per epoch", "lr": args.lr, "weight_decay": args.weight_decay,
        "epochs": args.epochs, "warmup_epochs": args.warmup_epochs, "warmup_lr": args.warmup_lr, "min_lr": args.min_lr,
    }  # fmt: skip
    trajectory = {"steps_per_epoch": args.train_images // args.batch, "schedule": schedule_entry}
    if not args.no_deviation:
        doubled = pair_training(bench.to(torch.float64), teacher_gradient=2.0)
        trajectory["teacher_gradient_doubled"] = {
            "note": "float64 runs with twice the teacher's gradient; differences from the runs above",
            "variants": doubled_teacher_gradient(truth["trajectory"], doubled),
        }
    rates = {role: drop_path_rates(args.drop_path, model.sizes.depth) for role, model in bench.models.items()}
    made_with = {
        "made_with": f"tools/make-reference, PyTorch {torch.__version__}, float64, stored as float32",
        "set": f"seed {args.seed}",
    }
    drop_path = {"drop_path_rate": args.drop_path, "rate_per_block": rates}
    write_reference(out, bench, truth, drop_path, trajectory, made_with)
    write_json(out / "lr_schedule.json", lr_tables(schedule))

    (out / "images").mkdir()
    for name, data in test_pictures(np.random.default_rng([args.seed, 1])).items():
        (out / "images" / name).write_bytes(data)
    facts, tensors = preprocess_all(out / "images", args.input_size)
    write_json(out / "preprocess.json", facts)
    tensors = {name: torch.from_numpy(array.copy()) for name, array in tensors.items()}
    write_tensors(out / "preprocess.safetensors", tensors, made_with)

    if not args.no_deviation:
        rows = deviations(truth, all_sections(bench, torch.float32))
        noisy = noisy_sections(bench, NOISE)
        rows |= deviations({name: truth[name.removeprefix("noisy ")] for name in noisy}, noisy)
        write_json(out / "float32_deviation.json", rows)
        print_table(rows)
    (out / "README.md").write_text(
        "A reference made by idat's `tools/make-reference`; the files are those its README.md describes.\n"
        f"No `swin.*` and no `tensor_names/`.\n\n    {command}\n\nPyTorch {torch.__version__}, float64.\n"
    )


def main() -> None:
    torch.set_num_threads(1)
    args = parse(sys.argv[1:])
    if args.check:
        check(args.check)
    else:
        make(args, " ".join(["make_reference.py", *sys.argv[1:]]))


if __name__ == "__main__":
    main()
