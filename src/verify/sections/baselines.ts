/** The student alone: one step with adapters, a linear probe and full fine-tuning. */
import type { Runtime } from '../../runtime/runtime.js';
import { buildTrainStep } from '../../train/step.js';
import type { Quantity } from '../bounds.js';
import type { Ledger } from '../ledger.js';
import { baselinesFile, type Reference, type Role } from '../reference.js';

export async function verifyBaselineSteps(reference: Reference, runtime: Runtime, ledger: Ledger): Promise<void> {
  if (!(await reference.has('baselines.json'))) return ledger.notCovered('baselines', 'not in this reference');
  const { one_step: steps, trajectories } = await reference.json('baselines.json', baselinesFile);
  const file = await reference.tensors('baselines.safetensors');
  const batch = await reference.tensors('one_step.safetensors');
  const images = await batch.readFloat32('inputs');
  const { labels } = reference.oneStep;
  for (const [key, { ce }] of Object.entries(steps)) {
    const [variant, role] = key.split('/') as [string, Role];
    const title = variant === 'full' ? 'full fine-tuning' : 'baseline step';
    const compare = (what: string, where: string, found: ArrayLike<number>, stored: ArrayLike<number>) =>
      ledger.compare(`${title}: ${what}` as Quantity, key, where, found, stored);
    const step = buildTrainStep({
      student: reference.spec(role, trajectories[variant]?.tuning_mode ?? variant),
      teacher: null,
      distillation: null,
      microBatch: labels.length,
      inspect: true,
    });
    const session = await runtime.load(step.program);
    const out = await session.run({
      'student.images': images,
      'student.parameters': await reference.parameters(role, step.student),
      labels: BigInt64Array.from(labels, BigInt),
      weights: new Float32Array(labels.length).fill(1 / labels.length),
    });
    await session.close();
    compare('losses', 'cross-entropy', out['loss.total']!, [ce]);
    compare('logits', role, out['student.logits']!, await file.readFloat32(`${variant}/one_step/logits/${role}`));
    const onInput = `${variant}/one_step/grad_input/${role}`;
    if (file.file.tensors.has(onInput)) {
      compare('gradient of the input', role, out['student.images.gradient']!, await file.readFloat32(onInput));
    }
    const prefix = `${variant}/one_step/grad/${role}/`;
    for await (const t of reference.stored(file, prefix, step.student, out['student.gradient']!)) {
      compare('gradients', t.name, t.found, t.expected);
    }
  }
  await batch.close();
  await file.close();
}
