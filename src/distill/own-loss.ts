/** What is asked of a loss that somebody else has written. */
import { IdatError } from '../errors.js';
import { formatShape, type Tensor } from '../graph/tensor.js';
import type { DistillationLoss } from './loss.js';

/**
 * The same loss, whose results are looked at when it is traced: of another shape than [B] they would be spread over the
 * weights of all images and summed without a word.
 * @throws IdatError `distill.loss` when it has not what a loss has; traced, `distill.shape`
 */
export function checkedLoss(loss: DistillationLoss): DistillationLoss {
  const { name, reads, perImage } = loss;
  const wrong = (what: string) => new IdatError('distill.loss', `the loss ${JSON.stringify(name)}: ${what}`);
  if (typeof name !== 'string' || !/^[\w-]+$/.test(name)) {
    throw wrong('expected a name of letters, digits, - and _, as it stands in settings and folders');
  }
  if (reads !== 'logits' && reads !== 'features') throw wrong(`expected reads 'logits' or 'features', got ${reads}`);
  if (typeof perImage !== 'function') throw wrong('expected perImage(student, teacher, temperature)');
  const traced = (student: Tensor, teacher: Tensor, temperature: number): Tensor => {
    const result = perImage.call(loss, student, teacher, temperature);
    const [images] = student.shape;
    const { shape } = result;
    if (shape.length === 1 && shape[0] === images) return result;
    const expected = `expected a number for each image, shape ${formatShape([images!])}, got ${formatShape(shape)}`;
    throw new IdatError('distill.shape', `the loss ${name}: ${expected}; take the mean over the other axes`);
  };
  return { ...loss, softens: loss.softens === true, formula: loss.formula ?? '', perImage: traced };
}
