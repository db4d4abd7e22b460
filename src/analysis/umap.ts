/** UMAP, seeded. The only file that imports the package. @see McInnes et al. 2018, arXiv:1802.03426 */
import { randomStream } from '../random.js';
import { type Points, takeTurn } from './points.js';

export interface UmapOptions {
  /** Default 15. */
  readonly neighbours?: number;
  /** How close neighbours may come; default 0.1. */
  readonly minDistance?: number;
  readonly seed?: number;
  readonly signal?: AbortSignal | undefined;
  readonly onProgress?: (done: number, total: number) => void;
}

/** Epochs between two looks at the clock. */
const TURN = 10;

/** @param points at least four @returns a place in the plane for each. @throws the signal's reason */
export async function umap(points: Points, options: UmapOptions = {}): Promise<number[][]> {
  const { neighbours = 15, minDistance = 0.1, seed = 0, signal, onProgress } = options;
  const { UMAP } = await import('umap-js');
  const { uniform } = randomStream(seed, 'umap');
  const map = new UMAP({
    nNeighbors: Math.min(neighbours, points.length - 1),
    minDist: minDistance,
    random: uniform,
  });
  const epochs = map.initializeFit(points.map((point) => Array.from(point)));
  for (let epoch = 0; epoch < epochs; epoch++) {
    if (epoch % TURN === 0) {
      await takeTurn();
      signal?.throwIfAborted();
      onProgress?.(epoch, epochs);
    }
    map.step();
  }
  return map.getEmbedding();
}
