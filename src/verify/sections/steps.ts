/** One batch through each variant: losses, logits and every gradient; plain, with wide adapters, with drop path. */
import type { OpenSafetensors } from '../../files/safetensors-node.js';
import type { Runtime } from '../../runtime/runtime.js';
import { dropPathRates } from '../../train/drop-path.js';
import { buildTrainStep } from '../../train/step.js';
import type { Quantity } from '../bounds.js';
import type { Ledger } from '../ledger.js';
import { dropPathFile, type Reference, type Role, wideFile } from '../reference.js';

const ROLES: readonly Role[] = ['student', 'teacher'];

interface Section {
  readonly title: 'one step' | 'wide adapters' | 'drop path';
  readonly file: OpenSafetensors;
  readonly variants: Reference['oneStep']['variants'];
  readonly hidden?: number;
  readonly adaptersFrom?: OpenSafetensors;
  readonly dropPath?: { readonly rate: number; readonly multipliers: Record<Role, Float32Array> };
}

export async function verifySteps(reference: Reference, runtime: Runtime, ledger: Ledger): Promise<void> {
  const batch = await reference.tensors('one_step.safetensors');
  const inputs = await batch.readFloat32('inputs');
  await replay(reference, runtime, ledger, inputs, {
    title: 'one step',
    file: batch,
    variants: reference.oneStep.variants,
  });

  if (await reference.has('one_step_wide.json')) {
    const wide = await reference.json('one_step_wide.json', wideFile);
    const file = await reference.tensors('one_step_wide.safetensors');
    const { variants, adapter_hidden: hidden } = wide;
    await replay(reference, runtime, ledger, inputs, {
      title: 'wide adapters',
      file,
      variants,
      hidden,
      adaptersFrom: file,
    });
    await file.close();
  } else ledger.notCovered('wide adapters', 'not in this reference');

  if (await reference.has('drop_path.json')) {
    const {
      drop_path_rate: rate,
      rate_per_block: rates,
      variants,
    } = await reference.json('drop_path.json', dropPathFile);
    const file = await reference.tensors('drop_path.safetensors');
    const multipliers = {
      student: await file.readFloat32('multipliers/student'),
      teacher: await file.readFloat32('multipliers/teacher'),
    };
    for (const role of ROLES) {
      const depth = reference.oneStep.models[role].depth;
      ledger.compare('drop path: rates', 'all', role, dropPathRates(depth, rate), rates[role]);
    }
    await replay(reference, runtime, ledger, inputs, {
      title: 'drop path',
      file,
      variants,
      dropPath: { rate, multipliers },
    });
    await file.close();
  } else ledger.notCovered('drop path', 'not in this reference');
  await batch.close();
}

async function replay(
  reference: Reference,
  runtime: Runtime,
  ledger: Ledger,
  images: Float32Array,
  section: Section,
): Promise<void> {
  const { labels, temperature } = reference.oneStep;
  const { title, file, hidden, adaptersFrom, dropPath } = section;
  const options = { ...(hidden && { hidden }), ...(dropPath && { dropPath: dropPath.rate }) };
  for (const [variant, expected] of Object.entries(section.variants)) {
    const compare = (
      what: 'losses' | 'logits' | 'd total / d logits' | 'gradients',
      where: string,
      found: ArrayLike<number>,
      stored: ArrayLike<number>,
    ) => ledger.compare(`${title}: ${what}` as Quantity, variant, where, found, stored);
    const step = buildTrainStep({
      student: reference.spec('student', expected.tuning_mode, options),
      teacher: reference.spec('teacher', expected.tuning_mode, options),
      distillation: { loss: expected.distill_loss, temperature, alpha: 1, beta: 1, gradient: 'both' },
      microBatch: labels.length,
      inspect: true,
    });
    const feeds: Record<string, Float32Array | BigInt64Array> = {
      labels: BigInt64Array.from(labels, BigInt),
      weights: new Float32Array(labels.length).fill(1 / labels.length),
    };
    for (const role of ROLES) {
      feeds[`${role}.images`] = images;
      if (dropPath) feeds[`${role}.dropPath`] = dropPath.multipliers[role];
      const from = adaptersFrom && { file: adaptersFrom, prefix: `adapters/${role}/` };
      feeds[`${role}.parameters`] = await reference.parameters(role, step[role]!, from);
    }
    const session = await runtime.load(step.program);
    const out = await session.run(feeds);
    await session.close();

    compare('losses', 'cross-entropy of the student', out['loss.student']!, [expected.ce_student]);
    compare('losses', 'cross-entropy of the teacher', out['loss.teacher']!, [expected.ce_teacher]);
    compare('losses', 'distillation', out['loss.distill']!, [expected.distill]);
    compare('losses', 'total', out['loss.total']!, [expected.total]);
    for (const role of ROLES) {
      compare('logits', role, out[`${role}.logits`]!, await file.readFloat32(`${variant}/${role}_logits`));
      const onLogits = await file.readFloat32(`${variant}/grad_logits/${role}`);
      compare('d total / d logits', role, out[`${role}.logits.gradient`]!, onLogits);
      for await (const t of reference.stored(file, `${variant}/grad/${role}/`, step[role]!, out[`${role}.gradient`]!)) {
        compare('gradients', `${role} ${t.name}`, t.found, t.expected);
      }
    }
  }
}
