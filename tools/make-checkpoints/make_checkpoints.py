"""Writes checkpoints as timm, transformers and NumPy write them, with random weights, and the logits those libraries get.

make_checkpoints.py OUT [--size tiny|real] [--case NAME ...]
"""

import argparse
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import timm
import torch
import transformers
from safetensors.torch import save_file

from google import google_arrays
from random_numbers import images, randomise

BATCH = 2
#: What the models are at each size. Tiny ones have an eps that shows.
SIZES = {
    "tiny": {
        "classes": 3, "eps": 0.1,
        "vit": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "swin": {"img_size": 8, "patch_size": 2, "window_size": 2, "embed_dim": 4, "depths": (2, 1), "num_heads": (1, 2)},
    },
    "real": {
        "classes": 1000, "eps": None,
        "vit": {"img_size": 224, "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12},
        "swin": {
            "img_size": 224, "patch_size": 4, "window_size": 7, "embed_dim": 96, "depths": (2, 2, 6, 2),
            "num_heads": (3, 6, 12, 24),
        },
    },
}  # fmt: skip


class Maker:
    """Makes the models of one size; each case below asks it for one and writes a file."""

    def __init__(self, size: str, folder: Path):
        self.settings = SIZES[size]
        self.folder = folder

    def timm_vit(self, **options) -> torch.nn.Module:
        from timm.models.vision_transformer import VisionTransformer

        return self.ready(VisionTransformer(**self.settings["vit"], num_classes=self.settings["classes"], **options))

    def timm_swin(self) -> torch.nn.Module:
        from timm.models.swin_transformer import SwinTransformer

        return self.ready(SwinTransformer(**self.settings["swin"], num_classes=self.settings["classes"]))

    def vit_config(self, **options) -> transformers.ViTConfig:
        sizes = self.settings["vit"]
        return transformers.ViTConfig(
            hidden_size=sizes["embed_dim"], num_hidden_layers=sizes["depth"], num_attention_heads=sizes["num_heads"],
            intermediate_size=4 * sizes["embed_dim"], image_size=sizes["img_size"], patch_size=sizes["patch_size"],
            num_labels=self.settings["classes"], layer_norm_eps=self.settings["eps"] or 1e-12, **options,
        )  # fmt: skip

    def swin_config(self) -> transformers.SwinConfig:
        sizes = self.settings["swin"]
        return transformers.SwinConfig(
            image_size=sizes["img_size"], patch_size=sizes["patch_size"], window_size=sizes["window_size"],
            embed_dim=sizes["embed_dim"], depths=list(sizes["depths"]), num_heads=list(sizes["num_heads"]),
            num_labels=self.settings["classes"],
        )  # fmt: skip

    @staticmethod
    def ready(model: torch.nn.Module) -> torch.nn.Module:
        randomise(model, seed=1)
        return model.eval()

    def save(self, tensors: dict, name: str, metadata: dict | None = None) -> str:
        """safetensors refuses tensors that share memory or are not contiguous."""
        heads = {"num_heads": str(self.settings["vit"]["num_heads"])} if metadata is None else metadata
        save_file({key: tensor.contiguous().clone() for key, tensor in tensors.items()}, self.folder / name, heads)
        return name

    def save_arrays(self, write: Callable, arrays: dict, name: str) -> str:
        write(self.folder / name, **arrays)
        return name


Case = Callable[[Maker], tuple[str, torch.nn.Module]]


def timm_vit(make: Maker):
    model = make.timm_vit()
    return make.save(model.state_dict(), "timm-vit.safetensors"), model


def timm_vit_bfloat16(make: Maker):
    return half(make, torch.bfloat16, "timm-vit-bfloat16.safetensors")


def timm_vit_float16(make: Maker):
    return half(make, torch.float16, "timm-vit-float16.safetensors")


def half(make: Maker, dtype: torch.dtype, name: str):
    """Weights rounded to 16 bits; the logits are those of the rounded weights in float32."""
    model = make.timm_vit()
    state = {key: tensor.to(dtype) for key, tensor in model.state_dict().items()}
    model.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    return make.save(state, name), model


def timm_vit_old(make: Maker):
    """A wrapped model of years ago: flattened patch kernel, a layer in front of the old head; queries without bias."""
    model = make.timm_vit(qkv_bias=False)
    state = model.state_dict()
    width = state["cls_token"].shape[-1]
    state["patch_embed.proj.weight"] = state["patch_embed.proj.weight"].flatten(1)
    state |= {"pre_logits.fc.weight": torch.ones(width, width), "pre_logits.fc.bias": torch.ones(width)}
    return make.save({f"module.model.{key}": t for key, t in state.items()}, "timm-vit-old.safetensors"), model


def timm_swin(make: Maker):
    model = make.timm_swin()
    return make.save(model.state_dict(), "timm-swin.safetensors", {}), model


def timm_swin_old(make: Maker):
    """The numbering of Microsoft's files and of timm before 0.9, with the buffers they hold."""
    model = make.timm_swin()
    state = {}
    for key, tensor in model.state_dict().items():
        parts = key.replace("head.fc.", "head.").split(".")
        if parts[2:3] == ["downsample"]:
            parts[1] = str(int(parts[1]) - 1)
        state[".".join(parts)] = tensor
    sizes = make.settings["swin"]
    tokens, windows = sizes["window_size"] ** 2, (sizes["img_size"] // sizes["patch_size"] // sizes["window_size"]) ** 2
    state["layers.0.blocks.0.attn.relative_position_index"] = torch.zeros(tokens, tokens, dtype=torch.int64)
    state["layers.0.blocks.1.attn_mask"] = torch.zeros(windows, tokens, tokens)
    return make.save({f"model.{key}": t for key, t in state.items()}, "timm-swin-old.safetensors", {}), model


def huggingface_vit(make: Maker):
    model = make.ready(transformers.ViTForImageClassification(make.vit_config()))
    preprocessor = {"do_normalize": True, "image_mean": [0.5, 0.4, 0.3], "image_std": [0.5, 0.6, 0.7], "rescale_factor": 1 / 255}
    name = written(make, model, "huggingface-vit")
    (make.folder / name / "preprocessor_config.json").write_text(json.dumps(preprocessor) + "\n")
    return name, model


def huggingface_vit_headless(make: Maker):
    """The bare model, with a pooler that idat leaves out, queries without bias; what is compared are its features."""
    model = make.ready(transformers.ViTModel(make.vit_config(qkv_bias=False)))
    return written(make, model, "huggingface-vit-headless"), lambda x: model(x).last_hidden_state[:, 0]


def huggingface_vit_module_names(make: Maker):
    """The names modules have in version 5, which only a state dict saved by hand shows."""
    model = make.ready(transformers.ViTForImageClassification(make.vit_config()))
    folder = make.folder / "huggingface-vit-module-names"
    folder.mkdir(exist_ok=True)
    model.config.save_pretrained(folder)
    make.save(model.state_dict(), f"{folder.name}/model.safetensors", {"format": "pt"})
    return folder.name, model


def huggingface_vit_sharded(make: Maker):
    model = make.ready(transformers.ViTForImageClassification(make.vit_config()))
    bytes_ = sum(4 * p.numel() for p in model.parameters())
    return written(make, model, "huggingface-vit-sharded", max_shard_size=bytes_ // 2), model


def huggingface_swin(make: Maker):
    model = make.ready(transformers.SwinForImageClassification(make.swin_config()))
    return written(make, model, "huggingface-swin"), model


def huggingface_swin_module_names(make: Maker):
    model = make.ready(transformers.SwinForImageClassification(make.swin_config()))
    folder = make.folder / "huggingface-swin-module-names"
    folder.mkdir(exist_ok=True)
    model.config.save_pretrained(folder)
    make.save(model.state_dict(), f"{folder.name}/model.safetensors", {"format": "pt"})
    return folder.name, model


def written(make: Maker, model: transformers.PreTrainedModel, name: str, **options) -> str:
    model.save_pretrained(make.folder / name, **options)
    return name


def google_npz(make: Maker):
    """As the original weights: with the layer in front of the old head."""
    arrays, model = google(make)
    width = arrays["cls"].shape[-1]
    arrays |= {"pre_logits/kernel": np.ones((width, width), np.float32), "pre_logits/bias": np.ones(width, np.float32)}
    return make.save_arrays(np.savez, arrays, "google.npz"), model


def google_npz_training(make: Maker):
    """Saved with the state of its training, compressed, and with arrays whose first axis is the fastest."""
    arrays, model = google(make)
    arrays = {f"opt/target/{key}": np.asfortranarray(array) for key, array in arrays.items()}
    arrays["opt/state/step"] = np.array(7)
    return make.save_arrays(np.savez_compressed, arrays, "google-training.npz"), model


def google(make: Maker):
    model = make.timm_vit()
    return google_arrays(model.state_dict(), make.settings["vit"]["num_heads"]), model


CASES: dict[str, Case] = {
    case.__name__.replace("_", "-"): case
    for case in (
        timm_vit, timm_vit_bfloat16, timm_vit_float16, timm_vit_old, timm_swin, timm_swin_old, huggingface_vit,
        huggingface_vit_headless, huggingface_vit_module_names, huggingface_vit_sharded,
        huggingface_swin, huggingface_swin_module_names, google_npz, google_npz_training,
    )
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path, nargs="?", help="folder to write to")
    parser.add_argument("--size", choices=SIZES, default="tiny")
    parser.add_argument("--case", choices=CASES, nargs="+", default=list(CASES))
    parser.add_argument("--list", action="store_true", help="print the names of the cases and end")
    arguments = parser.parse_args()
    if arguments.list:
        print("\n".join(CASES))
        return
    arguments.out.mkdir(parents=True, exist_ok=True)
    make = Maker(arguments.size, arguments.out)
    results = {}
    for case in arguments.case:
        file, model = CASES[case](make)
        side = make.settings["swin" if "swin" in case else "vit"]["img_size"]
        with torch.no_grad():
            output = model(images(BATCH, side))
        results[case] = {"file": file, "imageSize": side, "logits": getattr(output, "logits", output).tolist()}
    (arguments.out / "logits.json").write_text(json.dumps(results, separators=(",", ":")) + "\n")
    print(f"timm {timm.__version__}, transformers {transformers.__version__}, numpy {np.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
