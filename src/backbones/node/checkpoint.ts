/** A checkpoint on this disk as a frozen backbone. */
import { sha256OfFiles } from '../../files/node/sha256.js';
import type { Backbone } from '../backbone.js';
import { backboneOf, type Overrides } from '../checkpoint.js';
import { openCheckpoint } from './open.js';

/**
 * Opens a checkpoint (see open.ts for which) as a frozen backbone.
 *
 * @throws IdatError when it cannot be read, and as `backboneOf`
 */
export async function backboneFromFile(path: string, overrides: Overrides = {}): Promise<Backbone> {
  const checkpoint = await openCheckpoint(path, overrides.besides, overrides.config);
  return backboneOf(checkpoint, await sha256OfFiles(checkpoint.files), overrides);
}
