/**
 * Random numbers: one stream for each (seed, purpose, …), so that nothing has to be saved to resume and the order in
 * which parts of the program ask for numbers cannot change what they get.
 *
 * The only file that knows the generator library. Imports nothing else of the project.
 */
import { uniformFloat64 } from 'pure-rand/distribution/uniformFloat64';
import { uniformInt } from 'pure-rand/distribution/uniformInt';
import { xoroshiro128plusFromState } from 'pure-rand/generator/xoroshiro128plus';

export interface RandomStream {
  /** Uniform in [0, 1). */
  uniform(): number;
  /** Standard normal (Box and Muller 1958). */
  normal(): number;
  /** Uniform integer in [0, n). */
  below(n: number): number;
  /** A new array with the same items in random order (Fisher and Yates). */
  shuffled<T>(items: readonly T[]): T[];
}

/**
 * The stream that belongs to this seed and purpose, e.g. `randomStream(42, 'order', epoch)`.
 * The same arguments give the same numbers on every machine; different arguments give unrelated ones.
 */
export function randomStream(seed: number, ...purpose: (string | number)[]): RandomStream {
  const text = JSON.stringify([seed, ...purpose]);
  const generator = xoroshiro128plusFromState([0, 1, 2, 3].map((word) => hash32(text, word)));
  const uniform = () => uniformFloat64(generator);
  let spare: number | undefined;
  const normal = () => {
    if (spare !== undefined) {
      const value = spare;
      spare = undefined;
      return value;
    }
    const radius = Math.sqrt(-2 * Math.log(1 - uniform()));
    const angle = 2 * Math.PI * uniform();
    spare = radius * Math.sin(angle);
    return radius * Math.cos(angle);
  };
  const below = (n: number) => uniformInt(generator, 0, n - 1);
  const shuffled = <T>(items: readonly T[]): T[] => {
    const result = [...items];
    for (let i = result.length - 1; i > 0; i--) {
      const j = below(i + 1);
      [result[i], result[j]] = [result[j]!, result[i]!];
    }
    return result;
  };
  return { uniform, normal, below, shuffled };
}

/** FNV-1a over UTF-16 units with murmur3's finaliser, so that streams with neighbouring seeds have unrelated states. */
function hash32(text: string, salt: number): number {
  let h = 0x811c9dc5 ^ Math.imul(salt + 1, 0x9e3779b1);
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193);
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return (h ^ (h >>> 16)) | 0;
}
