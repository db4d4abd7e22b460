/** What every platform's runtime does around its engine: checks of what is fed, and several copies of a program as one. */
import { IdatError } from '../errors.js';
import { formatShape, size, type TensorType } from '../graph/tensor.js';
import type { Feed, Session, Shapes, Spent } from './runtime.js';

/** Each run goes to the copy with the fewest. */
export function replicated(copies: readonly Session[]): Session {
  const busy = copies.map(() => 0);
  return {
    atOnce: copies.length + 1,
    run: async (feeds, shapes) => {
      const at = busy.indexOf(Math.min(...busy));
      busy[at]!++;
      try {
        return await copies[at]!.run(feeds, shapes);
      } finally {
        busy[at]!--;
      }
    },
    spent: () => {
      const all = copies.map((copy) => copy.spent());
      const sum = (of: (one: Spent) => number) => all.reduce((total, one) => total + of(one), 0);
      return { calls: sum(({ calls }) => calls), ms: sum(({ ms }) => ms) };
    },
    close: async () => {
      for (const copy of copies) await copy.close();
    },
  };
}

/** @throws IdatError `runtime.feed` for an input without its numbers */
export function checkFeeds(
  inputs: Readonly<Record<string, TensorType>>,
  feeds: Readonly<Record<string, Feed>>,
  shapes: Shapes = {},
): void {
  for (const [name, { shape: usual }] of Object.entries(inputs)) {
    const shape = shapes[name] ?? usual;
    const length = feeds[name]?.length;
    if (length !== size(shape)) {
      throw new IdatError(
        'runtime.feed',
        `input '${name}' needs ${size(shape)} numbers for shape ${formatShape(shape)}, got ${length ?? 'none'}`,
      );
    }
  }
}
