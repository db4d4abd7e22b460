/** The section `swin`: one step of full fine-tuning of a small Swin, made with Microsoft's published class. */
import type { z } from 'zod';
import type { Backbone, SwinConfig } from '../backbones/backbone.js';
import { relativePositions, shiftMask } from '../backbones/windows.js';
import type { WeightSink } from '../graph/emit.js';
import { constant } from '../graph/ops/index.js';
import { type Shape, size } from '../graph/tensor.js';
import { buildTrainStep } from '../step/train-step.js';
import { broken, parametersFrom, swinSchema, type Tensors } from './directory.js';
import type { Replay } from './replay.js';
import { absolute, type Deviation, relative, worst } from './row.js';
import { compareTensors, everyIndex, runBatch, withSession } from './run-batch.js';

export async function replaySwin({ directory, runtime, report, absent }: Replay): Promise<void> {
  const json = await directory.json('swin.json', swinSchema);
  if (!json) return absent('swin');
  const tensors = await directory.tensors('swin.safetensors');
  const batch = { images: tensors.floats('inputs'), labels: [...tensors.integers('labels')] };
  if (absolute(batch.labels, json.labels) !== 0)
    throw broken('swin.json: its labels are not those of swin.safetensors');
  report('Swin step: relative positions and masks', 'swin', worst(bufferDeviations(tensors)));

  const model = { method: 'full', methodOptions: {}, classes: json.num_classes, dropPath: 0 };
  const build = (sink: WeightSink) =>
    buildTrainStep({
      student: { ...model, backbone: backboneOf(json, tensors) },
      teacher: null,
      distillation: null,
      microBatch: batch.labels.length,
      inspect: true,
      sink,
    });
  const { step, outputs } = await withSession(runtime, build, async (session, step) => {
    const parameters = { student: parametersFrom(step.student, [{ tensors, prefix: 'weight/' }]) };
    return { step, outputs: await runBatch(session, parameters, batch, everyIndex(batch), batch.labels.length) };
  });
  const gradients = compareTensors(step.student, 'student', outputs['student.gradient']!, tensors, 'grad/');
  report('Swin step: loss', 'swin', absolute(outputs['loss.student']!, [json.loss]));
  report('Swin step: logits', 'swin', relative(outputs['student.logits']!, tensors.floats('logits')));
  report('Swin step: gradients', 'swin', worst(gradients));
  const inputGradient = relative(outputs['student.images.gradient']!, tensors.floats('grad_input'));
  report('Swin step: gradient of the input', 'swin', inputGradient);
}

function backboneOf(json: z.infer<typeof swinSchema>, tensors: Tensors): Backbone {
  const config: SwinConfig = {
    family: 'swin',
    imageSize: json.img_size,
    patchSize: json.patch_size,
    channels: 3,
    embedWidth: json.embed_dim,
    depths: json.depths,
    heads: json.num_heads,
    windowSize: json.window_size,
    mlpRatio: json.mlp_ratio,
    qkvBias: json.qkv_bias,
    layerNormEps: json.layer_norm_eps,
  };
  const values = (name: string, shape: Shape) => tensors.floats(`weight/${name}`, size(shape));
  const weights = {
    has: (name: string) => tensors.has(`weight/${name}`),
    values,
    constant: (name: string, shape: Shape) => constant(shape, values(name, shape)),
  };
  return { name: 'swin', config, weights, mean: [], std: [], path: tensors.path, sha256: '' };
}

/** The tables that a checkpoint may carry and idat makes anew. */
function bufferDeviations(tensors: Tensors): Deviation[] {
  return tensors.names('buffer/').map((name) => {
    const stored = `buffer/${name}`;
    if (!name.endsWith('attn_mask')) {
      const window = Math.sqrt(tensors.shape(stored)[0]!);
      return { value: absolute(relativePositions(window), tensors.integers(stored)), at: name };
    }
    const [windows, tokens] = tensors.shape(stored) as [number, number];
    const window = Math.sqrt(tokens);
    const mask = shiftMask(Math.sqrt(windows * tokens), window, Math.floor(window / 2));
    return { value: absolute(mask, tensors.floats(stored)), at: name };
  });
}
