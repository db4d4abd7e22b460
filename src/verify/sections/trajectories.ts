/** Whole runs: every step's losses, the tensors after the last one, and the logits they give on held-out images. */

import type { z } from 'zod';
import type { OpenSafetensors } from '../../files/safetensors-node.js';
import type { Runtime } from '../../runtime/runtime.js';
import { AdamW, decayRanges } from '../../train/adamw.js';
import { learningRate } from '../../train/schedule.js';
import { buildForward, buildTrainStep, type TrainStep } from '../../train/step.js';
import type { Quantity } from '../bounds.js';
import type { Ledger } from '../ledger.js';
import { baselinesFile, type Reference, type Role, trajectoryFile } from '../reference.js';

type Settings = z.output<typeof trajectoryFile>;

interface Run {
  readonly title: 'trajectory' | 'baselines';
  readonly variant: string;
  readonly tuningMode: string;
  readonly distillLoss: string | null;
  /** Losses of every step by the program's output. */
  readonly losses: Readonly<Record<string, readonly number[]>>;
  readonly file: OpenSafetensors;
}

export async function verifyTrajectories(reference: Reference, runtime: Runtime, ledger: Ledger): Promise<void> {
  if (!(await reference.has('trajectory.json'))) return ledger.notCovered('trajectory', 'not in this reference');
  const settings = await reference.json('trajectory.json', trajectoryFile);
  const images = await reference.tensors('trajectory.safetensors');
  ledger.compare('trajectory: learning rates', 'all', 'every step', scheduleOf(settings), settings.lr);
  for (const [variant, v] of Object.entries(settings.variants)) {
    const losses = {
      'loss.student': v.ce_student,
      'loss.teacher': v.ce_teacher,
      'loss.distill': v.distill,
      'loss.total': v.total,
    };
    const run: Run = {
      title: 'trajectory',
      variant,
      tuningMode: v.tuning_mode,
      distillLoss: v.distill_loss,
      losses,
      file: images,
    };
    await replay(reference, runtime, ledger, settings, images, run);
  }
  if (await reference.has('baselines.json')) {
    const { trajectories } = await reference.json('baselines.json', baselinesFile);
    const file = await reference.tensors('baselines.safetensors');
    for (const [variant, { tuning_mode: tuningMode, ce }] of Object.entries(trajectories)) {
      const run: Run = {
        title: 'baselines',
        variant,
        tuningMode,
        distillLoss: null,
        losses: { 'loss.total': ce },
        file,
      };
      await replay(reference, runtime, ledger, settings, images, run);
    }
    await file.close();
  }
  await images.close();
}

function scheduleOf({ schedule: s, steps, steps_per_epoch: perEpoch }: Settings): number[] {
  const cosine = {
    epochs: s.epochs,
    warmupEpochs: s.warmup_epochs,
    warmupLr: s.warmup_lr,
    lr: s.lr,
    minLr: s.min_lr,
    cooldownEpochs: 0,
  };
  return Array.from({ length: steps }, (_, step) => learningRate(Math.floor(step / perEpoch), cosine));
}

async function replay(
  reference: Reference,
  runtime: Runtime,
  ledger: Ledger,
  settings: Settings,
  images: OpenSafetensors,
  run: Run,
): Promise<void> {
  const { title, variant, tuningMode, distillLoss } = run;
  const compare = (what: string, where: string, found: ArrayLike<number>, stored: ArrayLike<number>) =>
    ledger.compare(`${title}: ${what}` as Quantity, variant, where, found, stored);
  const roles: Role[] = distillLoss ? ['student', 'teacher'] : ['student'];
  const B = settings.batches[0]!.length;
  const step = buildTrainStep({
    student: reference.spec('student', tuningMode),
    teacher: distillLoss ? reference.spec('teacher', tuningMode) : null,
    distillation: distillLoss
      ? { loss: distillLoss, temperature: reference.oneStep.temperature, alpha: 1, beta: 1, gradient: 'both' }
      : null,
    microBatch: B,
  });
  const parameters = await trainAsStored(reference, runtime, settings, images, step, roles, (name, at, value) => {
    const stored = run.losses[name];
    if (stored) compare('losses', `${name}, step ${at}`, [value], [stored[at]!]);
  });

  const heldout = await images.readFloat32('images/heldout');
  for (const role of roles) {
    const prefix = `${variant}/final/${role}/`;
    for await (const t of reference.stored(run.file, prefix, step[role]!, parameters[role]!)) {
      compare('final tensors', `${role} ${t.name}`, t.found, t.expected);
    }
    const stored = await run.file.readFloat32(`${variant}/heldout_logits/${role}`);
    const model = reference.spec(role, tuningMode);
    const forward = await runtime.load(buildForward({ model, batch: stored.length / model.classes }).program);
    const { logits } = await forward.run({ images: heldout, parameters: parameters[role]! });
    await forward.close();
    compare('held-out logits', role, logits!, stored);
  }
}

/** The stored batches and learning rates through the compiled step and AdamW, reporting the losses of every step. */
async function trainAsStored(
  reference: Reference,
  runtime: Runtime,
  settings: Settings,
  images: OpenSafetensors,
  step: TrainStep,
  roles: readonly Role[],
  report: (loss: string, step: number, value: number) => void,
): Promise<Partial<Record<Role, Float32Array>>> {
  const pixels = await images.readFloat32('images/train');
  const perImage = pixels.length / settings.labels_train.length;
  const { betas, eps, weight_decay: weightDecay } = settings.optimizer;
  const parameters: Partial<Record<Role, Float32Array>> = {};
  const optimisers: Partial<Record<Role, AdamW>> = {};
  for (const role of roles) {
    const layout = step[role]!;
    parameters[role] = await reference.parameters(role, layout);
    optimisers[role] = new AdamW(layout.size, { betas, eps, weightDecay, decayRanges: decayRanges(layout.slots) });
  }
  const session = await runtime.load(step.program);
  for (let at = 0; at < settings.steps; at++) {
    const batch = settings.batches[at]!;
    const x = new Float32Array(batch.length * perImage);
    batch.forEach((image, i) => {
      x.set(pixels.subarray(image * perImage, (image + 1) * perImage), i * perImage);
    });
    const feeds: Record<string, Float32Array | BigInt64Array> = {
      labels: BigInt64Array.from(batch, (image) => BigInt(settings.labels_train[image]!)),
      weights: new Float32Array(batch.length).fill(1 / batch.length),
    };
    for (const role of roles) {
      feeds[`${role}.images`] = x;
      feeds[`${role}.parameters`] = parameters[role]!;
    }
    const out = await session.run(feeds);
    for (const [name, values] of Object.entries(out)) if (name.startsWith('loss.')) report(name, at, values[0]!);
    for (const role of roles) optimisers[role]!.step(parameters[role]!, out[`${role}.gradient`]!, settings.lr[at]!);
  }
  await session.close();
  return parameters;
}
