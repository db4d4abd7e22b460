import fc from 'fast-check';
import { expect, test } from 'vitest';
import { stratifiedSplit } from './stratified-split.js';

const counts = fc.dictionary(fc.stringMatching(/^[a-z]{1,5}$/), fc.integer({ min: 1, max: 60 }), {
  minKeys: 1,
  maxKeys: 6,
});
const itemsOf = (byClass: Record<string, number>) =>
  new Map(
    Object.entries(byClass).map(([name, count]) => [name, Array.from({ length: count }, (_, i) => `${name}/${i}`)]),
  );

test('the parts are the whole, in its order, and each class gives its share but never its last', () => {
  fc.assert(
    fc.property(counts, fc.double({ min: 0, max: 0.99, noNaN: true }), fc.integer(), (byClass, fraction, seed) => {
      const input = itemsOf(byClass);
      const { kept, taken } = stratifiedSplit(input, fraction, seed, 'test');
      for (const [name, items] of input) {
        const [rest, share] = [kept.get(name)!, taken.get(name)!];
        expect(items.filter((item) => rest.includes(item) || share.includes(item))).toEqual(items);
        expect(rest.length + share.length).toBe(items.length);
        expect(rest.length).toBeGreaterThan(0);
        if (fraction === 0) expect(share).toEqual([]);
        else if (items.length > 2) expect(Math.abs(share.length - items.length * fraction)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

test('one class’s split does not depend on the others, but on the seed', () => {
  const alone = stratifiedSplit(itemsOf({ cat: 40 }), 0.2, 7, 'test').taken.get('cat');
  const among = stratifiedSplit(itemsOf({ ant: 3, cat: 40, dog: 12 }), 0.2, 7, 'test').taken.get('cat');
  expect(among).toEqual(alone);
  expect(alone).toHaveLength(8);
  expect(stratifiedSplit(itemsOf({ cat: 40 }), 0.2, 8, 'test').taken.get('cat')).not.toEqual(alone);
  expect(stratifiedSplit(itemsOf({ cat: 40 }), 0.2, 7, 'val').taken.get('cat')).not.toEqual(alone);
});

test.each([-0.1, 1, Number.NaN])('a fraction of %s is refused', (fraction) => {
  expect(() => stratifiedSplit(itemsOf({ cat: 3 }), fraction, 1, 'val')).toThrow(
    /val fraction: expected a number from 0 to below 1/,
  );
});
