/** What the reader chose for this browser: language, appearance, sidebar. Kept in localStorage. */

import { LANGUAGES, matchLanguage, translate, type Language, type MessageKey, type Values } from '../i18n';

export type Theme = 'auto' | 'light' | 'dark';
export type LanguageChoice = 'auto' | Language;

const KEY = 'pagoda.preferences';

interface Stored {
  language: LanguageChoice;
  theme: Theme;
  sidebar: boolean;
}

const DEFAULTS: Stored = { language: 'auto', theme: 'auto', sidebar: true };

/** Stored values with everything unknown or out of range replaced by its default. */
export function parsePreferences(text: string | null): Stored {
  let raw: Partial<Record<keyof Stored, unknown>> = {};
  try {
    const parsed: unknown = JSON.parse(text ?? '{}');
    if (typeof parsed === 'object' && parsed !== null) raw = parsed;
  } catch {
    return { ...DEFAULTS }; // written by something else: start anew
  }
  return {
    language: LANGUAGES.find((language) => language === raw.language) ?? 'auto',
    theme: raw.theme === 'light' || raw.theme === 'dark' ? raw.theme : 'auto',
    sidebar: raw.sidebar !== false,
  };
}

export class Preferences {
  language: LanguageChoice = $state('auto');
  theme: Theme = $state('auto');
  sidebar: boolean = $state(true);

  /** The house's language, for readers who chose none; null where the browser's is to be taken. */
  houseLanguage: Language | null = $state(null);
  private browserLanguage: Language = $state('en');
  readonly shown: Language = $derived(
    this.language === 'auto' ? (this.houseLanguage ?? this.browserLanguage) : this.language,
  );

  constructor(private readonly storage: Storage | null) {
    Object.assign(this, parsePreferences(storage?.getItem(KEY) ?? null));
    this.browserLanguage = matchLanguage(navigator.languages);
    addEventListener('languagechange', () => (this.browserLanguage = matchLanguage(navigator.languages)));
    $effect.root(() => {
      $effect(() => this.apply());
      $effect(() => this.save());
    });
  }

  /** The sentence of `key` in the language shown. */
  t = (key: MessageKey, values?: Values): string => translate(this.shown, key, values);

  private apply(): void {
    const { documentElement } = document;
    documentElement.lang = this.shown;
    if (this.theme === 'auto') delete documentElement.dataset['theme'];
    else documentElement.dataset['theme'] = this.theme;
  }

  private save(): void {
    const { language, theme, sidebar } = this;
    const text = JSON.stringify({ language, theme, sidebar } satisfies Stored);
    try {
      this.storage?.setItem(KEY, text);
    } catch (error) {
      console.info('Pagoda: preferences are not kept.', error); // a full or forbidden storage: the page works on
    }
  }
}
