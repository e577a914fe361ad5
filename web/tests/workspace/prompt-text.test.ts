import { describe, expect, it } from 'vitest';
import type { Prompt } from '../../src/workspace/api/asking';
import { blanksOf, calledIn, filled, matching, wantsClipboard } from '../../src/workspace/state/prompt-text';

const prompt = (command: string, title: string): Prompt => ({
  id: command, command, title, content: '', visibility: 'private', own: true, owner: '',
});
const surroundings = { userName: 'Ada', userEmail: 'ada@example.org', language: 'en', now: new Date(2026, 2, 4, 9, 5) };

describe('a prompt being called', () => {
  it.each([
    ['/', '', 0],
    ['/sum', 'sum', 0],
    ['Please /sum', 'sum', 7],
    ['line\n/代码', '代码', 5],
  ])('%j', (before, query, from) => {
    expect(calledIn(before)).toEqual({ query, from });
  });

  it.each(['', 'and/or', '/usr/bin', 'https://a', '/sum up'])('%j calls none', (before) => {
    expect(calledIn(before)).toBeNull();
  });

  it('is found far into a long text', () => {
    const text = `${'x'.repeat(100_000)} /sum`;
    expect(calledIn(text)).toEqual({ query: 'sum', from: text.length - 4 });
  });
});

it('commands that begin so come first, then those that hold it, then titles', () => {
  const all = [prompt('a', 'A summary'), prompt('resum', 'x'), prompt('sum', 'x'), prompt('other', 'y')];
  expect(matching(all, 'SUM').map((each) => each.command)).toEqual(['sum', 'resum', 'a']);
});

describe('blanks', () => {
  it('are each named once, without what the page knows', () => {
    expect(blanksOf('{{a}} {{ b }} {{a}} {{USER_NAME}} {{CLIPBOARD}}').map((each) => each.name)).toEqual(['a', 'b']);
    expect(wantsClipboard('{{ CLIPBOARD }}')).toBe(true);
    expect(wantsClipboard('{{CLIP}}')).toBe(false);
  });

  it('have kinds and properties', () => {
    const content = '{{x | select:options=["a:b","c"]:required}} {{y|text:placeholder="so: or \\"so\\"":default="z"}}';
    expect(blanksOf(content)).toEqual([
      { name: 'x', kind: 'select', options: ['a:b', 'c'], placeholder: '', start: '', required: true },
      { name: 'y', kind: 'text', options: [], placeholder: 'so: or "so"', start: 'z', required: false },
    ]);
  });

  it.each(['select', 'select:options=[oops]', 'map', '', ':'])('of the kind %j are free fields', (kind) => {
    expect(blanksOf(`{{x | ${kind}}}`)[0]).toMatchObject({ kind: 'text', options: [] });
  });
});

it('everything is filled, values as they are', () => {
  const content = '{{a}}, {{ a | text }}, {{USER_NAME}} {{CURRENT_DATE}} {{CURRENT_TIME}} {{CURRENT_WEEKDAY}} {{none}}!';
  expect(filled(content, { a: '$& {{b}}' }, surroundings)).toBe('$& {{b}}, $& {{b}}, Ada 2026-03-04 09:05 Wednesday !');
});

it('names of objects are no variables of the page', () => {
  expect(filled('{{constructor}}{{toString}}', {}, surroundings)).toBe('');
});
