/** Colours for code: the highlighter and each language are fetched from this server when the first such block is shown. */

import type { HLJSApi, LanguageFn } from 'highlight.js';

type Loader = () => Promise<{ default: LanguageFn }>;

const LANGUAGES: Record<string, Loader> = {
  bash: () => import('highlight.js/lib/languages/bash'),
  c: () => import('highlight.js/lib/languages/c'),
  cpp: () => import('highlight.js/lib/languages/cpp'),
  csharp: () => import('highlight.js/lib/languages/csharp'),
  css: () => import('highlight.js/lib/languages/css'),
  diff: () => import('highlight.js/lib/languages/diff'),
  dockerfile: () => import('highlight.js/lib/languages/dockerfile'),
  go: () => import('highlight.js/lib/languages/go'),
  ini: () => import('highlight.js/lib/languages/ini'),
  java: () => import('highlight.js/lib/languages/java'),
  javascript: () => import('highlight.js/lib/languages/javascript'),
  json: () => import('highlight.js/lib/languages/json'),
  kotlin: () => import('highlight.js/lib/languages/kotlin'),
  lua: () => import('highlight.js/lib/languages/lua'),
  makefile: () => import('highlight.js/lib/languages/makefile'),
  php: () => import('highlight.js/lib/languages/php'),
  python: () => import('highlight.js/lib/languages/python'),
  r: () => import('highlight.js/lib/languages/r'),
  ruby: () => import('highlight.js/lib/languages/ruby'),
  rust: () => import('highlight.js/lib/languages/rust'),
  sql: () => import('highlight.js/lib/languages/sql'),
  swift: () => import('highlight.js/lib/languages/swift'),
  typescript: () => import('highlight.js/lib/languages/typescript'),
  xml: () => import('highlight.js/lib/languages/xml'),
  yaml: () => import('highlight.js/lib/languages/yaml'),
};

const ALIASES: Record<string, string> = {
  'c#': 'csharp', 'c++': 'cpp', cc: 'cpp', cs: 'csharp', console: 'bash', docker: 'dockerfile', golang: 'go',
  h: 'c', hpp: 'cpp', htm: 'xml', html: 'xml', js: 'javascript', jsonc: 'json', jsx: 'javascript', kt: 'kotlin',
  make: 'makefile', mjs: 'javascript', patch: 'diff', py: 'python', python3: 'python', rb: 'ruby', rs: 'rust',
  sh: 'bash', shell: 'bash', svg: 'xml', svelte: 'xml', toml: 'ini', ts: 'typescript', tsx: 'typescript', vue: 'xml',
  yml: 'yaml', zsh: 'bash',
};

/** Longer code stays plain: colouring it would hold up the page. Characters. */
const LONGEST = 50_000;

/** The language whose grammar colours a fence word, or null where there is none. */
export function grammarOf(language: string): string | null {
  const name = ALIASES[language] ?? language;
  return Object.hasOwn(LANGUAGES, name) ? name : null;
}

/** Colours code with grammars it loads once each. */
export class Highlighter {
  private core: Promise<HLJSApi> | null = null;
  private ready: HLJSApi | null = null;

  /** HTML text of `code`, or null where its grammar is not there (yet) or the code is too long. */
  highlight(code: string, language: string): string | null {
    const grammar = grammarOf(language);
    if (!grammar || code.length > LONGEST || !this.ready?.getLanguage(grammar)) return null;
    return this.ready.highlight(code, { language: grammar, ignoreIllegals: true }).value;
  }

  /** Fetches what `language` needs. True where something new can be highlighted now. */
  async load(language: string): Promise<boolean> {
    const grammar = grammarOf(language);
    const loader = grammar ? LANGUAGES[grammar] : undefined;
    if (!grammar || !loader || this.ready?.getLanguage(grammar)) return false;
    this.core ??= import('highlight.js/lib/core').then((module) => module.default);
    const [core, definition] = await Promise.all([this.core, loader()]);
    core.registerLanguage(grammar, definition.default);
    this.ready = core;
    return true;
  }
}
