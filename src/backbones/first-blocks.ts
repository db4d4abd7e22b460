/** A backbone cut short: what its own first blocks make of an image. */
import { IdatError } from '../errors.js';
import { blocks } from './architecture.js';
import type { Backbone } from './backbone.js';

/**
 * The same checkpoint up to a block, and behind that its last norm and pooling, as they are. The weights are the same places
 * of the same file, which is neither opened nor read again.
 *
 * The last norm was trained behind the last block, where tokens are longer; what it divides by is each token's own, and its
 * factors and shifts are linear, so that the head behind it can make up for them.
 *
 * @param count from 1 to as many as it has
 * @throws IdatError `backbone.blocks` where it has fewer, or its blocks are not of one width
 */
export function firstBlocks(backbone: Backbone, count: number): Backbone {
  const { config, name } = backbone;
  const depth = blocks(config).length;
  const wrong = (what: string) => new IdatError('backbone.blocks', `${name}: ${what}`);
  if (config.family !== 'vit') {
    throw wrong(
      `the last norm of a ${config.family} fits the width of its last stage alone; take a smaller checkpoint`,
    );
  }
  if (count > depth) throw wrong(`the first ${count} blocks were asked for, it has ${depth}`);
  if (count === depth) return backbone;
  const first = count === 1 ? 'first block' : `first ${count} blocks`;
  return { ...backbone, name: `${name} (${first})`, config: { ...config, depth: count } };
}
