/** What a run in a tab is made of: bytes of weights and data, given or fetched from where the page says. */
import type { Backbone, BackboneConfig, BackboneSizes } from '../../backbones/backbone.js';
import type { Overrides } from '../../backbones/checkpoint.js';
import { backboneFromBytes } from '../../backbones/in-memory.js';
import { knownBackbone } from '../../backbones/known-backbones.js';
import type { WebData } from '../../data/web/open.js';
import { fetched } from '../../files/web/fetch.js';
import type { ModelPlan } from '../../settings/plan.js';
import type { BackboneRecord } from '../../settings/record.js';
import type { RunControl } from '../../train/progress.js';

/** A data set as it is given, or fetched as a zip. */
export async function dataOf(data: WebData | string, name: string, control: RunControl): Promise<WebData> {
  if (typeof data !== 'string') return data;
  const bytes = await fetched(data, name, control);
  return new Blob([bytes as Uint8Array<ArrayBuffer>]);
}

/**
 * A backbone from the bytes of its file, as Node opens it by its name.
 * @param then the run's own record, where it goes on: what the file does not say of itself is known from there
 */
export function openBackbone(
  bytes: Uint8Array,
  { name, imageSize, layerNormEps }: ModelPlan,
  then: BackboneRecord | null,
): Promise<Backbone> {
  const path = pathOf(name);
  if (then) {
    const { config, mean, std } = then;
    return backboneFromBytes(bytes, path, { name: then.name, config: config as unknown as BackboneConfig, mean, std });
  }
  const wanted = { ...(imageSize !== undefined && { imageSize }), ...(layerNormEps !== undefined && { layerNormEps }) };
  const known = knownBackbone(name);
  const overrides: Overrides = known
    ? { mean: known.mean, std: known.std, name, config: { ...known.config, ...wanted } as BackboneSizes }
    : { config: wanted as BackboneSizes };
  return backboneFromBytes(bytes, path, overrides);
}

/** What programs call the file of a model's weights. */
export const pathOf = (name: string): string => (/\.safetensors$/.test(name) ? name : `${name}.safetensors`);
