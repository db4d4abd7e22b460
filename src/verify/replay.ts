/**
 * Replaying the sections that need the compiled step: one step with every gradient, and whole runs.
 */
import type { z } from 'zod';
import { blocks } from '../backbones/architecture.js';
import type { WeightSink } from '../graph/emit.js';
import type { Runtime } from '../runtime/runtime.js';
import type { Losses } from '../settings/record.js';
import type { Distillation } from '../step/distillation.js';
import { buildForward } from '../step/forward.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { mapPair, ROLES, type Role } from '../step/roles.js';
import { buildTrainStep, type TrainStep } from '../step/train-step.js';
import { AdamW, decayRanges, decays } from '../train/adamw.js';
import { dropPathMultipliers } from '../train/drop-path.js';
import { learningRate } from '../train/schedule.js';
import { updateStep } from '../train/update-step.js';
import {
  type Batch,
  baselinesSchema,
  broken,
  type Directory,
  groupsSchema,
  oneStepSchema,
  parametersFrom,
  type Tensors,
  trajectorySchema,
} from './directory.js';
import { absolute, type Deviation, type Quantity, relative, worst } from './row.js';
import { callsOf, compareTensors, everyIndex, runBatch, withSession } from './run-batch.js';

export interface Replay {
  readonly directory: Directory;
  readonly runtime: Runtime;
  /** Adds a row. */
  report(quantity: Quantity, variant: string, deviation: Deviation | number): void;
  /** Adds a row that says why a section is not replayed; by default because it is not present. */
  absent(section: string, reason?: string): void;
}

const NO_BATCH = 'needs the batch in one_step.safetensors, which is not present';

const LOSSES = [
  ['student', 'ce_student'],
  ['teacher', 'ce_teacher'],
  ['distill', 'distill'],
  ['total', 'total'],
] as const;

/** `one_step`, `one_step_wide` and `drop_path`, which have the same form. */
export async function replayOneStep(
  replay: Replay,
  file: string,
  title: 'one step' | 'one step, wide adapters' | 'drop path',
): Promise<void> {
  const { directory, report } = replay;
  const json = await directory.json(`${file}.json`, oneStepSchema);
  if (!json) return replay.absent(file);
  const tensors = await directory.tensors(`${file}.safetensors`);
  const batch = await directory.batch(tensors);
  if (!batch) return replay.absent(file, NO_BATCH);
  if (json.labels) report('one step: labels', file, absolute(batch.labels, json.labels));

  const models = { student: await directory.model('student'), teacher: await directory.model('teacher') };
  const multipliers = json.drop_path_rate === undefined ? {} : await dropPath(replay, json.drop_path_rate, tensors);
  for (const [variant, expected] of Object.entries(json.variants)) {
    const options = { hidden: json.adapter_hidden, dropPath: json.drop_path_rate };
    const build = (sink: WeightSink) =>
      buildTrainStep({
        student: models.student.spec(expected.tuning_mode, options),
        teacher: models.teacher.spec(expected.tuning_mode, options),
        distillation: distillation(expected.distill_loss, directory.temperature),
        microBatch: batch.labels.length,
        inspect: true,
        sink,
      });
    const initial = (step: TrainStep, role: Role) =>
      parametersFrom(step[role]!, [
        { tensors, prefix: `adapters/${role}/` },
        { tensors: models[role].tensors, prefix: '' },
      ]);
    const { step, outputs } = await withSession(replay.runtime, build, async (session, step) => {
      const parameters = { student: initial(step, 'student'), teacher: initial(step, 'teacher') };
      const images = everyIndex(batch);
      return { step, outputs: await runBatch(session, parameters, batch, images, batch.labels.length, multipliers) };
    });

    const losses = LOSSES.map(([ours, theirs]) => ({
      value: absolute(outputs[`loss.${ours}`]!, [expected[theirs]]),
      at: theirs,
    }));
    report(`${title}: loss terms`, variant, worst(losses));
    const compare = (output: string, name: (role: Role) => string) =>
      worst(
        ROLES.map((role) => ({
          value: relative(outputs[`${role}.${output}`]!, tensors.floats(`${variant}/${name(role)}`)),
          at: role,
        })),
      );
    report(
      `${title}: logits`,
      variant,
      compare('logits', (role) => `${role}_logits`),
    );
    report(
      `${title}: d total / d logits`,
      variant,
      compare('logits.gradient', (role) => `grad_logits/${role}`),
    );
    const gradients = ROLES.flatMap((role) =>
      compareTensors(step[role]!, role, outputs[`${role}.gradient`]!, tensors, `${variant}/grad/${role}/`),
    );
    report(`${title}: gradients of trainable tensors`, variant, worst(gradients));
  }
}

