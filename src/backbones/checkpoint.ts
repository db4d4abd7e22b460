/**
 * Opening a checkpoint of a ViT or a Swin: sizes from its tensors and metadata, weights left where they lie in the file.
 */
import { createHash } from 'node:crypto';
import { closeSync, createReadStream, openSync, readSync } from 'node:fs';
import { realpath } from 'node:fs/promises';
import { basename } from 'node:path';
import { IdatError, nearest } from '../errors.js';
import { isFloatDtype, type TensorEntry, toFloat32 } from '../files/safetensors.js';
import { type OpenSafetensors, openSafetensors } from '../files/safetensors-node.js';
import { constant } from '../graph/ops/index.js';
import { formatShape, sameShape, size } from '../graph/tensor.js';
import { usualNormalisation } from './architecture.js';
import type { Backbone, BackboneConfig, BackboneSizes, ViTConfig, Weights } from './backbone.js';
import { resizePositionEmbedding } from './position-embedding.js';
import { checkSwinConfig, holdsSwin, readSwinConfig, storedSwinName } from './swin-checkpoint.js';

export interface Overrides {
  readonly name?: string;
  /** Sizes known from elsewhere; they win over what the file says. A different imageSize resizes the positions. */
  readonly config?: BackboneSizes;
  readonly mean?: readonly number[];
  readonly std?: readonly number[];
}

/**
 * Opens a safetensors file in timm's naming as a frozen backbone.
 *
 * @throws IdatError when a tensor is missing, has another shape than the sizes ask for, or holds NaN or infinity
 */
export async function backboneFromFile(path: string, overrides: Overrides = {}): Promise<Backbone> {
  const place = await realpath(path).catch(() => path);
  const open = await openSafetensors(place);
  try {
    const { tensors, metadata } = open.file;
    const stored = (holdsSwin(tensors) ? readSwinConfig : readConfig)(path, tensors, metadata);
    const config = { ...stored, ...overrides.config } as BackboneConfig;
    checkConfig(path, stored, config);
    await checkFinite(path, open);
    const storedName = stored.family === 'swin' ? storedSwinName(tensors) : (own: string) => own;
    const weights = new FileWeights(place, tensors, storedName, stored, config);
    const normalisation = usualNormalisation(config);
    return {
      name: overrides.name ?? basename(path).replace(/\.safetensors$/, ''),
      config,
      weights,
      mean: overrides.mean ?? numberList(metadata.mean) ?? normalisation.mean,
      std: overrides.std ?? numberList(metadata.std) ?? normalisation.std,
      path: place,
      sha256: await sha256(place),
    };
  } finally {
    await open.close();
  }
}

/** A ViT's sizes, from the shapes where they show, from the metadata (timm's argument names) where they do not. */
function readConfig(
  path: string,
  tensors: ReadonlyMap<string, TensorEntry>,
  metadata: Record<string, string>,
): ViTConfig {
  const shape = (name: string, rank: number) => {
    const entry = tensors.get(name);
    if (entry?.shape.length === rank) return entry.shape;
    throw new IdatError(
      'backbone.tensor',
      entry
        ? `${path}: tensor ${name} is ${formatShape(entry.shape)}, a ViT's has ${rank} axes; idat reads ViT checkpoints in timm's naming`
        : `${path}: tensor ${name} is missing; idat reads ViT checkpoints in timm's naming (this file has ${[...tensors.keys()].slice(0, 3).join(', ') || 'no tensors'})`,
    );
  };
  const [width, channels, patchSize] = shape('patch_embed.proj.weight', 4) as [number, number, number];
  const tokens = shape('pos_embed', 3)[1]!;
  let depth = 0;
  while (tensors.has(`blocks.${depth}.norm1.weight`)) depth++;
  const mlpWidth = shape('blocks.0.mlp.fc1.weight', 2)[0]!;
  return {
    family: 'vit',
    imageSize: Math.round(Math.sqrt(tokens - 1)) * patchSize,
    patchSize,
    channels,
    width,
    depth,
    heads: numberList(metadata.num_heads)?.[0] ?? width / 64,
    mlpWidth,
    qkvBias: tensors.has('blocks.0.attn.qkv.bias'),
    layerNormEps: numberList(metadata.layer_norm_eps)?.[0] ?? 1e-6,
  };
}

function checkConfig(path: string, { family }: BackboneConfig, config: BackboneConfig): void {
  if (config.family !== family) {
    const [found, wanted] = [family, config.family].map((name) => ({ vit: 'ViT', swin: 'Swin' })[name]);
    throw new IdatError('backbone.family', `${path}: the file holds a ${found}, where a ${wanted} was expected`);
  }
  if (config.family === 'swin') checkSwinConfig(path, config);
  else checkViTConfig(path, config);
}

