/** The backbones known by name: which there are, which are on this disk, and fetching them. */
import { goodAs, KNOWN_BACKBONES, type KnownBackbone } from '../backbones/known-backbones.js';
import { findWeights, obtainWeights, weightsNamed } from '../backbones/node/registry.js';
import type { RunControl } from '../train/progress.js';
import { fetching } from './backbones.js';

export interface ListedModel extends Omit<KnownBackbone, 'hub'> {
  /** Where on the Hugging Face hub it lies; null for those that come with idat. */
  readonly hub: { readonly repo: string; readonly file: string } | null;
  /** Whether it makes a good student, a good teacher, or both. */
  readonly goodAs: string;
  /** Of its weights on this disk; null where they have not been fetched. */
  readonly path: string | null;
}

/** Every backbone known by name. Asks the disk alone. */
export function listModels(): Promise<ListedModel[]> {
  return Promise.all(
    KNOWN_BACKBONES.map(async (known) => {
      const { hub, ...sizes } = known;
      return {
        ...sizes,
        goodAs: goodAs(known),
        hub: hub && { repo: hub.repo, file: hub.file },
        path: await findWeights(known),
      };
    }),
  );
}

/**
 * Fetches a backbone's weights from the Hugging Face hub, unless they are on this disk.
 *
 * @param name of a known backbone, or `hf-hub:ORGANISATION/NAME`
 * @param control told of each piece, as event `fetch`; its signal stops fetching
 * @returns the path of the weights
 * @throws IdatError `backbone.unknown`, offering the nearest names; `backbone.absent` and `hub.*` when they could not be
 *   fetched; `hub.interrupted` when the signal stopped it
 */
export async function fetchModel(name: string, control: RunControl = {}): Promise<string> {
  const weights = weightsNamed(name);
  return obtainWeights(weights, fetching(weights.name, control));
}
