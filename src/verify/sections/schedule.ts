/** The learning rate of every epoch, as timm's scheduler gives it. */
import { learningRate } from '../../train/schedule.js';
import type { Ledger } from '../ledger.js';
import { type Reference, scheduleFile } from '../reference.js';

export async function verifySchedules(reference: Reference, ledger: Ledger): Promise<void> {
  if (!(await reference.has('lr_schedule.json'))) return ledger.notCovered('schedule', 'not in this reference');
  const { tables } = await reference.json('lr_schedule.json', scheduleFile);
  tables.forEach((t, i) => {
    const schedule = {
      epochs: t.epochs,
      warmupEpochs: t.warmup_epochs,
      warmupLr: t.warmup_lr,
      lr: t.base_lr,
      minLr: t.min_lr,
      cooldownEpochs: t.cooldown_epochs,
    };
    t.lr_per_epoch.forEach((expected, epoch) => {
      ledger.compare(
        'schedule: learning rates',
        `table ${i + 1}`,
        `epoch ${epoch}`,
        [learningRate(epoch, schedule)],
        [expected],
      );
    });
  });
}
