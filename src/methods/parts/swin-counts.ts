/** What a Swin has besides its blocks, counted for the methods that reach it. */
import { blocks } from '../../backbones/architecture.js';
import type { SwinConfig } from '../../backbones/backbone.js';

/** Numbers in all tables of relative positions: (2·window − 1)² for each head of each block. */
export function relativePositionCount(config: SwinConfig): number {
  return blocks(config).reduce((sum, { heads, tokens }) => {
    const window = Math.min(config.windowSize, Math.sqrt(tokens));
    return sum + (2 * window - 1) ** 2 * heads;
  }, 0);
}

/** Width of the tokens of each stage that is merged into the next. */
export const mergedWidths = ({ depths, embedWidth }: SwinConfig): number[] =>
  depths.slice(1).map((_, stage) => embedWidth * 2 ** stage);