/** The multipliers of each model, after a check that each is 0 or what the training's own rates make it. */
async function dropPath(
  { directory, report }: Replay,
  rate: number,
  tensors: Tensors,
): Promise<Partial<Record<Role, Float32Array>>> {
  const found: Partial<Record<Role, Float32Array>> = {};
  for (const role of ROLES) {
    const values = tensors.floats(`multipliers/${role}`);
    const depth = blocks((await directory.model(role)).spec('linear_probe').backbone.config).length;
    const kept = dropPathMultipliers(depth, rate, values.length / (2 * depth), { uniform: () => 0 } as never);
    report(
      'drop path: multipliers',
      role,
      relative(
        kept.map((value, i) => (values[i] === 0 ? 0 : value)),
        values,
      ),
    );
    found[role] = values;
  }
  return found;
}

/** `trajectory` and the runs of `baselines`, which share data, batches and optimiser, and the steps of `baselines`. */
export async function replayRuns(replay: Replay): Promise<void> {
  const { directory } = replay;
  const trajectory = await directory.json('trajectory.json', trajectorySchema);
  const baselines = await directory.json('baselines.json', baselinesSchema);
  if (trajectory) {
    const tensors = await directory.tensors('trajectory.safetensors');
    const imageCount = tensors.shape('images/train')[0];
    if (imageCount !== trajectory.labels_train.length) {
      throw broken(
        `trajectory.json: it has ${trajectory.labels_train.length} labels for ${imageCount} training images`,
      );
    }
    checkSettings(replay, trajectory, await directory.model('student').then((model) => model.tensors));
    const setting: Setting = {
      json: trajectory,
      train: { images: tensors.floats('images/train'), labels: trajectory.labels_train },
      heldOut: tensors.floats('images/heldout'),
      heldOutCount: tensors.shape('images/heldout')[0]!,
    };
    for (const [variant, expected] of Object.entries(trajectory.variants)) {
      await replayRun(replay, setting, {
        title: 'trajectory',
        variant,
        mode: expected.tuning_mode,
        distillLoss: expected.distill_loss,
        losses: LOSSES.map(([loss, name]) => ({ loss, name, values: expected[name] })),
        tensors,
      });
    }
    if (baselines) {
      const baselineTensors = await directory.tensors('baselines.safetensors');
      for (const [variant, { tuning_mode, ce }] of Object.entries(baselines.trajectories)) {
        await replayRun(replay, setting, {
          title: 'baselines',
          variant,
          mode: tuning_mode,
          distillLoss: null,
          losses: [{ loss: 'student', name: 'ce', values: ce }],
          tensors: baselineTensors,
        });
      }
    }
  } else {
    replay.absent('trajectory');
    if (baselines) replay.absent('baseline runs', 'need the batches in trajectory.json, which is not present');
  }
  if (!baselines) return replay.absent('baselines');
  await replayBaselineSteps(replay, baselines);
}

type Trajectory = z.infer<typeof trajectorySchema>;

interface Setting {
  readonly json: Trajectory;
  readonly train: Batch;
  readonly heldOut: Float32Array;
  readonly heldOutCount: number;
}

interface Run {
  readonly title: 'trajectory' | 'baselines';
  readonly variant: string;
  readonly mode: string;
  /** Null without a teacher. */
  readonly distillLoss: string | null;
  readonly losses: readonly { loss: keyof Losses; name: string; values: readonly number[] }[];
  readonly tensors: Tensors;
}

/** The learning rates and the decaying tensors that training would choose by itself. */
function checkSettings({ report }: Replay, json: Trajectory, weights: Tensors): void {
  const { schedule, lr, steps_per_epoch, batches, optimizer } = json;
  if (lr.length !== batches.length) {
    throw broken(`trajectory.json: it has ${batches.length} batches but ${lr.length} learning rates`);
  }
  const settings = {
    lr: schedule.lr,
    epochs: schedule.epochs,
    warmupEpochs: schedule.warmup_epochs,
    warmupLr: schedule.warmup_lr,
    minLr: schedule.min_lr,
    cooldownEpochs: schedule.cooldown_epochs,
  };
  const rates = lr.map((rate, step) => ({
    value: relative([learningRate(Math.floor(step / steps_per_epoch), settings)], [rate]),
    at: `step ${step}`,
  }));
  report('trajectory: learning rates', 'all', worst(rates));
  for (const [key, value] of Object.entries(optimizer)) {
    if (!key.startsWith('parameter_groups')) continue;
    const groups = groupsSchema.safeParse(value).data?.student;
    if (!groups) continue;
    const wrong = (names: readonly string[], decay: boolean) =>
      names.filter((name) => decays(name, weights.shape(name)) !== decay).map((at) => ({ value: 1, at }));
    report(
      'trajectory: tensors with weight decay',
      key,
      worst([...wrong(groups.decay, true), ...wrong(groups.no_decay, false)]),
    );
  }
}

