/** The languages of the page, and the function that fills their sentences. */

import { en as page } from './en';
import { en as asking } from './parts/asking.en';
import { zh as askingZh } from './parts/asking.zh';
import { en as faults } from './parts/faults.en';
import { zh as faultsZh } from './parts/faults.zh';
import { en as functions } from './parts/functions.en';
import { zh as functionsZh } from './parts/functions.zh';
import { en as limits } from './parts/limits.en';
import { zh as limitsZh } from './parts/limits.zh';
import { en as history } from './parts/history.en';
import { zh as historyZh } from './parts/history.zh';
import { en as looks } from './parts/looks.en';
import { zh as looksZh } from './parts/looks.zh';
import { en as restored } from './parts/restored.en';
import { zh as restoredZh } from './parts/restored.zh';
import { en as workspace } from './parts/workspace.en';
import { zh as workspaceZh } from './parts/workspace.zh';
import { zh as pageZh } from './zh';

const en = {
  ...page,
  ...asking,
  ...faults,
  ...functions,
  ...history,
  ...limits, ...restored,
  ...looks,
  ...workspace,
};
const zh: Messages = {
  ...pageZh,
  ...askingZh,
  ...faultsZh,
  ...functionsZh,
  ...historyZh,
  ...limitsZh, ...restoredZh,
  ...looksZh,
  ...workspaceZh,
};

export type MessageKey = keyof typeof en;
export type Message = string | { one: string; other: string };
/** The sentences of one source in another language. */
export type Translation<Source> = Record<keyof Source, Message>;
export type Messages = Translation<typeof en>;

export const LANGUAGES = ['en', 'zh-CN'] as const;
export type Language = (typeof LANGUAGES)[number];

export const MESSAGES: Record<Language, Messages> = { en, 'zh-CN': zh };

/** What each language calls itself. */
export const LANGUAGE_NAMES: Record<Language, string> = { en: 'English', 'zh-CN': '简体中文' };

/** The first of the browser's languages that the page has; English where it has none. */
export function matchLanguage(preferred: readonly string[]): Language {
  for (const tag of preferred) {
    const primary = tag.toLowerCase().split('-')[0];
    if (primary === 'zh') return 'zh-CN';
    if (primary === 'en') return 'en';
  }
  return 'en';
}

export type Values = Record<string, string | number>;

/**
 * A sentence with its `{names}` filled. Numbers are written in the language's way; `count` also chooses between the
 * singular and the plural.
 */
export function fill(language: Language, message: Message, values: Values = {}): string {
  let template: string;
  if (typeof message === 'string') template = message;
  else {
    const category = new Intl.PluralRules(language).select(Number(values['count']));
    template = category === 'one' ? message.one : message.other;
  }
  return template.replace(/\{(\w+)\}/g, (whole, name: string) => {
    const value = values[name];
    if (value === undefined) return whole;
    return typeof value === 'number' ? new Intl.NumberFormat(language).format(value) : value;
  });
}

/** The sentence of `key`, filled as `fill` does. */
export function translate(language: Language, key: MessageKey, values: Values = {}): string {
  return fill(language, MESSAGES[language][key], values);
}
