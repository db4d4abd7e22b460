/** Which curves of a run are shown, and in which of its charts. */
import type { EpochMetrics } from '../settings/record.js';
import type { Curve, NumberFormat } from './curves.js';
import { COLOURS, ROLE_COLOURS } from './theme.js';

/** What stands in one chart. */
export interface CurvePanel {
  readonly title: string;
  /** What is shown, in a sentence. */
  readonly says: string;
  readonly format: NumberFormat;
  readonly curves: readonly Curve[];
}

/** Of the epochs of one phase; panels without a value are left out. */
export function curvePanels(lines: readonly EpochMetrics[]): CurvePanel[] {
  const points = (of: (line: EpochMetrics) => number | null | undefined) =>
    lines.flatMap((line) => {
      const value = of(line);
      return typeof value === 'number' ? [[line.epoch + 1, value] as const] : [];
    });
  const taught = lines.some(({ teacherTrainAccuracy }) => teacherTrainAccuracy !== null);
  const student = { name: 'student', colour: ROLE_COLOURS.student };
  const teacher = { name: 'teacher', colour: ROLE_COLOURS.teacher, dashed: true };
  const panels: CurvePanel[] = [
    {
      title: 'Accuracy',
      says: 'Top-1 on the training images, and on others where they were looked at.',
      format: 'share',
      curves: [
        { ...student, points: points((line) => line.trainAccuracy) },
        { ...teacher, points: points((line) => line.teacherTrainAccuracy) },
        { name: 'test', colour: COLOURS[2]!, points: points((line) => line.testAccuracy) },
        { name: 'val', colour: COLOURS[3]!, points: points((line) => line.valAccuracy) },
      ],
    },
    {
      title: 'Loss',
      says: taught ? 'Cross-entropy of both models.' : 'Cross-entropy.',
      format: 'plain',
      curves: [
        { ...student, points: points(({ loss }) => loss.student) },
        { ...teacher, points: taught ? points(({ loss }) => loss.teacher) : [] },
      ],
    },
    {
      title: 'Distillation',
      says: 'The loss that ties student and teacher, before its weight.',
      format: 'plain',
      curves: [{ name: 'distillation', colour: COLOURS[3]!, points: taught ? points(({ loss }) => loss.distill) : [] }],
    },
    {
      title: 'Agreement',
      says: 'Training images for which student and teacher name the same class.',
      format: 'share',
      curves: [{ name: 'same answer', colour: COLOURS[2]!, points: points((line) => line.agreement) }],
    },
    {
      title: 'Learning rate',
      says: 'At the end of each epoch.',
      format: 'small',
      curves: [{ name: 'learning rate', colour: COLOURS[0]!, points: points((line) => line.lr) }],
    },
  ];
  return panels
    .map((panel) => ({ ...panel, curves: panel.curves.filter((curve) => curve.points.length > 0) }))
    .filter((panel) => panel.curves.length > 0);
}
