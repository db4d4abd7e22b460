/** Settings with those of a preset below them. */
import { knownBackbone, teacherFor } from '../backbones/known-backbones.js';
import { BUNDLED } from '../settings/fields.js';
import { overlaid, type SomeSettings } from '../settings/overlay.js';
import { presetNamed } from '../settings/presets.js';
import type { RunControl } from '../train/progress.js';

/**
 * What is given wins. A preset that is taught takes the smaller model of the student's own series for a teacher, unless one is
 * given; where none is known the student is trained alone, and a note says so.
 *
 * @throws IdatError `config.preset` for a name that no preset has
 */
export function withPreset<Given extends SomeSettings>(
  name: string,
  given: Given,
  { onProgress }: RunControl = {},
): Given {
  const { settings, taught, says } = presetNamed(name);
  const student = given.student ?? BUNDLED.student;
  const teacher = taught && given.teacher === undefined ? teacherFor(student) : null;
  const alone = taught && given.teacher === undefined && teacher === null;
  const { distill: _, ...untaught } = settings;
  const whose = teacher ? `, taught by ${teacher}` : '';
  const but = alone
    ? `; no smaller model is known for ${knownBackbone(student)?.name ?? student}, so nobody teaches it`
    : '';
  onProgress?.({ kind: 'note', text: `preset ${name}: ${says}${whose}${but}` });
  return overlaid({ ...(alone ? untaught : settings), ...(teacher !== null && { teacher }) }, given) as Given;
}
