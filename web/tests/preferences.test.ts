import { describe, expect, it } from 'vitest';
import { formatRate, formatSeconds } from '../src/lib/format';
import { translate, type MessageKey, type Values } from '../src/lib/i18n';
import { parsePreferences } from '../src/lib/state/preferences.svelte';

describe('parsePreferences', () => {
  const defaults = parsePreferences(null);

  it.each(['', 'not json', 'null', '[]', '7', '{"theme": "pink", "language": "xx", "sidebar": 3}'])(
    'makes the defaults of %j',
    (text) => {
      expect(parsePreferences(text)).toEqual(defaults);
    },
  );

  it('keeps what it knows and drops what it does not', () => {
    const kept = { language: 'zh-CN', theme: 'dark', sidebar: false };
    expect(parsePreferences(JSON.stringify({ ...kept, systemPrompt: 'x' }))).toEqual(kept);
  });
});

describe('times and rates', () => {
  const t = (key: MessageKey, values?: Values): string => translate('en', key, values);

  it.each([
    [0, '<1 ms'],
    [0.0004, '<1 ms'],
    [0.18, '180 ms'],
    [0.9994, '999 ms'],
    [0.9996, '1.0 s'],
    [2.44, '2.4 s'],
    [9.96, '10 s'],
    [59.6, '1 min 0 s'],
    [125, '2 min 5 s'],
  ])('%f seconds are "%s"', (seconds, text) => {
    expect(formatSeconds(t, seconds)).toBe(text);
  });

  it.each([
    [7.25, '7.3'],
    [99.96, '100'],
    [187.4, '187'],
  ])('%f tokens/s are "%s"', (rate, text) => {
    expect(formatRate(rate)).toBe(text);
  });
});
