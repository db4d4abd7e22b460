/**
 * A run in a process of its own: what it takes of memory is given back, and a crash is its own alone. Started by
 * `inProcesses` (run-in-process.ts), to which it answers; when that is gone it saves and ends.
 */
import { pathToFileURL } from 'node:url';
import { resume } from '../runs/fine-tune.js';
import { answerParent } from './answer-parent.js';
import type { RunStart } from './run-in-process.js';
import { runOnce } from './run-once.js';

answerParent(async ({ request, dir, modules }: RunStart, control) => {
  for (const path of modules) await import(pathToFileURL(path).href);
  return request === null ? resume(dir, control) : runOnce(request, dir, control);
});
