/** What reports are made of: escaping, drawings in a page, colours, strips, the command that repeats a run, the sweep's page. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inlineDrawing } from '../src/report/drawing.js';
import { escapeHtml, html } from '../src/report/html.js';
import { pageText } from '../src/report/page.js';
import { repeatCommand } from '../src/report/repeat-command.js';
import { niceTicks } from '../src/report/strips.js';
import { type StoryRun, sweepPage } from '../src/report/sweep-page.js';
import { darkOf, PageColours } from '../src/report/theme.js';
import { parseConfig } from '../src/settings/config.js';

describe('a template', () => {
  it('escapes words, and leaves what is HTML already', () => {
    const name = `<img src=x onerror='alert("1")'> & \u202e`;
    const inner = html`<b>${name}</b>`;
    expect(html`<td title="${name}">${[inner, 3, null]}</td>`.text).toBe(
      '<td title="&lt;img src=x onerror=&#39;alert(&quot;1&quot;)&#39;&gt; &amp; \\u202e">' +
        '<b>&lt;img src=x onerror=&#39;alert(&quot;1&quot;)&#39;&gt; &amp; \\u202e</b>3</td>',
    );
  });
  it('lets no text end a tag or an attribute', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), (text) => {
        expect(escapeHtml(text)).not.toMatch(/[<>"']|&(?!(amp|lt|gt|quot|#39);)/);
      }),
    );
  });
});

describe('a drawing in a page', () => {
  const draw = (svg: string) => {
    const colours = new PageColours();
    return { text: inlineDrawing(svg, { name: 'n', alt: 'a "b"', colours })?.text ?? null, colours };
  };
  const plain = '<svg width="4" viewBox="0 0 4 4" xmlns="http://www.w3.org/2000/svg">';

  it('has its own names, colours of the theme, and says what it shows', () => {
    const { text, colours } = draw(
      `${plain}<defs><clipPath id="c0"><path d="M0 0L1 1"></path></clipPath></defs><g clip-path="url(#c0)" class="x" ecmeta="1">
       <rect x="1" fill="#fff" stroke="rgb(1,2,3)"></rect></g><text fill="#222222" style="font-size:12px;font-family:sans-serif;">a &lt; b</text>
       <style ><![CDATA[.x:hover { fill:rgba(0,0,0,1); }]]></style></svg>`,
    );
    expect(text).toBe(
      '<svg role="img" aria-label="a &quot;b&quot;" width="4" viewBox="0 0 4 4"><defs><clipPath id="n-0"><path d="M0 0L1 1"></path>' +
        '</clipPath></defs><g clip-path="url(#n-0)"><rect x="1" fill="var(--cffffff)" stroke="rgb(1,2,3)"></rect></g>' +
        '<text fill="var(--c222222)" style="font-size:12px;">a &lt; b</text></svg>',
    );
    expect(colours.css('light')).toBe('--c222222:#222222;--cffffff:#ffffff;');
    expect(colours.css('dark')).toBe(`--c222222:${darkOf('#222222')};--cffffff:#1a1c20;`);
  });

  it.each([
    ['a script', `${plain}<script>alert(1)</script></svg>`],
    ['a script from elsewhere', `${plain}<script href="data:image/png;base64,AAAA"></script></svg>`],
    ['a foreign object', `${plain}<foreignObject></foreignObject></svg>`],
    ['a link', `${plain}<a href="https://example.org"><text>x</text></a></svg>`],
    ['a picture from elsewhere', `${plain}<image href="https://example.org/x.png"/></svg>`],
    ['a picture that is an SVG', `${plain}<image href="data:image/svg+xml;base64,AAAA"/></svg>`],
    ['a filter from elsewhere', `${plain}<rect fill="url(https://example.org/#a)"/></svg>`],
    ['a style that loads', `${plain}<rect style="background:url(https://example.org)"/></svg>`],
    ['a style element', `${plain}<style>@import "https://example.org";</style></svg>`],
    ['text between shapes', `${plain}<g>words</g></svg>`],
    ['an unclosed tag', `${plain}<g></svg>`],
    ['something behind its end', `${plain}</svg><p>x</p>`],
    ['an attribute without quotes', `${plain}<rect onclick=alert(1) /></svg>`],
    ['a comment', `${plain}<!-- x --></svg>`],
    ['an animation', `${plain}<animate attributeName="href"/></svg>`],
    ['nothing', ''],
  ])('is none with %s', (_, svg) => expect(draw(svg).text).toBe(null));

  it('has no attribute that acts', () => {
    const { text } = draw(`${plain}<rect onload="alert(1)" onclick="alert(1)" tabindex="1" x="2"/></svg>`);
    expect(text).toContain('<rect x="2"/>');
  });
});

it('ticks are round and go from below the lowest to above the highest', () => {
  fc.assert(
    fc.property(fc.array(fc.double({ min: -100, max: 100, noNaN: true }), { minLength: 1, maxLength: 9 }), (values) => {
      const ticks = niceTicks(values);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(9);
      expect(ticks[0]!).toBeLessThanOrEqual(Math.min(...values) + 1e-9);
      expect(ticks.at(-1)!).toBeGreaterThanOrEqual(Math.max(...values) - 1e-9);
    }),
  );
  expect(niceTicks([56.6, 61.3])).toEqual([56, 58, 60, 62]);
});

describe('the command that repeats a run', () => {
  it('names what is not the default, with paths cut to their last name', () => {
    const settings = parseConfig({
      ...{ data: "/home/me/it's mine", student: '/weights/a b.safetensors', teacher: 'vit_nano_patch4_32.cifar10' },
      ...{ variant: 'iDAT-S-kl', epochs: 5, lr: 0.01, options: { hidden: 8 }, orient: false, threads: 2, evalEvery: 1 },
    });
    const command = repeatCommand(settings)!;
    expect(command).toContain(`idat train 'it'\\''s mine' --no-orient --student 'a b.safetensors'`);
    expect(command).toContain('--method sequential --options hidden=8');
    for (const flag of ['--distill kl', '--epochs 5', '--lr 0.01', '--seed 42', '--eval-every 1', '--protocol last'])
      expect(command).toContain(flag);
    for (const none of ['--threads', '--variant', '--alpha', '--warmup', '--home', '/home', '/weights'])
      expect(command).not.toContain(none);
  });
  it('tells nothing of teaching where nobody teaches', () => {
    const command = repeatCommand(parseConfig({ data: 'a', student: 's', method: 'lora', epochs: 2 }))!;
    expect(command).toBe('idat train a --student s --method lora --epochs 2 --seed 42 --protocol last');
  });
});

describe('the page', () => {
  const page = pageText({
    ...{ title: '<b>', kind: 'k', lede: 'l', headline: html``, sections: [], foot: '', colours: new PageColours() },
  });
  it('lets nothing be loaded, and asks for nothing', () => {
    const policy = "default-src 'none'; img-src data:; style-src 'unsafe-inline'";
    expect(page).toContain(`content="${policy.replaceAll("'", '&#39;')};`);
    expect(page).not.toMatch(/<script|https?:|@import|url\(/);
    expect(page).toContain('<title>&lt;b&gt; · idat</title>');
  });
  it('can be read: words have a contrast of 4.5 and more, light and dark', () => {
    const light = (hex: string) => {
      const [r, g, b] = [1, 3, 5].map((at) => {
        const c = Number.parseInt(hex.slice(at, at + 2), 16) / 255;
        return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
      });
      return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!;
    };
    const schemes = [...page.matchAll(/:root\{[^}]*--ground[^}]*\}/g)].map(([rule]) =>
      Object.fromEntries([...rule.matchAll(/--(\w+):(#[\da-f]{6})[;}]/g)].map(([, name, hex]) => [name, hex!])),
    );
    expect(schemes).toHaveLength(2);
    for (const colours of schemes) {
      for (const ground of [colours.ground!, colours.card!]) {
        for (const words of ['ink', 'soft', 'faint', 'accent', 'warn']) {
          const [a, b] = [light(colours[words]!), light(ground)].sort((x, y) => y - x) as [number, number];
          expect((a + 0.05) / (b + 0.05), `${words} on ${ground}`).toBeGreaterThanOrEqual(4.5);
        }
      }
    }
  });
});

describe('a sweep as a page', () => {
  const run = (task: string, row: string, seed: number, correct: number, trainAccuracy = 1): StoryRun => ({
    ...{ name: `${task}/${row}/seed-${seed}`, task, row, seed, accuracy: correct / 100, correct, total: 100 },
    ...{
      trainAccuracy,
      protocol: 'last',
      seconds: 60,
      metrics: [],
      imagesPerClass: Number(/\d+$/.exec(task)?.[0] ?? 10),
    },
  });
  const results = [1, 2, 3].flatMap((seed) => [
    run('flowers', 'alone', seed, 60 + seed),
    run('flowers', 'taught', seed, 62 + 2 * seed),
    run('<script>', 'alone', seed, 50, 0.7),
    run('<script>', 'taught', seed, 51, 0.7),
  ]);
  const story = { name: 's', plan: { against: 'alone' }, results, missing: [] };
  const failed = [{ name: 'flowers/taught/seed-4', message: 'no <b> memory' }];
  const text = sweepPage({ ...story, failed });

  it('shows every run, and holds pairs against each other', () => {
    expect(text.match(/<circle class="dot"/g)).toHaveLength(12 + 6);
    // pairs: 3, 4, 5 and three times 1
    expect(text).toContain('<p class="big">+2.5<small>points</small></p>');
    expect(text).toContain('the mean over 6 pairs of runs');
    expect(text).toContain('+4.00 points over 3 pairs in which the training images were learnt to the end');
    expect(text).toContain('+1.00 points over 3 pairs in which they were not');
  });
  it('says what failed, in its sentence', () => {
    expect(text).toContain('<td class="words">no &lt;b&gt; memory</td>');
    expect(text).not.toMatch(/<script|no <b>/);
  });
  it('draws differences by images a class where data came in several sizes', () => {
    expect(text).not.toContain('By images a class');
    const sized = [5, 20, 80].flatMap((size, i) => [
      run(`euro-${size}`, 'alone', 1, 50),
      run(`euro-${size}`, 'taught', 1, 54 - 2 * i),
      run(`signs_${size}`, 'alone', 1, 50),
      run(`signs_${size}`, 'taught', 1, 51),
      run('other-7', 'alone', 1, 50),
      run('other-7', 'taught', 1, 50),
    ]);
    const results = sized.filter(({ name }, i) => sized.findIndex((one) => one.name === name) === i);
    const page = sweepPage({ ...story, results, failed: [] });
    expect(page).toContain(
      'aria-label="taught − alone by images a class: euro 5: +4.0, 20: +2.0, 80: +0.0; signs 5: +1.0, 20: +1.0, 80: +1.0"',
    );
    expect(page).toContain('+2.0 (1)');
    if (process.env.IDAT_SHOTS) writeFileSync(join(process.env.IDAT_SHOTS, 'sizes.html'), page);
  });
  it('says how little one pair and few pairs are', () => {
    const one = sweepPage({ ...story, results: results.slice(0, 2), failed: [] });
    expect(one).toContain('One pair is no measure');
    expect(text).toContain('+1.00');
    const three = sweepPage({ ...story, results: results.filter(({ task }) => task === 'flowers'), failed: [] });
    expect(three).toContain('With 3 pairs no p lies below 0.25');
  });
});
