/**
 * Reading a reference directory: its JSON files, its tensors, and its names in idat's words. The only file that knows
 * how the reference calls things.
 */
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Backbone, ViTConfig } from '../backbones/backbone.js';
import { backboneFromFile } from '../backbones/node/checkpoint.js';
import { IdatError } from '../errors.js';
import { openSafetensors } from '../files/node/safetensors-file.js';
import type { TensorData } from '../files/safetensors-reader.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import type { Role } from '../step/roles.js';

const numbers = z.array(z.number());
const count = z.int().min(1);
const labels = z.array(z.int().min(0));

const sizes = z.object({
  img_size: count.optional(),
  patch_size: count.optional(),
  embed_dim: count.optional(),
  depth: count.optional(),
  num_heads: count.optional(),
  num_classes: count.optional(),
  mlp_ratio: z.number().optional(),
  qkv_bias: z.boolean().optional(),
  layer_norm_eps: z.number().optional(),
  adapter_hidden: count.optional(),
  adapter_scale_P_PS: z.number().optional(),
});

const oneStepVariant = z.object({
  tuning_mode: z.string(),
  distill_loss: z.string(),
  ce_student: z.number(),
  ce_teacher: z.number(),
  distill: z.number(),
  total: z.number(),
});

export const oneStepSchema = z.object({
  temperature: z.number().optional(),
  labels: labels.optional(),
  models: z.object({ student: sizes.optional(), teacher: sizes.optional() }).optional(),
  /** In one_step_wide.json. */
  adapter_hidden: count.optional(),
  /** In drop_path.json. */
  drop_path_rate: z.number().gt(0).lt(1).optional(),
  variants: z.record(z.string(), oneStepVariant),
});

const parameterGroups = z.object({ decay: z.array(z.string()), no_decay: z.array(z.string()) });

export const trajectorySchema = z.object({
  steps_per_epoch: count,
  labels_train: labels,
  optimizer: z
    .object({
      optimizer: z.string().startsWith('AdamW').optional(),
      betas: z.tuple([z.number(), z.number()]),
      eps: z.number(),
      weight_decay: z.number(),
      amsgrad: z.literal(false).optional(),
    })
    .catchall(z.unknown()),
  schedule: z.object({
    lr: z.number(),
    epochs: count,
    warmup_epochs: z.int().min(0),
    warmup_lr: z.number(),
    min_lr: z.number(),
    cooldown_epochs: z.int().min(0).default(0),
  }),
  lr: numbers,
  batches: z.array(z.array(z.int().min(0)).min(1)),
  variants: z
    .record(
      z.string(),
      z.object({
        tuning_mode: z.string(),
        distill_loss: z.string(),
        ce_student: numbers,
        ce_teacher: numbers,
        distill: numbers,
        total: numbers,
      }),
    )
    .default({}),
});
export const groupsSchema = z.object({ student: parameterGroups.optional(), teacher: parameterGroups.optional() });

export const baselinesSchema = z.object({
  trajectories: z.record(z.string(), z.object({ tuning_mode: z.string(), ce: numbers })).default({}),
  one_step: z.record(z.string().regex(/^[^/]+\/(student|teacher)$/), z.object({ ce: z.number() })).default({}),
});

export const scheduleSchema = z.object({
  tables: z.array(
    z.object({
      epochs: count,
      warmup_epochs: z.int().min(0),
      warmup_lr: z.number(),
      base_lr: z.number(),
      min_lr: z.number(),
      cooldown_epochs: z.int().min(0),
      lr_per_epoch: numbers,
    }),
  ),
});

export const preprocessSchema = z.object({
  transform: z.object({
    input_size: z.tuple([z.literal(3), count, count]),
    interpolation: z.literal('bicubic'),
    mean: numbers,
    std: z.array(z.number().gt(0)),
  }),
  images: z.record(z.string(), z.object({ format: z.string() })),
});

export const swinSchema = z.object({
  img_size: count,
  patch_size: count,
  window_size: count,
  embed_dim: count,
  depths: z.array(count).min(1),
  num_heads: z.array(count).min(1),
  num_classes: count,
  mlp_ratio: z.number().gt(0),
  qkv_bias: z.boolean(),
  layer_norm_eps: z.number().gt(0),
  labels,
  loss: z.number(),
});

const shapesByName = z.record(z.string(), z.array(count));

/** A file of tensor_names/: one list, or for Swin one for each of two layouts. */
export const tensorNamesSchema = z.object({
  model: z.string(),
  tensors: shapesByName.optional(),
  'microsoft_and_timm_0.6': shapesByName.optional(),
  'timm_0.9_and_later': shapesByName.optional(),
});

