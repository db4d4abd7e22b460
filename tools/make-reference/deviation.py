"""How far one set of results lies from another, by kind of quantity; the rows of float32_deviation.json."""

import torch

from sections import ROLES, Result

TITLES = {
    "one_step": "one step",
    "one_step_wide": "one step, wide adapters",
    "drop_path": "drop path",
    "trajectory": "trajectory",
    "baselines": "baselines",
    "noisy trajectory": "trajectory, 1e-6 noise on gradients",
    "noisy baselines": "baselines, 1e-6 noise on gradients",
}


def quantity(section: str, name: str, is_loss: bool) -> str:
    """The row that a loss or tensor belongs to, in the words of the given float32_deviation.json."""
    if section == "baseline_step":
        title = "full fine-tuning step" if name.startswith("full/") else "baseline step"
        kinds = {"grad_input": "gradient of the input", "logits": "logits", "grad": "gradients"}
        return f"{title}: {'loss' if is_loss else kinds[name.split('/')[2]]}"
    title = TITLES[section]
    if "trajectory" in section or "baselines" in section:
        if is_loss:
            return f"{title}: per-step losses"
        return f"{title}: final {'trainable tensors' if '/final/' in name else 'held-out logits'}"
    if is_loss:
        return f"{title}: loss terms"
    if "/grad_logits/" in name:
        return f"{title}: d total / d logits"
    return f"{title}: {'gradients of trainable tensors' if '/grad/' in name else 'logits'}"


def deviations(truth: dict[str, Result], measured: dict[str, Result]) -> dict[str, dict[str, float]]:
    """The worst over all tensors of each kind: absolute, relative to the tensor's largest value, and relative L2.

    Also the smallest and the largest of those largest values. Both sides must hold the same names and shapes.
    """
    rows: dict[str, dict[str, float]] = {}
    for section, (losses, tensors) in truth.items():
        other_losses, other_tensors = measured[section]
        for mine, other, is_loss in ((losses, other_losses, True), (tensors, other_tensors, False)):
            if mine.keys() != other.keys():
                raise SystemExit(f"{section}: names differ: {sorted(mine.keys() ^ other.keys())}")
            for name in mine:
                a, b = (torch.as_tensor(v, dtype=torch.float64) for v in (mine[name], other[name]))
                if a.shape != b.shape:
                    raise SystemExit(f"{section}: {name} is {list(b.shape)}, expected {list(a.shape)}")
                add(rows.setdefault(quantity(section, name, is_loss), {}), a, b)
    return rows


def add(row: dict[str, float], truth: torch.Tensor, measured: torch.Tensor) -> None:
    difference, peak = (measured - truth).abs(), truth.abs().max().item()
    worst = {
        "max_abs": difference.max().item(),
        "max_rel": difference.max().item() / peak,
        "rel_l2": (difference.norm() / truth.norm()).item(),
        "largest_peak": peak,
    }
    for key, value in worst.items():
        row[key] = max(row.get(key, 0.0), value)
    row["smallest_peak"] = min(row.get("smallest_peak", peak), peak)


def doubled_teacher_gradient(truth: Result, doubled: Result) -> dict[str, dict[str, float]]:
    """Per variant, what doubling the teacher's gradient changes; as in trajectory.json."""
    report = {}
    for variant in dict.fromkeys(name.split("/")[0] for name in truth[0]):

        def worst(names: list[str], part: int, relative: bool = False) -> float:
            pairs = [[torch.as_tensor(side[part][n], dtype=torch.float64) for side in (truth, doubled)] for n in names]
            return max(((b - a).abs().max() / (a.abs().max() if relative else 1.0)).item() for a, b in pairs)

        report[variant] = {"max_abs_difference_total_loss": worst([f"{variant}/total"], 0)}
        for role in ROLES:
            heldout = [f"{variant}/heldout_logits/{role}"]
            report[variant][f"max_abs_difference_{role}_heldout_logits"] = worst(heldout, 1)
        final = [name for name in truth[1] if name.startswith(f"{variant}/final/")]
        report[variant]["max_relative_difference_final_tensors"] = worst(final, 1, relative=True)
    return report


def print_table(rows: dict[str, dict[str, float]]) -> None:
    width = max(len(name) for name in rows)
    print(f"{'':{width}}  max abs   relative  rel. L2")
    for name, row in rows.items():
        print(f"{name:{width}}  {row['max_abs']:.2e}  {row['max_rel']:.2e}  {row['rel_l2']:.2e}")
