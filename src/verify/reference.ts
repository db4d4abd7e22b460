/** Reading a reference directory: every size, name and setting comes from its files. */
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { z } from 'zod';
import type { Backbone } from '../backbones/backbone.js';
import { backboneFromFile } from '../backbones/checkpoint.js';
import { IdatError } from '../errors.js';
import { type OpenSafetensors, openSafetensors } from '../files/safetensors-node.js';
import type { ModelSpec, TrainableLayout } from '../train/step.js';

export type Role = 'student' | 'teacher';

const modelSizes = z.object({
  img_size: z.number(),
  patch_size: z.number(),
  embed_dim: z.number(),
  depth: z.number(),
  num_heads: z.number(),
  num_classes: z.number(),
  mlp_ratio: z.number(),
  qkv_bias: z.boolean(),
  layer_norm_eps: z.number(),
  adapter_hidden: z.number(),
  adapter_scale_P_PS: z.number(),
});

const stepVariant = z.object({
  tuning_mode: z.string(),
  distill_loss: z.string(),
  ce_student: z.number(),
  ce_teacher: z.number(),
  distill: z.number(),
  total: z.number(),
});

export const oneStepFile = z.object({
  temperature: z.number(),
  labels: z.array(z.number()),
  models: z.object({ student: modelSizes, teacher: modelSizes }),
  variants: z.record(z.string(), stepVariant),
});

export const wideFile = z.object({ adapter_hidden: z.number(), variants: z.record(z.string(), stepVariant) });

const perRole = <T extends z.ZodType>(value: T) => z.object({ student: value, teacher: value });

export const dropPathFile = z.object({
  drop_path_rate: z.number(),
  rate_per_block: perRole(z.array(z.number())),
  variants: z.record(z.string(), stepVariant),
});

export const trajectoryFile = z.object({
  steps: z.number(),
  steps_per_epoch: z.number(),
  labels_train: z.array(z.number()),
  optimizer: z.object({
    betas: z.tuple([z.number(), z.number()]),
    eps: z.number(),
    weight_decay: z.number(),
  }),
  schedule: z.object({
    lr: z.number(),
    epochs: z.number(),
    warmup_epochs: z.number(),
    warmup_lr: z.number(),
    min_lr: z.number(),
  }),
  lr: z.array(z.number()),
  batches: z.array(z.array(z.number())),
  variants: z.record(
    z.string(),
    z.object({
      tuning_mode: z.string(),
      distill_loss: z.string(),
      ce_student: z.array(z.number()),
      ce_teacher: z.array(z.number()),
      distill: z.array(z.number()),
      total: z.array(z.number()),
    }),
  ),
});

export const baselinesFile = z.object({
  trajectories: z.record(z.string(), z.object({ tuning_mode: z.string(), ce: z.array(z.number()) })),
  one_step: z.record(z.string(), z.object({ ce: z.number() })),
});

export const scheduleFile = z.object({
  tables: z.array(
    z.object({
      epochs: z.number(),
      warmup_epochs: z.number(),
      warmup_lr: z.number(),
      base_lr: z.number(),
      min_lr: z.number(),
      cooldown_epochs: z.number(),
      lr_per_epoch: z.array(z.number()),
    }),
  ),
});

export const preprocessFile = z.object({
  transform: z.object({ input_size: z.array(z.number()), mean: z.array(z.number()), std: z.array(z.number()) }),
  images: z.record(z.string(), z.object({})),
});

export const deviationFile = z.record(z.string(), z.object({ max_abs: z.number(), max_rel: z.number() }));

/** The authors' names for what idat calls otherwise. */
const METHOD_OF: Record<string, string> = {
  gist_seq_adapter: 'sequential',
  adaptformer: 'parallel',
  gist_shared_par_adapter: 'parallel-shared',
  linear_probe: 'linear',
  full: 'full',
};
const referenceName = (name: string): string => name.replace('.adapter.', '.gist_adapter.');

export class Reference {
  private constructor(
    readonly directory: string,
    readonly oneStep: z.output<typeof oneStepFile>,
    private readonly backbones: Record<Role, Backbone>,
    private readonly models: Record<Role, OpenSafetensors>,
  ) {}

