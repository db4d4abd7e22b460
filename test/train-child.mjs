// Trains or resumes in a process of its own, so that it can be killed: node train-child.mjs (start JSON | resume DIR)
import { fineTune, resume } from '../dist/index.js';

const [, , how, what] = process.argv;
try {
  const onProgress = ({ kind }) => kind === 'step' && process.stdout.write('step\n');
  await (how === 'start' ? fineTune(JSON.parse(what), { onProgress }) : resume(what, { onProgress }));
} catch (error) {
  process.stdout.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