async function replayRun(replay: Replay, setting: Setting, run: Run): Promise<void> {
  const { directory, report, runtime } = replay;
  const { title, variant, mode, tensors } = run;
  const { json, train } = setting;
  for (const { name, values } of run.losses) {
    if (values.length !== json.batches.length) {
      throw broken(`${title}.json: ${variant}.${name} has ${values.length} values for ${json.batches.length} steps`);
    }
  }
  const roles = run.distillLoss === null ? (['student'] as const) : ROLES;
  const specs = {
    student: (await directory.model('student')).spec(mode),
    teacher: run.distillLoss === null ? null : (await directory.model('teacher')).spec(mode),
  };
  // The baselines run in micro-batches that do not divide the batch, which exercises sums and padding as well.
  const largest = Math.max(...json.batches.map((batch) => batch.length));
  const microBatch = run.distillLoss === null ? Math.floor(largest / 2) + 1 : largest;
  const build = (sink: WeightSink) =>
    buildTrainStep({
      ...specs,
      distillation: run.distillLoss === null ? null : distillation(run.distillLoss, directory.temperature),
      microBatch,
      sink,
    });

  const begin = async (layout: TrainableLayout, role: Role) => ({
    parameters: parametersFrom(layout, [{ tensors: (await directory.model(role)).tensors, prefix: '' }]),
  });
  const losses: Deviation[] = [];
  const { step, models } = await withSession(runtime, build, async (session, step) => {
    const layouts = { student: step.student, teacher: step.teacher };
    const models = {
      student: await begin(step.student, 'student'),
      teacher: step.teacher && (await begin(step.teacher, 'teacher')),
    };
    const { betas, eps, weight_decay } = json.optimizer;
    const optimizers = mapPair(
      layouts,
      ({ size, slots }) => new AdamW(size, { betas, eps, weightDecay: weight_decay, decayRanges: decayRanges(slots) }),
    );
    const target = { session, models, optimizers, layouts };
    for (const [i, batch] of json.batches.entries()) {
      const options = { lr: json.lr[i]!, where: () => `${title}, ${variant}, step ${i}` };
      const found = await updateStep(target, callsOf(roles, train, batch, microBatch), options);
      for (const { loss, name, values } of run.losses) {
        losses.push({ value: absolute([found.losses[loss]], [values[i]!]), at: `${name} of step ${i}` });
      }
    }
    return { step, models };
  });
  report(`${title}: per-step losses`, variant, worst(losses));

  const finals = roles.flatMap((role) =>
    compareTensors(step[role]!, role, models[role]!.parameters, tensors, `${variant}/final/${role}/`),
  );
  report(`${title}: final trainable tensors`, variant, worst(finals));

  const logits: Deviation[] = [];
  for (const role of roles) {
    const ours = await forward(runtime, specs[role]!, models[role]!.parameters, setting);
    logits.push({ value: relative(ours, tensors.floats(`${variant}/heldout_logits/${role}`)), at: role });
  }
  report(`${title}: final held-out logits`, variant, worst(logits));
}

async function forward(runtime: Runtime, model: ModelSpec, parameters: Float32Array, setting: Setting) {
  return withSession(
    runtime,
    (sink) => buildForward({ model, batch: setting.heldOutCount, sink }),
    async (session) => (await session.run({ images: setting.heldOut, parameters })).logits!,
  );
}

/** One step of a model alone, with the gradient of the input: keys are VARIANT/ROLE. */
async function replayBaselineSteps(replay: Replay, json: z.infer<typeof baselinesSchema>): Promise<void> {
  const { directory, report } = replay;
  if (Object.keys(json.one_step).length === 0) return;
  const tensors = await directory.tensors('baselines.safetensors');
  const batch = await directory.batch(tensors);
  if (!batch) return replay.absent('baseline steps', NO_BATCH);
  for (const [key, { ce }] of Object.entries(json.one_step)) {
    const [variant, role] = key.split('/') as [string, Role];
    const model = await directory.model(role);
    // Whichever model it is, it takes the student's place: it is alone.
    const build = (sink: WeightSink) =>
      buildTrainStep({
        student: model.spec(json.trajectories[variant]?.tuning_mode ?? variant),
        teacher: null,
        distillation: null,
        microBatch: batch.labels.length,
        inspect: true,
        sink,
      });
    const { step, outputs } = await withSession(replay.runtime, build, async (session, step) => {
      const parameters = { student: parametersFrom(step.student, [{ tensors: model.tensors, prefix: '' }]) };
      return { step, outputs: await runBatch(session, parameters, batch, everyIndex(batch), batch.labels.length) };
    });
    const title = variant === 'full' ? 'full fine-tuning step' : 'baseline step';
    const theirs = (part: string) => tensors.floats(`${variant}/one_step/${part}/${role}`);
    const gradients = compareTensors(
      step.student,
      role,
      outputs['student.gradient']!,
      tensors,
      `${variant}/one_step/grad/${role}/`,
    );
    report(`${title}: loss`, key, absolute(outputs['loss.student']!, [ce]));
    report(`${title}: logits`, key, relative(outputs['student.logits']!, theirs('logits')));
    report(`${title}: gradients`, key, worst(gradients));
    report(`${title}: gradient of the input`, key, relative(outputs['student.images.gradient']!, theirs('grad_input')));
  }
}

const distillation = (loss: string, temperature: number): Distillation => ({
  loss,
  temperature,
  alpha: 1,
  beta: 1,
  gradient: 'both',
});
