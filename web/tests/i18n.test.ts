import { describe, expect, it } from 'vitest';
import { LANGUAGES, matchLanguage, MESSAGES, translate, type Message, type MessageKey } from '../src/lib/i18n';

const keys = Object.keys(MESSAGES.en) as MessageKey[];
const names = (message: Message): string[] => {
  const texts = typeof message === 'string' ? [message] : Object.values(message);
  return [...new Set(texts.flatMap((text) => text.match(/\{\w+\}/g) ?? []))].sort();
};

describe('languages', () => {
  it.each(LANGUAGES)('%s has every sentence and no other', (language) => {
    expect(Object.keys(MESSAGES[language]).sort()).toEqual([...keys].sort());
  });

  it.each(LANGUAGES)('%s leaves no sentence empty and keeps the names to fill', (language) => {
    for (const key of keys) {
      const message = MESSAGES[language][key];
      const texts = typeof message === 'string' ? [message] : Object.values(message);
      expect(texts.every((text) => text.trim() !== ''), key).toBe(true);
      expect(names(message), key).toEqual(names(MESSAGES.en[key]));
    }
  });

  it('the Chinese sentences are Chinese, save for names', () => {
    const same = keys.filter((key) => MESSAGES['zh-CN'][key] === MESSAGES.en[key]);
    expect(same.sort()).toEqual(['parameters.topP']);
  });

  it('the Chinese sentences use Chinese punctuation', () => {
    for (const key of keys) expect(JSON.stringify(MESSAGES['zh-CN'][key]), key).not.toMatch(/\p{Script=Han}[,;:?!(]/u);
  });
});

describe('translate', () => {
  it('chooses singular and plural and writes numbers', () => {
    expect(translate('en', 'stats.tokens', { count: 1 })).toBe('1 token');
    expect(translate('en', 'stats.tokens', { count: 1234 })).toBe('1,234 tokens');
    expect(translate('zh-CN', 'stats.tokens', { count: 1 })).toBe('1 个词元');
  });
});

describe('matchLanguage', () => {
  it.each([
    [['zh-TW', 'en'], 'zh-CN'],
    [['zh-Hans-CN'], 'zh-CN'],
    [['en-GB', 'zh'], 'en'],
    [['fr', 'zh-CN', 'en'], 'zh-CN'],
    [['fr'], 'en'],
    [[], 'en'],
  ] as const)('%j gives %s', (preferred, language) => {
    expect(matchLanguage(preferred)).toBe(language);
  });
});
