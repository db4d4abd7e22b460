/** What the studio has done by a process of its own besides training: pictures, reports and exports. Started by `inTask`. */
import { type AnalysisName, analyse } from '../analysis/node/analyse.js';
import { answerParent } from '../experiments/answer-parent.js';
import { exportRun } from '../export/export.js';
import type { ExportOptions } from '../export/export-plan.js';
import { report } from '../export/report.js';

export type Task =
  | { readonly kind: 'analyse'; readonly dir: string; readonly only: AnalysisName }
  | { readonly kind: 'report'; readonly dir: string }
  | {
      readonly kind: 'export';
      readonly dir: string;
      readonly options: Pick<ExportOptions, 'out' | 'format' | 'quantize' | 'adapterInput'>;
    };

answerParent(async (task: Task, control): Promise<string> => {
  switch (task.kind) {
    case 'analyse': {
      const { parts } = await analyse(task.dir, { only: [task.only], ...control });
      return parts.map(({ says }) => says).join('; ');
    }
    case 'report':
      return (await report(task.dir, control)).missing.join(' ');
    case 'export': {
      const { checked, licence } = await exportRun(task.dir, { ...task.options, ...control });
      const { same, images, on } = checked;
      return `Names the same class as the training engine on ${same} of ${images} images of ${on}. ${licence.join(' ')}`;
    }
  }
});
