import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { parseSplitList } from './split-list.js';

const parse = (text: string, classCount: number | null = null) =>
  parseSplitList(text, 'pets/train800.txt', { classCount });

const folderName = fc.stringMatching(/^[A-Za-z0-9_äé][A-Za-z0-9_ äé.-]{0,8}$/).filter((name) => !/^\.|\.$/.test(name));
const relativePath = fc.array(folderName, { minLength: 1, maxLength: 4 }).map((names) => `${names.join('/')}.jpg`);

test('what was written is what is read, spaces in names included', () => {
  fc.assert(
    fc.property(
      fc.array(fc.record({ path: relativePath, label: fc.nat(99) }), { minLength: 1, maxLength: 20 }),
      fc.constantFrom('\n', '\r\n', '\n\n'),
      fc.constantFrom('', '\uFEFF'),
      fc.constantFrom('', ' ', '\n'),
      (images, lineEnd, mark, after) => {
        const text = mark + images.map(({ path, label }) => `${path} ${label}`).join(lineEnd) + after;
        expect(parse(text, 100).map(({ path, label }) => ({ path, label }))).toEqual(images);
      },
    ),
  );
});

test('no path that is accepted leaves the data set, whatever is typed', () => {
  const nasty = fc.array(fc.constantFrom('..', '.', '', 'a', 'C:', '\\', '/', '~', 'b.png', '...'), {
    minLength: 1,
    maxLength: 8,
  });
  fc.assert(
    fc.property(nasty, fc.constantFrom('/', '\\', ''), (parts, separator) => {
      const path = parts.join(separator);
      try {
        for (const image of parse(`${path} 0`)) {
          expect(image.path).not.toMatch(/^\/|^[A-Za-z]:|\\/);
          expect(image.path.split('/')).not.toContain('..');
        }
      } catch (error) {
        expect(error).toMatchObject({ name: 'IdatError' });
      }
    }),
    { numRuns: 1000 },
  );
});

test.each([
  ['two spaces', 'cat/a b.jpg  3'],
  ['spaces behind', 'cat/a b.jpg 3   '],
  ['a tab', 'cat/a b.jpg\t3'],
  ['tabs and spaces', 'cat/a b.jpg \t 3\t'],
  ['a comma', 'cat/a b.jpg,3'],
  ['double quotes', '"cat/a b.jpg" 3'],
  ['single quotes', "'cat/a b.jpg'\t3"],
  ['an absolute path inside', '/data/pets/cat/a b.jpg 3'],
])('%s between, behind or around is taken as meant', (_, line) => {
  const images = parseSplitList(line, 'train.txt', { classCount: null, roots: ['/elsewhere', '/data/pets'] });
  expect(images).toEqual([{ path: 'cat/a b.jpg', label: 3, line: 1 }]);
});

test.each(['/data/petsies/a.jpg 3', '/data/pets/../b.jpg 3', '/etc/passwd 3'])('%s is not inside', (line) => {
  expect(() => parseSplitList(line, 'train.txt', { classCount: null, roots: ['/data/pets'] })).toThrow('is not a path');
});

test.each(['cat/a.jpg', 'red fox/a.jpg', '"red fox/a b.png"', 'apple_pie/100564'])('%s has no label', (line) => {
  expect(() => parse(line)).toThrow(/^pets\/train800\.txt:1: .*which has no label; add it to each line/);
});

describe('several labels for an image', () => {
  const said = 'idat trains single-label classifiers';
  test.each(['a b.jpg 0 3', 'a b.jpg 0,3', 'a b.jpg,0,3', '"a b.jpg" 0|3', 'a b.jpg\t0\t3'])(
    '%s is refused',
    (line) => {
      expect(() => parse(`c.jpg 1\n${line}`)).toThrow(`txt:2: a b.jpg has several labels (0, 3); ${said}`);
    },
  );
  test('in two lines are refused, and the same label twice is not', () => {
    expect(() => parse('a.jpg 0\nb.jpg 1\n./a.jpg 1')).toThrow(`:3: "a.jpg" has another label in line 1; ${said}`);
    expect(parse('a.jpg 0\nb.jpg 1\n./a.jpg 0')).toHaveLength(3);
  });
  test('are not numbers in a name, and a long line is looked at quickly', () => {
    expect(parse('2020 1 2.jpg 3')).toMatchObject([{ path: '2020 1 2.jpg', label: 3 }]);
    const started = performance.now();
    expect(() => parse(`${'1 '.repeat(200_000)}x`)).toThrow();
    expect(performance.now() - started).toBeLessThan(2000);
  });
});

test('a label one too large hears where counting begins', () => {
  expect(() => parse('a.jpg 10', 10)).toThrow('got "10"; labels are counted from 0');
});

test('a path is normalised', () => {
  expect(parse('./images//a/../b.jpg 3')).toEqual([{ path: 'images/b.jpg', label: 3, line: 1 }]);
});

describe('errors name list and line', () => {
  test.each([
    ['data.list.escape', 'a.jpg 0\n../../etc/passwd 1', 'pets/train800.txt:2: "../../etc/passwd" is not a path inside'],
    ['data.list.escape', 'a/../../b.jpg 0', ':1: "a/../../b.jpg"'],
    ['data.list.escape', '/etc/passwd 0', ':1: "/etc/passwd"'],
    ['data.list.escape', 'images\\a.jpg 0', ':1: "images\\\\a.jpg"'],
    ['data.list.escape', 'C:/a.jpg 0', ':1: "C:/a.jpg"'],
    ['data.list.escape', 'a\0.jpg 0', ':1: '],
    ['data.list.label', '\n\na.jpg cat', ':3: expected a label from 0 to 9 (classes.txt names 10 classes), got "cat"'],
    ['data.list.label', 'a.jpg 1.5', 'got "1.5"'],
    ['data.list.label', 'a.jpg -1', 'got "-1"'],
    ['data.list.line', 'a.jpg', ':1: expected "relative/path LABEL", got "a.jpg"'],
    ['data.list.line', ' 4', 'got " 4"'],
    ['data.list.empty', '\n \n', 'pets/train800.txt: lists no images'],
  ])('%s %j', (code, text, message) => {
    expect(() => parse(text, 10)).toThrow(expect.objectContaining({ code, message: expect.stringContaining(message) }));
  });

  test('without classes.txt a label is still bounded', () => {
    expect(parse('a.jpg 99999')[0]!.label).toBe(99_999);
    expect(() => parse('a.jpg 4000000000')).toThrow(/from 0 to 99999, got "4000000000"/);
  });
});
