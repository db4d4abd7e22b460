/** A finished run in words. */
import { relative } from 'node:path';
import { fullAccuracy, worstClasses } from '../report/accuracy.js';
import type { FineTuneResult } from '../runs/fine-tune.js';
import { PROTOCOLS } from '../settings/protocols.js';
import { clock, facts } from './format.js';

/** As a person would type it. */
export const shortPath = (path: string): string => {
  const short = relative('', path);
  return short === '' || short.startsWith('..') ? path : short;
};

/** Behind a number of images: those that could not be read are not among them. */
export const leftOut = (images = 0): string => (images === 0 ? '' : `, ${images} more could not be read`);

/** How good it is, and where it is clearly worse than that. @param images what was measured on */
export function measured(score: Counts, images: string): Record<string, string> {
  const worst = worstClasses(score, score.classes);
  return { accuracy: fullAccuracy(score, images), ...(worst !== null && { 'worst classes': worst }) };
}

type Counts = Pick<FineTuneResult, 'correct' | 'total' | 'byClass' | 'classes'>;

export function describeRun(result: FineTuneResult): string {
  const { student, teacher, head } = result.trainableParameters;
  const number = (n: number) => n.toLocaleString('en');
  return facts({
    ...measured(result, `test images${leftOut(result.leftOut)}`),
    protocol: PROTOCOLS[result.protocol].meaning,
    epoch: `${result.selectedEpoch + 1}`,
    'trained parameters': `${number(student)} (${number(head)} of them in the head)`,
    ...(teacher !== null && { 'of the teacher': number(teacher) }),
    time: clock(result.seconds),
    'run directory': shortPath(result.runDir),
  });
}
