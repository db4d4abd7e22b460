/** What an epoch comes to, and which epoch a protocol chooses. */
import type { EpochMetrics, Losses, Phase } from '../settings/record.js';
import type { EpochSums, TrainState } from './state.js';

/** The mean losses of the batches of one epoch and its training accuracy, from sums weighted by images. */
export function meansOf({ losses, correct, teacherCorrect, images }: EpochSums) {
  const mean = (sum: number) => sum / images;
  const loss: Losses = {
    student: mean(losses.student),
    teacher: mean(losses.teacher),
    distill: mean(losses.distill),
    total: mean(losses.total),
  };
  return { loss, trainAccuracy: mean(correct), teacherTrainAccuracy: mean(teacherCorrect) };
}

export function epochMetrics(
  { phase, epoch, sums, teacher }: TrainState,
  lr: number,
  looked: { split: 'val' | 'test'; accuracy: number; familiarities: number[] } | null,
): EpochMetrics {
  const { loss, trainAccuracy, teacherTrainAccuracy } = meansOf(sums);
  return {
    phase,
    epoch,
    lr,
    loss,
    trainAccuracy,
    teacherTrainAccuracy: teacher && teacherTrainAccuracy,
    ...(sums.agreed !== undefined && { agreement: teacher && sums.agreed / sums.images }),
    valAccuracy: looked?.split === 'val' ? looked.accuracy : null,
    testAccuracy: looked?.split === 'test' ? looked.accuracy : null,
    ...(looked?.split === 'val' && { valFamiliarities: looked.familiarities }),
  };
}

/** The epoch of a phase with the highest accuracy on what was looked at after each; of equals the latest. */
export function bestEpoch(metrics: readonly EpochMetrics[], phase: Phase): EpochMetrics | null {
  let best: EpochMetrics | null = null;
  for (const line of metrics) {
    if (line.phase === phase && (best === null || looked(line) >= looked(best))) best = line;
  }
  return best;
}

/**
 * Whether a phase has gone on for `patience` epochs without a better accuracy on what it looks at. An equal one is no
 * better, and epochs of the warm-up are not counted, as the rate has hardly begun to rise.
 */
export function patienceIsOver(
  metrics: readonly EpochMetrics[],
  phase: Phase,
  { patience, warmupEpochs }: { readonly patience: number; readonly warmupEpochs: number },
): boolean {
  const accuracies = metrics.filter((line) => line.phase === phase).map(looked);
  if (patience === 0 || accuracies.length === 0) return false;
  const first = accuracies.indexOf(Math.max(...accuracies));
  return accuracies.length - Math.max(first + 1, warmupEpochs) >= patience;
}

const looked = ({ valAccuracy, testAccuracy }: EpochMetrics) => valAccuracy ?? testAccuracy ?? 0;