export const deviationSchema = z.record(z.string(), z.object({ max_abs: z.number(), max_rel: z.number() }));

/**
 * The reference's names of tuning methods, of tuning_mode and of the variants.
 * Each takes the adapter's hidden width and scale.
 */
const TUNING_MODES: Record<string, (hidden: number, scale: number) => Pick<ModelSpec, 'method' | 'methodOptions'>> = {
  gist_seq_adapter: (hidden) => ({ method: 'sequential', methodOptions: { hidden } }),
  adaptformer: (hidden, scale) => ({ method: 'parallel', methodOptions: { hidden, scale } }),
  gist_shared_par_adapter: (hidden, scale) => ({ method: 'parallel-shared', methodOptions: { hidden, scale } }),
  linear_probe: () => ({ method: 'linear', methodOptions: {} }),
  full: () => ({ method: 'full', methodOptions: {} }),
};
const VARIANT_MODES: Record<string, string> = {
  S: 'gist_seq_adapter',
  P: 'adaptformer',
  PS: 'gist_shared_par_adapter',
};

/** What the reference calls one of idat's tensors. */
export const theirName = (name: string): string => name.replace('.adapter.', '.gist_adapter.');

/** All tensors of one file. */
export class Tensors {
  private constructor(
    readonly path: string,
    private readonly tensors: ReadonlyMap<string, TensorData>,
  ) {}

  static async read(path: string): Promise<Tensors> {
    const open = await openSafetensors(path);
    try {
      const tensors = new Map<string, TensorData>();
      for (const name of open.file.tensors.keys()) tensors.set(name, await open.read(name));
      return new Tensors(path, tensors);
    } finally {
      await open.close();
    }
  }

  has(name: string): boolean {
    return this.tensors.has(name);
  }

  /** The names that start with `prefix`, without it. */
  names(prefix: string): string[] {
    return [...this.tensors.keys()].filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
  }

  /** @param expected number of elements, where known */
  floats(name: string, expected?: number): Float32Array {
    return this.typed(name, Float32Array, 'F32', expected);
  }

  bytes(name: string, expected?: number): Uint8Array {
    return this.typed(name, Uint8Array, 'U8', expected);
  }

  integers(name: string, expected?: number): Int32Array {
    return this.typed(name, Int32Array, 'I32', expected);
  }

  shape(name: string): readonly number[] {
    return this.find(name).shape;
  }

  private typed<A extends { length: number }>(
    name: string,
    type: abstract new (...args: never[]) => A,
    dtype: string,
    expected?: number,
  ): A {
    const { data, shape } = this.find(name);
    if (!(data instanceof type) || data.length !== (expected ?? data.length)) {
      const wanted = expected === undefined ? dtype : `${expected} numbers of ${dtype}`;
      throw broken(`${this.path}: tensor ${name} [${shape}] should hold ${wanted}`);
    }
    return data;
  }

  private find(name: string): TensorData {
    const tensor = this.tensors.get(name);
    if (tensor) return tensor;
    throw broken(`${this.path}: there is no tensor ${name}; the reference is incomplete`);
  }
}

/** A model of the reference. */
export interface ReferenceModel {
  readonly tensors: Tensors;
  readonly hidden: number;
  /** As idat sees it, tuned by the method that the reference calls `mode`. */
  spec(mode: string, options?: { hidden?: number | undefined; dropPath?: number | undefined }): ModelSpec;
}

/** A batch of images [n, …] and their labels. */
export interface Batch {
  readonly images: Float32Array;
  readonly labels: readonly number[];
}

export class Directory {
  private readonly models = new Map<Role, Promise<ReferenceModel>>();

  private constructor(
    readonly path: string,
    private readonly oneStep: z.infer<typeof oneStepSchema> | null,
  ) {}

  static async open(path: string): Promise<Directory> {
    if (!existsSync(path)) throw new IdatError('verify.directory', `${path}: there is no such folder`);
    return new Directory(path, await readJson(join(path, 'one_step.json'), oneStepSchema));
  }

  get temperature(): number {
    return this.oneStep?.temperature ?? 5;
  }

  has(name: string): boolean {
    return existsSync(join(this.path, name));
  }

  file(name: string): Promise<Buffer> {
    return readFile(join(this.path, name)).catch((error) => {
      throw broken(`${join(this.path, name)}: it cannot be read (${(error as Error).message})`);
    });
  }

  /** The JSON files of a folder, none where it is absent. */
  async list(folder: string): Promise<string[]> {
    const names = this.has(folder) ? await readdir(join(this.path, folder)) : [];
    return names.filter((name) => name.endsWith('.json')).sort();
  }

