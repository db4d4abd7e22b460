/** Presets: settings below what is given, and who teaches. */
import { describe, expect, it } from 'vitest';
import { KNOWN_BACKBONES, teacherFor } from '../src/backbones/known-backbones.js';
import { withPreset } from '../src/runs/choose-preset.js';
import { parseConfig } from '../src/settings/config.js';
import { PRESETS, presetNamed } from '../src/settings/presets.js';
import type { Progress } from '../src/train/progress.js';

const notesOf = (name: string, given: Parameters<typeof withPreset>[1]) => {
  const notes: string[] = [];
  const onProgress = (event: Progress) => event.kind === 'note' && notes.push(event.text);
  return { settings: withPreset(name, given, { onProgress }), notes };
};

describe('presets', () => {
  it.each(PRESETS)('$name is a run’s settings', ({ name, settings }) => {
    expect(presetNamed(name.toUpperCase()).settings).toBe(settings);
    expect(parseConfig({ data: 'x', ...withPreset(name, {}) })).toMatchObject({
      epochs: settings.epochs,
      lr: settings.lr,
    });
  });

  it('offer the nearest name', () => {
    expect(() => presetNamed('quik')).toThrow(/^preset: none is called 'quik'; did you mean quick or best\?$/);
  });

  it('lie below what is given', () => {
    const { settings } = notesOf('paper', { epochs: 20, method: 'lora' });
    expect(parseConfig({ data: 'x', ...settings })).toMatchObject({ epochs: 20, warmupEpochs: 2, method: 'lora' });
  });

  it('have the student taught by the smaller model of its series', () => {
    expect(notesOf('paper', {})).toMatchObject({
      settings: { teacher: 'vit_nano_patch4_32.cifar10', distill: 'mse' },
      notes: [expect.stringMatching(/^preset paper: .*, taught by vit_nano_patch4_32\.cifar10$/)],
    });
    expect(withPreset('paper', { teacher: 'own.safetensors' }).teacher).toBe('own.safetensors');
    expect(withPreset('quick', {})).not.toHaveProperty('teacher');
  });

  it('move images where that does no harm, and not where it is said', () => {
    expect(notesOf('best', {}).settings).toMatchObject({ teacher: 'vit_nano_patch4_32.cifar10', cropPadding: 'auto' });
    expect(notesOf('best', { cropPadding: 0 }).settings).toMatchObject({ cropPadding: 0 });
  });

  it('train a student alone of which nothing smaller is known, and say so', () => {
    const { settings, notes } = notesOf('paper', { student: './own.safetensors' });
    expect(settings).not.toHaveProperty('distill');
    expect(parseConfig({ data: 'x', ...settings }).teacher).toBe(null);
    expect(notes[0]).toContain('no smaller model is known for ./own.safetensors, so nobody teaches it');
  });
});

describe('the teacher for a student', () => {
  it.each([
    ['vit_base_patch16_224.augreg_in21k', 'vit_small_patch16_224.augreg_in21k'],
    ['vit_large_patch16_224.augreg_in21k', 'vit_small_patch16_224.augreg_in21k'],
    ['swin_base_patch4_window7_224.ms_in22k', 'swin_tiny_patch4_window7_224.ms_in22k'],
    ['vit_base_patch14_dinov2.lvd142m', 'vit_small_patch14_dinov2.lvd142m'],
    ['vit_nano_patch4_32.cifar10', null],
    ['vit_base_patch16_224.mae', null],
  ])('%s is %s', (student, teacher) => {
    expect(teacherFor(student)).toBe(teacher);
  });

  it('is always smaller, and reads the same images', () => {
    for (const { name, parameters, config } of KNOWN_BACKBONES) {
      const teacher = KNOWN_BACKBONES.find((one) => one.name === teacherFor(name));
      if (!teacher) continue;
      expect(teacher.parameters).toBeLessThan(0.6 * parameters);
      expect(teacher.config.imageSize).toEqual(config.imageSize);
    }
  });
});
