/** What an exported file says of itself: how to use it, where it comes from, under which licences. */
import type { Backbone } from '../backbones/backbone.js';
import { KNOWN_BACKBONES } from '../backbones/known-backbones.js';
import { sidesOf } from '../image-size.js';
import { methodByName } from '../methods/index.js';
import type { RunPlan } from '../settings/plan.js';
import type { RunRecord, RunResult } from '../settings/record.js';
import type { ModelSpec, TrainableLayout } from '../step/model.js';
import { EXPORT_FORMAT, FEATURES, LOGITS, PROBABILITIES, type ResizeBy } from './names.js';

/** A run, as far as a file tells of it. */
export interface ExportedRun {
  readonly record: RunRecord;
  readonly plan: RunPlan;
  readonly classes: readonly string[];
  readonly result: RunResult | null;
}

export interface ExportFacts {
  readonly run: ExportedRun;
  readonly backbone: Backbone;
  readonly model: ModelSpec;
  readonly layout: TrainableLayout;
  readonly precision: 'float32' | 'int8';
  /** Whether the tuned numbers are an input: then classes, accuracy and what else is the adapter's own stands with it. */
  readonly adapterInput: boolean;
  readonly resize: ResizeBy;
  /** What the graph reads, in a sentence that begins with the input's name. */
  readonly input: string;
}

/** Of the graph. No path of this machine, no time: equal runs give equal files. */
export function modelMetadata(facts: ExportFacts): Record<string, string> {
  const { backbone, run, precision, adapterInput, resize } = facts;
  const { mean, std, config, name, sha256 } = backbone;
  const [height, width] = sidesOf(config.imageSize);
  return {
    format: EXPORT_FORMAT,
    ...(adapterInput ? {} : adapterMetadata(facts)),
    input: facts.input,
    outputs: JSON.stringify([LOGITS, PROBABILITIES, FEATURES]),
    image_size: JSON.stringify([height, width]),
    mean: JSON.stringify(mean),
    std: JSON.stringify(std),
    interpolation: 'bicubic',
    resize,
    orientation: run.plan.images.orient ? 'exif' : 'none',
    ...(adapterInput ? shapeMetadata(facts) : { method: facts.model.method }),
    backbone: name,
    backbone_sha256: sha256,
    precision,
    licence: licenceNotes(facts).join(' '),
    made_by: `idat ${run.record.versions.idat}`,
  };
}

/** Of what was trained. */
export function adapterMetadata(facts: ExportFacts): Record<string, string> {
  const { run, backbone } = facts;
  const { classes, result, record } = run;
  return {
    classes: JSON.stringify(classes),
    data: lastName(record.data.source),
    ...(result && { test_accuracy: `${result.accuracy} (${result.correct} of ${result.total}, ${result.protocol})` }),
    ...(result?.familiarities && { familiarities: JSON.stringify(result.familiarities) }),
    for_backbone_sha256: backbone.sha256,
    ...(facts.adapterInput ? shapeMetadata(facts) : {}),
  };
}

/** What the numbers of an adapter are, in their order, so that others of the same shape can take their place. */
const shapeMetadata = ({ model, layout }: ExportFacts): Record<string, string> => ({
  method: model.method,
  method_options: methodOptionsText(model),
  layout: JSON.stringify(layout.slots.map(({ name, shape }) => [name, ...shape])),
});

/** A method's options with nothing left out: equal text for equal options. */
export const methodOptionsText = ({ method, methodOptions }: Pick<ModelSpec, 'method' | 'methodOptions'>): string =>
  JSON.stringify(methodByName(method).options.parse(methodOptions));

/** Sentences. What idat does not know it does not guess. */
export function licenceNotes({ run, backbone }: Pick<ExportFacts, 'run' | 'backbone'>): string[] {
  const known = run.record.settings.scratch ? undefined : KNOWN_BACKBONES.find(({ name }) => name === backbone.name);
  const from = known?.hub ? ` (${known.hub.repo} on the Hugging Face hub)` : known ? ' (comes with idat)' : '';
  const weights = known
    ? `The frozen weights are those of ${backbone.name}${from}, licence ${known.licence}.`
    : `The frozen weights are those of ${backbone.name}, of whose licence idat knows nothing: ask where they came from.`;
  const data = lastName(run.record.data.source);
  return [weights, `Tuned on the images of ${data}, whose licence and terms idat does not know.`];
}

/** The last step of a path, as it is written on any system. */
const lastName = (path: string): string => path.replace(/[\\/]+$/, '').replace(/^.*[\\/]/s, '');
