import { describe, expect, it } from 'vitest';
import { dataOf, heldOut, obstacle, type Picture } from './project.js';

const CLASSES = [
  { id: 'c1', name: 'cat' },
  { id: 'c2', name: 'dog' },
];
/** Ids as hashes are: in no order that has to do with when a picture came. */
const pictures = (classId: string, count: number, recording: string | null = null): Picture[] =>
  Array.from({ length: count }, (_, i) => ({
    ...{ id: `${(i * 7919) % 1009}-${classId}-${recording}`, classId, name: `${i}`, recording },
    ...{ blob: new Blob(), added: i },
  }));

describe('the pictures set aside', () => {
  it('are a fifth of each class, and one of three', () => {
    const held = heldOut([...pictures('c1', 50), ...pictures('c2', 3)]);
    expect([...held].filter((id) => id.includes('c1'))).toHaveLength(10);
    expect([...held].filter((id) => id.includes('c2'))).toHaveLength(1);
  });
  it('are mostly the same when pictures are added', () => {
    const [before, after] = [heldOut(pictures('c1', 40)), heldOut(pictures('c1', 44))];
    expect([...before].filter((id) => after.has(id)).length).toBeGreaterThanOrEqual(6);
  });
  it('are the last of each recording, whose neighbours look alike', () => {
    const all = [...pictures('c1', 20, 'one'), ...pictures('c1', 10, 'two')];
    const held = heldOut(all);
    const added = (recording: string) =>
      all.filter((one) => one.recording === recording && held.has(one.id)).map((one) => one.added);
    expect(added('one')).toEqual([16, 17, 18, 19]);
    expect(added('two')).toEqual([8, 9]);
  });
});

it('says in a sentence why training cannot begin', () => {
  const says = (...all: Picture[]) => obstacle(CLASSES, all);
  expect(says()).toContain('at least two classes');
  expect(says(...pictures('c1', 9))).toContain('Only “cat” has pictures');
  expect(says(...pictures('c1', 9), ...pictures('c2', 2))).toContain('“dog” has 2 pictures; it needs at least 3');
  expect(says(...pictures('c1', 9), ...pictures('c2', 3))).toBe(null);
  const of = (...names: string[]) =>
    obstacle(
      names.map((name, i) => ({ id: `c${i + 1}`, name })),
      [...pictures('c1', 3), ...pictures('c2', 3)],
    );
  expect(of('cat', 'cat ')).toContain('“cat” and “cat ” would be one class');
  // one folder, and one class of the run
  expect(of('a/b', 'a-b')).toContain('“a/b” and “a-b”');
  expect(of('é', 'e\u0301')).toContain('would be one class');
});

it('lays the pictures of a run out so that no class can lead elsewhere', () => {
  const classes = [
    { id: 'c1', name: '../etc' },
    { id: 'c2', name: 'train' },
  ];
  const { paths } = dataOf(classes, [...pictures('c1', 5), ...pictures('c2', 5)]);
  expect([...new Set(paths.map(({ path }) => path.split('/').slice(0, 2).join('/')))].sort()).toEqual([
    'test/--etc',
    'test/train',
    'train/--etc',
    'train/train',
  ]);
});

it('lays a class out under its composed name, as the run will call it', () => {
  const classes = [{ id: 'c1', name: 'e\u0301' }];
  expect(dataOf(classes, pictures('c1', 3)).paths[0]!.path).toMatch(/^\w+\/\u00e9\//);
});