  json<S extends z.ZodType>(name: string, schema: S): Promise<z.infer<S> | null> {
    return readJson(join(this.path, name), schema);
  }

  tensors(name: string): Promise<Tensors> {
    return Tensors.read(join(this.path, name));
  }

  model(role: Role): Promise<ReferenceModel> {
    const known = this.models.get(role) ?? this.loadModel(role);
    this.models.set(role, known);
    return known;
  }

  /** The section's own batch or that of one_step, which the sections share; null where neither is present. */
  async batch(section: Tensors): Promise<Batch | null> {
    if (!section.has('inputs') && !this.has('one_step.safetensors')) return null;
    const tensors = section.has('inputs') ? section : await this.tensors('one_step.safetensors');
    const labels = [...tensors.integers('labels', tensors.shape('inputs')[0])];
    return { images: tensors.floats('inputs'), labels };
  }

  /** Sizes from one_step.json; those it lacks from the shapes and the metadata of the weights. */
  private async loadModel(role: Role): Promise<ReferenceModel> {
    const path = join(this.path, 'models', `${role}.safetensors`);
    const tensors = await Tensors.read(path);
    const s = this.oneStep?.models?.[role] ?? {};
    const width = s.embed_dim ?? tensors.shape('cls_token').at(-1)!;
    const config: Partial<ViTConfig> = defined({
      imageSize: s.img_size,
      patchSize: s.patch_size,
      width,
      depth: s.depth,
      heads: s.num_heads,
      mlpWidth: s.mlp_ratio && Math.trunc(width * s.mlp_ratio),
      qkvBias: s.qkv_bias,
      layerNormEps: s.layer_norm_eps,
    });
    const backbone: Backbone = await backboneFromFile(path, { config, name: role, besides: /adapter/ });
    const classes = s.num_classes ?? tensors.shape('head.weight')[0]!;
    const ownHidden = s.adapter_hidden ?? tensors.shape('blocks.0.gist_adapter.linear1.weight')[0]!;
    return {
      tensors,
      hidden: ownHidden,
      spec: (mode, { hidden = ownHidden, dropPath = 0 } = {}) => {
        const method = TUNING_MODES[VARIANT_MODES[mode] ?? mode];
        if (!method) {
          throw broken(
            `${this.path}: tuning mode '${mode}' is none of ${Object.keys(TUNING_MODES).join(', ')}, which idat can replay`,
          );
        }
        return { backbone, classes, dropPath, ...method(hidden, s.adapter_scale_P_PS ?? 0.1) };
      },
    };
  }
}

/** The flat vector of trainable parameters, each tensor from the first source that has it. */
export function parametersFrom(
  layout: TrainableLayout,
  sources: readonly { tensors: Tensors; prefix: string }[],
): Float32Array {
  const vector = new Float32Array(layout.size);
  for (const slot of layout.slots) {
    const name = theirName(slot.name);
    const source = sources.find(({ tensors, prefix }) => tensors.has(prefix + name)) ?? sources.at(-1)!;
    vector.set(source.tensors.floats(source.prefix + name, slot.size), slot.offset);
  }
  return vector;
}

/** The parts of a flat vector beside the reference's tensors; both sides must have the same tensors. */
export function tensorPairs(layout: TrainableLayout, vector: Float32Array, tensors: Tensors, prefix: string) {
  const known = new Set(layout.slots.map((slot) => theirName(slot.name)));
  const extra = tensors.names(prefix).find((name) => !known.has(name));
  if (extra) throw broken(`${tensors.path}: tensor ${prefix}${extra} belongs to nothing that idat trains there`);
  return layout.slots.map((slot) => {
    const name = theirName(slot.name);
    const ours = vector.subarray(slot.offset, slot.offset + slot.size);
    return { name, ours, theirs: tensors.floats(prefix + name, slot.size) };
  });
}

export const broken = (message: string): IdatError => new IdatError('verify.reference', message);

async function readJson<S extends z.ZodType>(path: string, schema: S): Promise<z.infer<S> | null> {
  if (!existsSync(path)) return null;
  let content: unknown;
  try {
    content = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw broken(`${path}: this is not valid JSON (${(error as Error).message})`);
  }
  const parsed = schema.safeParse(content);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw broken(`${path}: ${issue.path.join('.') || 'the file'}: ${issue.message}`);
}

function defined<T extends object>(fields: T): { [K in keyof T]: Exclude<T[K], undefined> } {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== undefined)) as never;
}
