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
        # real: sizes of a published model of the kind, what the classes of both libraries have in common
        "dinov2": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "dinov2_giant": {"img_size": 8, "patch_size": 4, "embed_dim": 12, "depth": 1, "num_heads": 2},
        "dinov3": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "dinov3_plus": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 1, "num_heads": 2},
        "deit": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "clip": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "siglip": {"img_size": 8, "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2, "mlp_ratio": 3},
        # height and width; of as many patches as a square has, and not
        "oblong": {"img_size": (4, 16), "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
        "wide": {"img_size": (8, 12), "patch_size": 4, "embed_dim": 8, "depth": 2, "num_heads": 2},
    },
    "real": {
        "classes": 1000, "eps": None,
        "vit": {"img_size": 224, "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12},
        "swin": {
            "img_size": 224, "patch_size": 4, "window_size": 7, "embed_dim": 96, "depths": (2, 2, 6, 2),
            "num_heads": (3, 6, 12, 24),
        },
        "dinov2": {"img_size": 518, "patch_size": 14, "embed_dim": 384, "depth": 12, "num_heads": 6},
        # of full width, six of forty blocks: whole, it has 1.1 billion numbers
        "dinov2_giant": {"img_size": 224, "patch_size": 14, "embed_dim": 1536, "depth": 6, "num_heads": 24},
        "dinov3": {"img_size": 224, "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12},
        "dinov3_plus": {"img_size": 224, "patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6},
        "deit": {"img_size": 224, "patch_size": 16, "embed_dim": 384, "depth": 12, "num_heads": 6},
        "clip": {"img_size": 224, "patch_size": 32, "embed_dim": 768, "depth": 12, "num_heads": 12},
        "siglip": {
            "img_size": 224, "patch_size": 14, "embed_dim": 1152, "depth": 6, "num_heads": 16, "mlp_ratio": 3.7362,
        },
        "oblong": {"img_size": (112, 448), "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12},
        "wide": {"img_size": (224, 160), "patch_size": 16, "embed_dim": 768, "depth": 12, "num_heads": 12},
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


def features(model: torch.nn.Module) -> Callable:
    """What timm's head reads."""
    return lambda x: model.forward_head(model.forward_features(x), pre_logits=True)


def timm_variant(make: Maker, case: str, kind: str, architecture: str, build: Callable | None = None, **options):
    """A ViT of timm, with the config.json that names its architecture as on the hub; what is compared are its features."""
    from timm.models.vision_transformer import VisionTransformer

    model = make.ready((build or VisionTransformer)(**make.settings[kind], num_classes=3, **options))
    folder = make.folder / case
    folder.mkdir(exist_ok=True)
    size = make.settings[kind]["img_size"]
    config = {
        "architecture": architecture, "num_classes": 3, "global_pool": model.global_pool,
        "pretrained_cfg": {"input_size": [3, *(size if isinstance(size, tuple) else 2 * [size])], "mean": [0.1, 0.2, 0.3], "std": [0.4, 0.5, 0.6]},
        "model_args": {"num_heads": make.settings[kind]["num_heads"]},
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config) + "\n")
    make.save(model.state_dict(), f"{case}/model.safetensors", {"format": "pt"})
    return case, features(model)


def layer_norm(eps: float) -> Callable:
    from functools import partial

    return partial(torch.nn.LayerNorm, eps=eps)


def timm_dinov2(make: Maker):
    return timm_variant(make, "timm-dinov2", "dinov2", "vit_small_patch14_dinov2", init_values=1e-5)


def timm_dinov2_registers(make: Maker):
    options = {"init_values": 1e-5, "reg_tokens": 4, "no_embed_class": True}
    return timm_variant(make, "timm-dinov2-registers", "dinov2", "vit_small_patch14_reg4_dinov2", **options)


def timm_dinov2_giant(make: Maker):
    from timm.layers import SwiGLUPacked

    options = {"init_values": 1e-5, "mlp_ratio": 2.66667 * 2, "mlp_layer": SwiGLUPacked, "act_layer": torch.nn.SiLU}
    return timm_variant(make, "timm-dinov2-giant", "dinov2_giant", "vit_giant_patch14_dinov2", **options)


def timm_dinov3(make: Maker):
    return eva(make, "timm-dinov3", "dinov3", "vit_base_patch16_dinov3_qkvb", qkv_bias=True)


def timm_dinov3_plus(make: Maker):
    options = {"swiglu_mlp": True, "swiglu_align_to": 8, "qkv_bias": False}
    return eva(make, "timm-dinov3-plus", "dinov3_plus", "vit_small_plus_patch16_dinov3", **options)


def eva(make: Maker, case: str, kind: str, architecture: str, **options):
    """The arguments of timm's own vit_…_dinov3."""
    from timm.models.eva import Eva

    fixed = {
        "init_values": 1e-5, "rope_type": "dinov3", "rope_temperature": 100, "use_rot_pos_emb": True,
        "use_abs_pos_emb": False, "rope_rotate_half": True, "use_fc_norm": False, "num_reg_tokens": 4,
        "norm_layer": layer_norm(1e-5),
    }  # fmt: skip
    return timm_variant(make, case, kind, architecture, Eva, **fixed, **options)


def timm_deit_distilled(make: Maker):
    """In evaluation timm takes the mean of the logits of both tokens; of their features in front of a new head."""
    from timm.models.deit import VisionTransformerDistilled

    return timm_variant(make, "timm-deit-distilled", "deit", "deit_small_distilled_patch16_224", VisionTransformerDistilled)


def timm_deit3(make: Maker):
    options = {"init_values": 1e-6, "no_embed_class": True}
    return timm_variant(make, "timm-deit3", "deit", "deit3_small_patch16_224", **options)


def timm_mae_average(make: Maker):
    """As MAE is fine-tuned: the mean over patches, a norm behind it."""
    return timm_variant(make, "timm-mae-average", "vit", "vit_base_patch16_224", global_pool="avg")


def timm_average_in_config(make: Maker):
    """The mean over patches, which only config.json tells, and queries and keys normalised."""
    options = {"global_pool": "avg", "fc_norm": False, "qk_norm": True}
    return timm_variant(make, "timm-average-in-config", "deit", "vit_small_patch16_224", **options)


def timm_clip(make: Maker):
    from timm.layers import QuickGELU

    options = {"pre_norm": True, "act_layer": QuickGELU, "norm_layer": layer_norm(1e-5)}
    return timm_variant(make, "timm-clip", "clip", "vit_base_patch32_clip_quickgelu_224", **options)


def timm_siglip(make: Maker):
    options = {"class_token": False, "global_pool": "map", "act_layer": "gelu_tanh"}
    return timm_variant(make, "timm-siglip", "siglip", "vit_so400m_patch16_siglip_256", **options)


def timm_registers_with_positions(make: Maker):
    """No class token, registers with positions of their own, the mean over patches, layer scale."""
    options = {"class_token": False, "reg_tokens": 4, "global_pool": "avg", "init_values": 1e-5}
    return timm_variant(make, "timm-registers-with-positions", "deit", "vit_so150m_patch16_reg4_gap_256", **options)


def timm_oblong(make: Maker):
    """As many patches as a square has: only config.json tells how they lie."""
    return timm_variant(make, "timm-oblong", "oblong", "vit_base_patch16_224")


def timm_dinov3_wide(make: Maker):
    return eva(make, "timm-dinov3-wide", "wide", "vit_base_patch16_dinov3_qkvb", qkv_bias=True)


def sizes_of(make: Maker, kind: str, mlp: bool = True) -> dict:
    sizes = make.settings[kind]
    inner = {"intermediate_size": int(sizes.get("mlp_ratio", 4) * sizes["embed_dim"])} if mlp else {}
    return {
        "hidden_size": sizes["embed_dim"], "num_hidden_layers": sizes["depth"], "num_attention_heads": sizes["num_heads"],
        "image_size": sizes["img_size"], "patch_size": sizes["patch_size"], **inner,
    }  # fmt: skip


def class_token(model: torch.nn.Module) -> Callable:
    return lambda x: model(x).last_hidden_state[:, 0]


def huggingface_dinov2(make: Maker):
    model = make.ready(transformers.Dinov2Model(transformers.Dinov2Config(**sizes_of(make, "dinov2", False))))
    return written(make, model, "huggingface-dinov2"), class_token(model)


def huggingface_dinov2_resized(make: Maker):
    """Positions of 518 pixels read at 224, as transformers resizes them."""
    model = make.ready(transformers.Dinov2Model(transformers.Dinov2Config(**sizes_of(make, "dinov2", False))))
    return written(make, model, "huggingface-dinov2-resized"), class_token(model)


def huggingface_dinov2_wide_resized(make: Maker):
    """Positions of a square read at another height and width."""
    model = make.ready(transformers.Dinov2Model(transformers.Dinov2Config(**sizes_of(make, "dinov2", False))))
    return written(make, model, "huggingface-dinov2-wide-resized"), class_token(model)


def huggingface_vit_wide(make: Maker):
    model = make.ready(transformers.ViTModel(transformers.ViTConfig(**sizes_of(make, "wide"))))
    return written(make, model, "huggingface-vit-wide"), class_token(model)


def huggingface_dinov2_giant(make: Maker):
    config = transformers.Dinov2Config(**sizes_of(make, "dinov2_giant", False), use_swiglu_ffn=True)
    model = make.ready(transformers.Dinov2Model(config))
    return written(make, model, "huggingface-dinov2-giant"), class_token(model)


def huggingface_dinov2_registers(make: Maker):
    config = transformers.Dinov2WithRegistersConfig(**sizes_of(make, "dinov2", False))
    model = make.ready(transformers.Dinov2WithRegistersModel(config))
    return written(make, model, "huggingface-dinov2-registers"), class_token(model)


def huggingface_dinov3(make: Maker):
    config = transformers.DINOv3ViTConfig(**sizes_of(make, "dinov3"), num_register_tokens=4)
    model = make.ready(transformers.DINOv3ViTModel(config))
    return written(make, model, "huggingface-dinov3"), lambda x: model(x).pooler_output


def huggingface_dinov3_plus(make: Maker):
    options = {"num_register_tokens": 4, "use_gated_mlp": True, "hidden_act": "silu"}
    model = make.ready(transformers.DINOv3ViTModel(transformers.DINOv3ViTConfig(**sizes_of(make, "dinov3_plus"), **options)))
    return written(make, model, "huggingface-dinov3-plus"), lambda x: model(x).pooler_output


def huggingface_deit_distilled(make: Maker):
    """What idat's head reads: the mean of both tokens, as timm has it."""
    model = make.ready(transformers.DeiTForImageClassificationWithTeacher(transformers.DeiTConfig(**sizes_of(make, "deit"))))
    name = written(make, model, "huggingface-deit-distilled")
    return name, lambda x: model.deit(x).last_hidden_state[:, :2].mean(1)


def huggingface_mae(make: Maker):
    """The encoder within the model of pre-training, with its decoder; no patch masked."""
    decoder = {"decoder_hidden_size": 8, "decoder_num_hidden_layers": 1, "decoder_num_attention_heads": 2, "decoder_intermediate_size": 8}
    config = transformers.ViTMAEConfig(**sizes_of(make, "vit"), **decoder, mask_ratio=0.0)
    model = make.ready(transformers.ViTMAEForPreTraining(config))
    return written(make, model, "huggingface-mae"), lambda x: model.vit(x).last_hidden_state[:, 0]


TEXT = {"hidden_size": 8, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 8, "vocab_size": 16}


def huggingface_clip(make: Maker):
    config = transformers.CLIPConfig(vision_config=sizes_of(make, "clip"), text_config=TEXT, projection_dim=4)
    model = make.ready(transformers.CLIPModel(config))
    return written(make, model, "huggingface-clip"), lambda x: model.vision_model(x).pooler_output


def huggingface_siglip(make: Maker):
    config = transformers.SiglipConfig(vision_config=sizes_of(make, "siglip"), text_config=TEXT)
    model = make.ready(transformers.SiglipModel(config))
    return written(make, model, "huggingface-siglip"), lambda x: model.vision_model(x).pooler_output


def huggingface_siglip_tower(make: Maker):
    """The image tower alone, under the names it has then."""
    model = make.ready(transformers.SiglipVisionModel(transformers.SiglipVisionConfig(**sizes_of(make, "siglip"))))
    return written(make, model, "huggingface-siglip-tower"), lambda x: model(x).pooler_output


#: Beside a plain ViT and Swin: which of the sizes above a case has. What is compared are features, never logits.
VARIANTS: dict[Case, str] = {
    timm_dinov2: "dinov2", timm_dinov2_registers: "dinov2", timm_dinov2_giant: "dinov2_giant", timm_dinov3: "dinov3",
    timm_dinov3_plus: "dinov3_plus", timm_deit_distilled: "deit", timm_deit3: "deit", timm_mae_average: "vit",
    timm_average_in_config: "deit", timm_clip: "clip", timm_siglip: "siglip", timm_registers_with_positions: "deit",
    huggingface_dinov2: "dinov2", huggingface_dinov2_resized: "dinov2", huggingface_dinov2_giant: "dinov2_giant",
    huggingface_dinov2_registers: "dinov2", huggingface_dinov3: "dinov3", huggingface_dinov3_plus: "dinov3_plus",
    huggingface_deit_distilled: "deit", huggingface_mae: "vit", huggingface_clip: "clip", huggingface_siglip: "siglip",
    huggingface_siglip_tower: "siglip", timm_oblong: "oblong", timm_dinov3_wide: "wide", huggingface_vit_wide: "wide",
    huggingface_dinov2_wide_resized: "dinov2",
}  # fmt: skip
#: Images of another size than the model's.
RESIZED = {"tiny": 12, "real": 224}
WIDE_RESIZED = {"tiny": (8, 16), "real": (224, 154)}


CASES: dict[str, Case] = {
    case.__name__.replace("_", "-"): case
    for case in (
        timm_vit, timm_vit_bfloat16, timm_vit_float16, timm_vit_old, timm_swin, timm_swin_old, huggingface_vit,
        huggingface_vit_headless, huggingface_vit_module_names, huggingface_vit_sharded,
        huggingface_swin, huggingface_swin_module_names, google_npz, google_npz_training, *VARIANTS,
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
        kind = VARIANTS.get(CASES[case], "swin" if "swin" in case else "vit")
        side = make.settings[kind]["img_size"]
        if case.endswith("-resized"):
            side = (WIDE_RESIZED if "wide" in case else RESIZED)[arguments.size]
        with torch.no_grad():
            output = model(images(BATCH, side))
        of = {"of": "features"} if CASES[case] in VARIANTS else {}
        results[case] = {"file": file, "imageSize": side, **of, "logits": getattr(output, "logits", output).tolist()}
    (arguments.out / "logits.json").write_text(json.dumps(results, separators=(",", ":")) + "\n")
    print(f"timm {timm.__version__}, transformers {transformers.__version__}, numpy {np.__version__}, torch {torch.__version__}")


if __name__ == "__main__":
    main()
