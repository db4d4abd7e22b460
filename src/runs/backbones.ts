/** Backbones as runs open them: what is not on this disk is fetched, in sight of the caller. */
import type { Backbone, BackboneConfig, ViTConfig } from '../backbones/backbone.js';
import { backboneFromFile } from '../backbones/node/checkpoint.js';
import { resolveBackbone } from '../backbones/node/registry.js';
import { randomBackbone } from '../backbones/random-weights.js';
import type { FetchControl } from '../hub/fetch.js';
import type { Scratch } from '../settings/fields.js';
import type { ModelPlan, RunPlan } from '../settings/plan.js';
import type { BackboneRecord } from '../settings/record.js';
import type { Pair } from '../step/roles.js';
import type { RunControl } from '../train/progress.js';
import { taken } from '../train/sources.js';

/** What of a plan says where backbones come from. */
export type BackboneSource = Pick<RunPlan, 'offline' | 'seed'>;

/**
 * The checkpoint to be tuned, or random weights to begin with.
 * @throws IdatError as `resolveBackbone`; `config.field` for blocks that it lacks; `hub.interrupted` when the signal stopped it
 */
export async function openBackbone(
  model: ModelPlan,
  { offline, seed }: BackboneSource,
  control: RunControl,
): Promise<Backbone> {
  const { name, scratch, imageSize, layerNormEps } = model;
  const random = () => randomBackbone(name, scratchConfig(scratch!), seed, 'student');
  const fetch = offline ? undefined : fetching(name, control);
  return taken(scratch ? await random() : await resolveBackbone(name, { imageSize, layerNormEps, fetch }), model);
}

export async function openBackbones(
  { student, teacher }: Pair<ModelPlan>,
  source: BackboneSource,
  control: RunControl,
): Promise<Pair<Backbone>> {
  const own = await openBackbone(student, source, control);
  const taught = async (by: ModelPlan) =>
    by.firstBlocks === null ? openBackbone(by, source, control) : taken(own, by);
  return { student: own, teacher: teacher && (await taught(teacher)) };
}

/** The rest is as in every ViT of timm. */
export function scratchConfig({ mlpWidth, ...sizes }: Scratch): ViTConfig {
  const fixed = { family: 'vit' as const, channels: 3, qkvBias: true, layerNormEps: 1e-6 };
  return { ...fixed, ...sizes, mlpWidth: mlpWidth ?? 4 * sizes.width };
}

/** A caller's control of a run as the control of fetching. @param name stands beside the progress */
export function fetching(name: string, { onProgress, signal }: RunControl): FetchControl {
  return {
    signal,
    onNote: (text) => onProgress?.({ kind: 'note', text }),
    onProgress: (done, total, bytesPerSecond) => onProgress?.({ kind: 'fetch', name, done, total, bytesPerSecond }),
  };
}

/**
 * The weights a run began with, at another place. What the file does not say of itself is known from the run.
 * @throws IdatError as `backboneFromFile`
 */
export function openMoved(path: string, { name, config, mean, std }: BackboneRecord): Promise<Backbone> {
  return backboneFromFile(path, { name, config: config as unknown as BackboneConfig, mean, std });
}