function checkViTConfig(path: string, { heads, width, imageSize, patchSize }: ViTConfig): void {
  if (!Number.isInteger(heads) || heads < 1 || width % heads !== 0) {
    throw new IdatError(
      'backbone.heads',
      `${path}: cannot tell the number of heads for width ${width}; store it as num_heads in the file's metadata`,
    );
  }
  if (!Number.isInteger(imageSize / patchSize) || imageSize < patchSize) {
    throw new IdatError(
      'backbone.imageSize',
      `${path}: image size ${imageSize} is not a multiple of patch size ${patchSize}`,
    );
  }
}

class FileWeights implements Weights {
  constructor(
    private readonly path: string,
    private readonly tensors: ReadonlyMap<string, TensorEntry>,
    /** What the file calls a tensor of ours. */
    private readonly storedName: (name: string) => string,
    private readonly stored: BackboneConfig,
    private readonly config: BackboneConfig,
  ) {}

  has(name: string): boolean {
    return this.tensors.has(this.storedName(name));
  }

  constant(name: string, shape: readonly number[]) {
    const entry = this.find(name, shape);
    if (entry.dtype !== 'F32' || !sameShape(entry.shape, shape)) return constant(shape, this.values(name, shape));
    const load = (first = 0, count = size(shape) - first) => this.load(entry, 4 * first, 4 * count);
    return constant(shape, { kind: 'file', path: this.path, offset: entry.offset, load });
  }

  values(name: string, shape: readonly number[]): Float32Array {
    const entry = this.find(name, shape);
    const values = this.load(entry);
    if (name !== 'pos_embed' || sameShape(entry.shape, shape)) return values;
    const side = ({ imageSize, patchSize }: BackboneConfig) => imageSize / patchSize;
    return resizePositionEmbedding(values, shape[2]!, side(this.stored), side(this.config));
  }

  private find(name: string, shape: readonly number[]): TensorEntry {
    const storedName = this.storedName(name);
    const entry = this.tensors.get(storedName);
    if (!entry) {
      const near = nearest(storedName, [...this.tensors.keys()].slice(0, 5000), 1);
      throw new IdatError(
        'backbone.tensor',
        `${this.path}: tensor ${storedName} ${formatShape(shape)} is missing (nearest name: ${near[0] ?? 'none'}); the file is incomplete or not in timm's naming`,
      );
    }
    // positions may be resized, and very old files keep the patch kernel flattened
    const fits = name === 'pos_embed' ? entry.shape[2] === shape[2] : size(entry.shape) === size(shape);
    if (
      !fits ||
      !isFloatDtype(entry.dtype) ||
      (name !== 'patch_embed.proj.weight' && entry.shape.length !== shape.length)
    ) {
      throw new IdatError(
        'backbone.tensor',
        `${this.path}: tensor ${storedName} is ${entry.dtype} ${formatShape(entry.shape)}, expected float ${formatShape(shape)} for ${this.describe()}`,
      );
    }
    if (name !== 'pos_embed' && entry.shape.length === shape.length && !sameShape(entry.shape, shape)) {
      throw new IdatError(
        'backbone.tensor',
        `${this.path}: tensor ${storedName} is ${formatShape(entry.shape)}, expected ${formatShape(shape)}; the file mixes sizes`,
      );
    }
    return entry;
  }

  private describe(): string {
    if (this.config.family === 'vit') return `a ViT of width ${this.config.width}, depth ${this.config.depth}`;
    return `a Swin of width ${this.config.embedWidth}, depths ${this.config.depths}`;
  }

  /** @param firstByte, byteCount the part wanted; default: all of it */
  private load(entry: TensorEntry, firstByte = 0, byteCount = entry.byteLength): Float32Array {
    const bytes = new Uint8Array(byteCount);
    const file = openSync(this.path, 'r');
    try {
      for (let done = 0; done < bytes.length; ) {
        const read = readSync(file, bytes, done, bytes.length - done, entry.offset + firstByte + done);
        if (read === 0)
          throw new IdatError('backbone.tensor', `${this.path}: the file became shorter while it was read`);
        done += read;
      }
    } finally {
      closeSync(file);
    }
    // bytes read into an array of their own need no copy to be read as numbers
    return entry.dtype === 'F32' ? new Float32Array(bytes.buffer) : toFloat32(bytes, entry.dtype as 'F16');
  }
}

/** A NaN in frozen weights would surface as a NaN loss far from its cause. */
async function checkFinite(path: string, open: OpenSafetensors): Promise<void> {
  for (const { name, dtype } of open.file.tensors.values()) {
    if (!isFloatDtype(dtype)) continue;
    const values = await open.readFloat32(name);
    for (let i = 0; i < values.length; i++) {
      if (!Number.isFinite(values[i])) {
        throw new IdatError(
          'backbone.notFinite',
          `${path}: tensor ${name} holds ${values[i]} at element ${i}; the weights are damaged, get the file again`,
        );
      }
    }
  }
}

function numberList(text: string | undefined): number[] | undefined {
  const numbers = text?.split(',').map(Number);
  return numbers?.every((n) => Number.isFinite(n)) ? numbers : undefined;
}

async function sha256(path: string): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of createReadStream(path, { highWaterMark: 1 << 20 })) hash.update(chunk as Buffer);
  return hash.digest('hex');
}
