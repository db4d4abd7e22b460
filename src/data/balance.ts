/** Classes of unequally many images made to count alike: by how often their images are seen, or by how much each counts. */
import type { RandomStream } from '../random.js';

/**
 * `sampling`: each epoch draws its images so that it has equally many of each class; `weights`: it has every image once, and
 * an image counts the more the fewer its class has.
 */
export const BALANCES = ['none', 'sampling', 'weights'] as const;
export type Balance = (typeof BALANCES)[number];

/** Positions of each class's images, in the order of the classes; classes without images are left out. */
function imagesByClass(labels: ArrayLike<number>): Map<number, number[]> {
  const found = new Map<number, number[]>();
  for (let image = 0; image < labels.length; image++) {
    const label = labels[image]!;
    if (!found.has(label)) found.set(label, []);
    found.get(label)!.push(image);
  }
  return new Map([...found].sort(([a], [b]) => a - b));
}

/**
 * As many images as there are, equally many of each class up to one, shuffled. Of a class none comes an nth time before all
 * others have come n − 1 times; which ones do, and which classes have one more, is drawn.
 *
 * @returns positions in `labels`
 */
export function balancedOrder(labels: ArrayLike<number>, random: RandomStream): number[] {
  const byClass = imagesByClass(labels);
  const share = Math.floor(labels.length / byClass.size);
  const favoured = new Set(random.shuffled([...byClass.keys()]).slice(0, labels.length % byClass.size));
  const drawn = [...byClass].flatMap(([label, images]) => {
    const count = share + (favoured.has(label) ? 1 : 0);
    const rounds = Array.from({ length: Math.ceil(count / images.length) }, () => random.shuffled(images));
    return rounds.flat().slice(0, count);
  });
  return random.shuffled(drawn);
}

/** How often each entry of an order has come before it. */
export function copiesBefore(order: readonly number[]): number[] {
  const seen = new Map<number, number>();
  return order.map((image) => {
    const before = seen.get(image) ?? 0;
    seen.set(image, before + 1);
    return before;
  });
}

/**
 * How much an image of each class counts: N/(C·n) for one of the class's n images, of N in all and C classes that have
 * images. So each class counts alike, and the mean over all images is 1.
 *
 * @returns by label
 */
export function classWeights(labels: ArrayLike<number>): ReadonlyMap<number, number> {
  const byClass = imagesByClass(labels);
  return new Map([...byClass].map(([label, { length }]) => [label, labels.length / (byClass.size * length)]));
}
