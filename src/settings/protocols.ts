/**
 * Protocols: on which images a run trains, which epoch it reports, and at which images it looks how often on the way.
 *
 * The published code is `paper`: it tests after each epoch and reports the best, so that its numbers are optimistic.
 */

export type SplitName = 'train' | 'val' | 'trainval' | 'test';

export const PROTOCOL_NAMES = ['last', 'val', 'paper'] as const;
export type ProtocolName = (typeof PROTOCOL_NAMES)[number];

export interface Protocol {
  readonly name: ProtocolName;
  /** The splits it reads. */
  readonly splits: readonly SplitName[];
  /** A phase of its own that chooses how many epochs to train: trains on one split and looks at the other after each epoch. */
  readonly select: { readonly train: SplitName; readonly look: 'val' } | null;
  /** What is kept trains on `train` and is measured on `test`. */
  readonly train: SplitName;
  readonly test: 'test';
  /** Whether the test images choose among its epochs. */
  readonly keepsBest: boolean;
  /** What an accuracy by it means; stands beside every one, for they are not comparable. */
  readonly meaning: string;
  /** Which epoch's parameters are kept, in half a sentence. */
  readonly kept: string;
}

const final = { train: 'trainval', test: 'test' } as const;

export const PROTOCOLS: Readonly<Record<ProtocolName, Protocol>> = {
  last: {
    name: 'last',
    splits: ['trainval', 'test'],
    select: null,
    ...final,
    keepsBest: false,
    meaning: 'last (the last epoch; the test images decided nothing)',
    kept: 'after the last epoch',
  },
  val: {
    name: 'val',
    splits: ['train', 'val', 'trainval', 'test'],
    select: { train: 'train', look: 'val' },
    ...final,
    keepsBest: false,
    meaning: 'val (epoch chosen on the validation images)',
    kept: 'after the epoch that was best on val',
  },
  paper: {
    name: 'paper',
    splits: ['trainval', 'test'],
    select: null,
    ...final,
    keepsBest: true,
    meaning: 'paper (best of all epochs on the test images: optimistic)',
    kept: 'after the epoch that was best on these images',
  },
};

/** After how many epochs each the test images are looked at while training; 0: not at all. */
export const looksEvery = ({ keepsBest }: Protocol, evalEvery: number): number => (keepsBest ? 1 : evalEvery);

/** How often the test images were looked at, in a sentence, as it says how far their score can be trusted. */
export function looks(protocol: Protocol, evalEvery: number): string {
  if (protocol.keepsBest) return 'The test images chose the epoch, so that its score on them is optimistic.';
  if (evalEvery === 0) return 'The test images were looked at once, at the end.';
  const often = evalEvery === 1 ? 'each epoch' : `every ${evalEvery} epochs`;
  return `The test images were looked at after ${often}; training did not depend on what was seen.`;
}
