/** What a run is made of, weights and images, known again when it goes on. */
import { blocks } from '../backbones/architecture.js';
import type { Backbone } from '../backbones/backbone.js';
import { firstBlocks } from '../backbones/first-blocks.js';
import { IdatError } from '../errors.js';
import { chosenBlocks } from '../settings/blocks.js';
import type { ModelPlan } from '../settings/plan.js';
import type { BackboneRecord, RunRecord } from '../settings/record.js';
import type { Pixels } from './splits.js';

export function backboneRecord({ name, path, sha256, config, mean, std }: Backbone): BackboneRecord {
  return { name, path, sha256, config: { ...config }, mean: [...mean], std: [...std] };
}

/** In what a backbone differs from the one a run began with; null where in nothing. */
export function backboneChange(then: BackboneRecord, now: Backbone): string | null {
  if (then.sha256 !== now.sha256) return `sha256 ${then.sha256.slice(0, 12)}…, now ${now.sha256.slice(0, 12)}…`;
  // beside the weights, files with their sizes and normalisation may have changed. Older runs lack newer fields
  const facts = { ...now.config, mean: now.mean, std: now.std } as Record<string, unknown>;
  for (const [field, value] of Object.entries({ ...then.config, mean: then.mean, std: then.std })) {
    const [before, after] = [value, facts[field]].map((fact) => JSON.stringify(fact));
    if (before !== after) return `${field} ${before}, now ${after}`;
  }
  return null;
}

/** What tells whether the data of a run has changed: each split's images and labels. */
export function fingerprints(pixels: Pixels): Record<string, string> {
  return Object.fromEntries(Object.entries(pixels).map(([split, { student }]) => [split, student.fingerprint]));
}

/** @throws IdatError `run.changed` where the images are no longer those the run began with */
export function checkData(place: string, { data }: RunRecord, now: Record<string, string>): void {
  const changed = Object.keys(data.fingerprints).filter((split) => data.fingerprints[split] !== now[split]);
  if (changed.length === 0) return;
  const what = `the data set ${data.source} has changed since the run began (${changed.join(', ')})`;
  throw new IdatError('run.changed', `${place}: ${what}; put the old images back or start a new run`);
}

/**
 * What of a checkpoint a model is.
 * @throws IdatError `config.field` for blocks to be tuned that it lacks; `backbone.blocks` as `firstBlocks`
 */
export function taken(
  whole: Backbone,
  { firstBlocks: count, blocks: choice }: Pick<ModelPlan, 'firstBlocks' | 'blocks'>,
): Backbone {
  const backbone = count === null ? whole : firstBlocks(whole, count);
  chosenBlocks(choice, { name: backbone.name, depth: blocks(backbone.config).length }); // before anything else is done
  return backbone;
}
