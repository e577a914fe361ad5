import { describe, expect, it } from 'vitest';
import css from '../src/styles/tokens.css?raw';

const tokens = new Map(
  [...css.matchAll(/--([\w-]+): light-dark\((#\w{6}), (#\w{6})\);/g)].map(([, name, light, dark]) => [
    name as string,
    { light: light as string, dark: dark as string },
  ]),
);

function luminance(colour: string): number {
  const [red, green, blue] = [1, 3, 5].map((at) => {
    const value = parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  }) as [number, number, number];
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

function contrast(one: string, other: string): number {
  const [high, low] = [luminance(one), luminance(other)].sort((a, b) => b - a) as [number, number];
  return (high + 0.05) / (low + 0.05);
}

const GROUNDS = ['ground', 'ground-side', 'ground-raised', 'ground-code', 'ground-bubble', 'ground-hover'];
/** Texts that appear on each of the grounds above. */
const TEXTS = ['text', 'text-2', 'text-3', 'accent'];
const CODE = ['keyword', 'string', 'number', 'comment', 'name', 'type'].map((name) => `code-${name}`);

const TEXT_PAIRS: [string, string][] = [
  ...GROUNDS.flatMap((ground) => TEXTS.map((text): [string, string] => [text, ground])),
  ...CODE.map((text): [string, string] => [text, 'ground-code']),
  ['on-accent', 'accent'],
  ['on-accent', 'accent-strong'],
  ['text', 'danger-soft'],
  ['text', 'ground-selected'],
  ['text-2', 'danger-soft'],
  ['danger', 'ground'],
  ['danger', 'ground-side'],
  ['danger', 'ground-raised'],
  ['waiting', 'ground'],
];
/** Outlines that say where a control is. */
const CONTROL_PAIRS: [string, string][] = [
  ['line-control', 'ground-side'],
  ['line-control', 'ground-raised'],
  ['good', 'ground'],
  ['danger', 'danger-soft'],
  ['waiting', 'ground-code'],
];

describe.each(['light', 'dark'] as const)('contrast in the %s theme (WCAG 2.2 AA)', (theme) => {
  const colour = (name: string): string => {
    const token = tokens.get(name);
    if (!token) throw new Error(`no token --${name}`);
    return token[theme];
  };

  it.each(TEXT_PAIRS)('--%s on --%s can be read (4.5 to 1)', (text, ground) => {
    expect(contrast(colour(text), colour(ground))).toBeGreaterThanOrEqual(4.5);
  });

  it.each(CONTROL_PAIRS)('--%s on --%s can be seen (3 to 1)', (line, ground) => {
    expect(contrast(colour(line), colour(ground))).toBeGreaterThanOrEqual(3);
  });
});
