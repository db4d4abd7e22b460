import { mul, reduceMean, sub } from '../graph/ops/index.js';
import type { DistillationLoss } from './loss.js';

/**
 * Mean squared difference of what blocks hand on, the student's mapped to the teacher's width by a matrix that is trained
 * with the student and left behind with the teacher.
 *
 * The paper has this variant as a comparison (Table 5) without a recipe; layers, tokens and weight are our choice.
 * @see Romero et al. 2015 (FitNets), arXiv:1412.6550
 */
export const features: DistillationLoss = {
  name: 'features',
  reads: 'features',
  softens: false,
  formula: 'mean over layers l, tokens and width of (R_l·student_l − teacher_l)²',
  perImage(student, teacher) {
    const difference = sub(student, teacher);
    return reduceMean(mul(difference, difference), [-2, -1]);
  },
};

/** A block of the student and the block of the teacher it is held against, both counted from 0. */
export interface LayerPair {
  readonly student: number;
  readonly teacher: number;
}

/**
 * Which of the student's blocks belongs to a block of the teacher: of depths L_s and L_t, counted from 1,
 * l_s = ⌈l_t·L_s/L_t⌉, so that last belongs to last.
 *
 * @param layers the teacher's blocks, counted from 1; default: all
 */
export function layerPairs(
  studentDepth: number,
  teacherDepth: number,
  layers: readonly number[] = Array.from({ length: teacherDepth }, (_, i) => i + 1),
): LayerPair[] {
  return layers.map((layer) => ({
    student: Math.ceil((layer * studentDepth) / teacherDepth) - 1,
    teacher: layer - 1,
  }));
}