  /** @throws IdatError when the directory is no reference or is damaged */
  static async open(directory: string): Promise<Reference> {
    const oneStep = await readJson(directory, 'one_step.json', oneStepFile);
    const path = (role: Role) => join(directory, 'models', `${role}.safetensors`);
    const backbone = (role: Role) => {
      const sizes = oneStep.models[role];
      const config = {
        imageSize: sizes.img_size,
        patchSize: sizes.patch_size,
        width: sizes.embed_dim,
        depth: sizes.depth,
        heads: sizes.num_heads,
        mlpWidth: Math.trunc(sizes.embed_dim * sizes.mlp_ratio),
        qkvBias: sizes.qkv_bias,
        layerNormEps: sizes.layer_norm_eps,
      };
      return backboneFromFile(path(role), { name: role, config });
    };
    const backbones = { student: await backbone('student'), teacher: await backbone('teacher') };
    const models = { student: await openSafetensors(path('student')), teacher: await openSafetensors(path('teacher')) };
    return new Reference(directory, oneStep, backbones, models);
  }

  async close(): Promise<void> {
    await this.models.student.close();
    await this.models.teacher.close();
  }

  /** Whether a file of the directory exists. */
  has(file: string): Promise<boolean> {
    return exists(join(this.directory, file));
  }

  json<T extends z.ZodType>(file: string, schema: T): Promise<z.output<T>> {
    return readJson(this.directory, file, schema);
  }

  tensors(file: string): Promise<OpenSafetensors> {
    return openSafetensors(join(this.directory, file));
  }

  /** The model a tuning mode makes of a role's backbone. */
  spec(role: Role, tuningMode: string, options: { hidden?: number; dropPath?: number } = {}): ModelSpec {
    const sizes = this.oneStep.models[role];
    const method = METHOD_OF[tuningMode];
    if (!method) throw new IdatError('verify.mode', `${this.directory}: unknown tuning_mode '${tuningMode}'`);
    const hidden = options.hidden ?? sizes.adapter_hidden;
    const methodOptions = method === 'sequential' ? { hidden } : { hidden, scale: sizes.adapter_scale_P_PS };
    return {
      backbone: this.backbones[role],
      method,
      methodOptions: method === 'linear' || method === 'full' ? {} : methodOptions,
      classes: sizes.num_classes,
      dropPath: options.dropPath ?? 0,
    };
  }

  /** A role's starting values: the stored model's, or where it has them `from`'s tensors under a prefix. */
  async parameters(
    role: Role,
    layout: TrainableLayout,
    from?: { file: OpenSafetensors; prefix: string },
  ): Promise<Float32Array> {
    const vector = new Float32Array(layout.size);
    for (const { name, offset, size } of layout.slots) {
      const stored = referenceName(name);
      const other = from && `${from.prefix}${stored}`;
      const values =
        other && from.file.file.tensors.has(other)
          ? await from.file.readFloat32(other)
          : await this.models[role].readFloat32(stored);
      if (values.length !== size) {
        throw new IdatError(
          'verify.shape',
          `${this.directory}: tensor ${stored} of the ${role} has ${values.length} numbers, expected ${size}`,
        );
      }
      vector.set(values, offset);
    }
    return vector;
  }

  /** Pairs of a tensor's name and the numbers found for it, with those stored under `prefix`. */
  async *stored(file: OpenSafetensors, prefix: string, layout: TrainableLayout, found: Float32Array) {
    for (const { name, offset, size } of layout.slots) {
      const expected = await file.readFloat32(`${prefix}${referenceName(name)}`);
      yield { name, expected, found: found.subarray(offset, offset + size) };
    }
  }
}

const exists = (path: string): Promise<boolean> =>
  stat(path).then(
    () => true,
    () => false,
  );

async function readJson<T extends z.ZodType>(directory: string, file: string, schema: T): Promise<z.output<T>> {
  const path = join(directory, file);
  let json: unknown;
  try {
    json = JSON.parse(await readFile(path, 'utf8'));
  } catch (error) {
    throw new IdatError(
      'verify.file',
      `${path}: cannot be read as JSON (${(error as Error).message}); is ${directory} a reference directory?`,
    );
  }
  const parsed = schema.safeParse(json);
  if (parsed.success) return parsed.data;
  const issue = parsed.error.issues[0]!;
  throw new IdatError('verify.file', `${path}: ${issue.path.join('.') || 'the file'}: ${issue.message}`);
}
