// Trains or resumes in a process of its own, so that it can be killed: node train-child.mjs (start JSON | resume DIR)
import { fineTune, resume } from '../dist/index.js';

const [, , how, what] = process.argv;
const notes = [];
try {
  const onProgress = ({ kind, text }) => {
    if (kind === 'step') process.stdout.write('step\n');
    if (kind === 'note') notes.push(text);
  };
  await (how === 'start' ? fineTune(JSON.parse(what), { onProgress }) : resume(what, { onProgress }));
} catch (error) {
  process.stdout.write(`${error.code}: ${error.message}\n`);
  process.exitCode = 1;
}
process.stdout.write(notes.join('\n'));
