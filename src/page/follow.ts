/** From what a run tells while it works to what the page shows of it. */
import type { Progress } from '../browser.js';
import type { Point } from './project.js';

/** A training that goes on. */
export interface Training {
  /** What is done now, in words. */
  readonly doing: string;
  readonly epoch: number;
  /** 0 before it is known. */
  readonly epochs: number;
  /** Of the epoch, from 0 to 1. */
  readonly share: number;
  /** Null before it is known. */
  readonly secondsLeft: number | null;
  readonly stopping: boolean;
}

export const BEGUN: Training = {
  ...{ doing: 'Getting ready …', epoch: 0, epochs: 0, share: 0, secondsLeft: null, stopping: false },
};

interface Followed {
  readonly training: Training;
  readonly points: readonly Point[];
}

/** @returns what has changed of both */
export function followed({ training, points }: Followed, event: Progress): Partial<Followed> {
  const now = (change: Partial<Training>) => ({ training: { ...training, ...change } });
  switch (event.kind) {
    case 'fetch': {
      const share = event.total ? ` (${Math.round((100 * event.done) / event.total)} %)` : '';
      return now({ doing: `Loading the model${share} …` });
    }
    case 'decode':
      return now({
        doing: event.done < event.total ? `Reading picture ${event.done} of ${event.total} …` : 'Preparing the model …',
      });
    case 'estimate':
      return now({ doing: 'Training …', secondsLeft: event.seconds });
    case 'step': {
      const { epoch, epochs, step, steps, secondsLeft } = event;
      return now({ doing: 'Training …', epoch, epochs, share: steps === 0 ? 0 : (step + 1) / steps, secondsLeft });
    }
    case 'epoch': {
      const { epoch, epochs, loss, trainAccuracy, testAccuracy } = event;
      const point = { epoch: epoch + 1, loss: loss.total, learnt: trainAccuracy, held: testAccuracy };
      const before = points.filter((one) => one.epoch <= epoch);
      return { ...now({ epoch: epoch + 1, epochs, share: 0 }), points: [...before, point] };
    }
    default:
      return {};
  }
}
