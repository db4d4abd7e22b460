/** A finished run in words. */
import { relative } from 'node:path';
import type { FineTuneResult, Protocol } from '../index.js';
import { clock, facts, percent } from './format.js';

/** What each protocol's accuracy means; it stands beside every accuracy, for they are not comparable. */
export const PROTOCOL_MEANING: Record<Protocol, string> = {
  last: 'last (the last epoch; the test images decided nothing)',
  val: 'val (epoch chosen on the validation images)',
  paper: 'paper (best of all epochs on the test images: optimistic)',
};

/** As a person would type it. */
export const shortPath = (path: string): string => {
  const short = relative('', path);
  return short === '' || short.startsWith('..') ? path : short;
};

export function describeRun(result: FineTuneResult): string {
  const { student, teacher, head } = result.trainableParameters;
  const number = (n: number) => n.toLocaleString('en');
  return facts({
    accuracy: `${percent(result.accuracy)}  (${result.correct} of ${result.total} test images)`,
    protocol: PROTOCOL_MEANING[result.protocol],
    epoch: `${result.selectedEpoch + 1}`,
    'trained parameters': `${number(student)} (${number(head)} of them in the head)`,
    ...(teacher !== null && { 'of the teacher': number(teacher) }),
    time: clock(result.seconds),
    'run directory': shortPath(result.runDir),
  });
}
