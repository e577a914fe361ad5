import { describe, expect, it } from 'vitest';
import { MESSAGES } from '../src/lib/i18n';
import { en as administration } from '../src/workspace/admin/i18n/en';

const files = import.meta.glob<string>(['../src/**/*.{ts,svelte}', '!../src/**/i18n/**'], {
  query: '?raw',
  import: 'default',
  eager: true,
});
const code = Object.values(files).join('\n');
const named = new Set([...code.matchAll(/'([\w.]+)'/g)].map((match) => match[1]));
/** Keys that are put together: `setting.${name}.hint`. */
const made = [...code.matchAll(/`((?:[a-z]\w*|\$\{\w+\})\.(?:[\w.]|\$\{[^}]*\})*)`/g)].map((match) => {
  const parts = (match[1] ?? '').split(/\$\{[^}]*\}/).map((part) => part.replaceAll('.', '\\.'));
  return new RegExp(`^${parts.join('.*')}$`);
});

describe('sentences', () => {
  it('are looked for in all of the page', () => {
    expect(Object.keys(files)).toContain('../src/workspace/App.svelte');
  });

  it.each([
    ['the page', MESSAGES.en],
    ['the administration', administration],
  ])('every one of %s is said somewhere', (_, messages) => {
    const silent = Object.keys(messages).filter((key) => !named.has(key) && !made.some((form) => form.test(key)));
    expect(silent).toEqual([]);
  });
});
