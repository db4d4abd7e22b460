/** A run of this browser as an .onnx file: what the classifier of a tab, and every other runtime, takes. */
import { IdatError } from '../../errors.js';
import { bytesOf, type WebFile } from '../../files/web/fetch.js';
import { encodeModel } from '../../graph/onnx-proto.js';
import { graphOf, inputOf } from '../../onnx/exported-model.js';
import { modelMetadata } from '../../onnx/metadata.js';
import { planOf } from '../../settings/plan.js';
import { buildForward } from '../../step/forward.js';
import { refuseDiverged } from '../../train/evaluate.js';
import type { RunControl } from '../../train/progress.js';
import { readClasses, readRecord, readResult, tunedIn } from '../../train/run-files.js';
import { backboneChange, taken } from '../../train/sources.js';
import { modelSpec } from '../../train/specs.js';
import { openBackbone, pathOf } from './sources.js';
import { openStored } from './storage.js';

const PLAN = { format: 'onnx', precision: 'float32', adapterInput: false, resize: 'caller' } as const;

/**
 * @param weights of the student's backbone, which the run does not hold
 * @throws IdatError `run.missing`, `export.unfinished`, `run.changed` when they are others than the run began with
 */
export async function exportModel(name: string, weights: WebFile, control: RunControl): Promise<Blob> {
  const stored = await openStored(name);
  const record = await readRecord(stored);
  const classes = await readClasses(stored, record.classes);
  const result = await readResult(stored, record);
  if (result === null) {
    const what = 'this run has not ended, so that what its protocol will choose is not there yet';
    throw new IdatError('export.unfinished', `${name}: ${what}; go on with it first`);
  }
  const plan = planOf(record.settings);
  const { student } = plan.models;
  const bytes = await bytesOf(weights, pathOf(student.name), control);
  const backbone = taken(await openBackbone(bytes, student, record.student), student);
  const change = backboneChange(record.student, backbone);
  if (change !== null) {
    const what = `the student's weights are not those the run began with (${change})`;
    throw new IdatError('run.changed', `${name}: ${what}; give the old file`);
  }
  const model = modelSpec(student, backbone, record.classes);
  const { layout } = buildForward({ model, batch: 1 });
  const file = await stored.tensors('student.safetensors');
  if (file === null)
    throw new IdatError('run.damaged', `${name}: student.safetensors is missing; import the run again`);
  const parameters = await tunedIn(file, layout);
  refuseDiverged(parameters, 'numbers of the student');
  const facts = {
    run: { record, plan, classes, result },
    backbone,
    model,
    layout,
    ...PLAN,
    input: inputOf(PLAN, model),
  };
  const proto = { ...graphOf(model, { layout, parameters }, PLAN), metadata: modelMetadata(facts) };
  return new Blob([encodeModel(proto) as Uint8Array<ArrayBuffer>], { type: 'application/octet-stream' });
}
