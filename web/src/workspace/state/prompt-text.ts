/** Prompts of the library: finding one by what is typed after "/", and filling its {{variables}}. */

import type { Prompt } from '../api/asking';

const CALL = /(?:^|\s)\/([\p{L}\p{N}_-]{0,50})$/u;

/** The prompt being called where the text before the cursor ends in "/…": what is typed, and where the "/" stands. */
export function calledIn(before: string): { query: string; from: number } | null {
  const found = CALL.exec(before.slice(-60));
  const query = found?.[1];
  return query === undefined ? null : { query, from: before.length - query.length - 1 };
}

/** Those that fit, the ones whose command begins so first. */
export function matching(prompts: readonly Prompt[], query: string): Prompt[] {
  const wanted = query.toLowerCase();
  const rank = ({ command, title }: Prompt): number => {
    if (command.startsWith(wanted)) return 0;
    if (command.includes(wanted)) return 1;
    return title.toLowerCase().includes(wanted) ? 2 : 3;
  };
  const ranked = prompts.map((prompt) => ({ prompt, rank: rank(prompt) })).filter((each) => each.rank < 3);
  return ranked.sort((a, b) => a.rank - b.rank).map((each) => each.prompt);
}

/** A blank in a prompt, which its user fills. `{{name}}`, or `{{name | kind:property="value":…}}`. */
export interface Blank {
  name: string;
  kind: 'text' | 'textarea' | 'number' | 'date' | 'select';
  options: string[];
  placeholder: string;
  start: string;
  required: boolean;
}

const VARIABLE = /\{\{\s*([^{}|]{1,60}?)\s*(?:\|([^{}]*))?\}\}/g;
const PIECE = /:?([\w-]+)(?:=("(?:[^"\\]|\\.)*"|\[[^\]]*\]|[^:]*))?/g;
const KINDS = ['text', 'textarea', 'number', 'date', 'select'] as const;

/** What the page fills by itself. */
export interface Surroundings {
  userName: string;
  userEmail: string;
  language: string;
  now: Date;
}

/** Names that the page knows, with what stands for them; the clipboard is read only where it is asked for. */
const KNOWN: Record<string, (from: Surroundings) => string> = {
  USER_NAME: ({ userName }) => userName,
  USER_EMAIL: ({ userEmail }) => userEmail,
  USER_LANGUAGE: ({ language }) => language,
  CURRENT_DATE: ({ now }) => isoDate(now),
  CURRENT_TIME: ({ now }) => clock(now),
  CURRENT_DATETIME: ({ now }) => `${isoDate(now)} ${clock(now)}`,
  CURRENT_WEEKDAY: ({ now, language }) => new Intl.DateTimeFormat(language, { weekday: 'long' }).format(now),
  CURRENT_TIMEZONE: () => Intl.DateTimeFormat().resolvedOptions().timeZone,
};
export const CLIPBOARD = 'CLIPBOARD';
export const KNOWN_NAMES: readonly string[] = [CLIPBOARD, ...Object.keys(KNOWN)];

const two = (value: number): string => String(value).padStart(2, '0');
const isoDate = (at: Date): string => `${at.getFullYear()}-${two(at.getMonth() + 1)}-${two(at.getDate())}`;
const clock = (at: Date): string => `${two(at.getHours())}:${two(at.getMinutes())}`;

/** The blanks that the user has to fill, each name once, in order. */
export function blanksOf(content: string): Blank[] {
  const found = new Map<string, Blank>();
  for (const [, name = '', definition = ''] of content.matchAll(VARIABLE)) {
    if (!KNOWN_NAMES.includes(name) && !found.has(name)) found.set(name, blank(name, definition));
  }
  return [...found.values()];
}

export const wantsClipboard = (content: string): boolean =>
  [...content.matchAll(VARIABLE)].some(([, name]) => name === CLIPBOARD);

/** The text with everything filled; `values` by name. What is not given stays empty. */
export function filled(content: string, values: Readonly<Record<string, string>>, from: Surroundings): string {
  return content.replace(VARIABLE, (_, name: string) => {
    const known = Object.hasOwn(KNOWN, name) ? KNOWN[name] : undefined;
    return known ? known(from) : ((Object.hasOwn(values, name) ? values[name] : undefined) ?? '');
  });
}

function blank(name: string, definition: string): Blank {
  const pieces = [...definition.trim().matchAll(PIECE)].map(([, key = '', value]) => [key, value] as const);
  const properties = new Map(pieces.slice(1));
  const options = list(properties.get('options'));
  const kind = KINDS.find((each) => each === pieces[0]?.[0]) ?? 'text';
  return {
    name,
    kind: kind === 'select' && options.length === 0 ? 'text' : kind,
    options,
    placeholder: plain(properties.get('placeholder')),
    start: plain(properties.get('default')),
    required: properties.has('required'),
  };
}

function plain(value: string | undefined): string {
  return (value ?? '').replace(/^"([\s\S]*)"$/, '$1').replace(/\\(["\\])/g, '$1');
}

/** ["a","b"] as JSON has it; nothing for what is none. */
function list(value: string | undefined): string[] {
  try {
    const found: unknown = JSON.parse(value ?? '[]');
    return Array.isArray(found) ? found.map(String) : [];
  } catch {
    return []; // an author's slip makes a free field of it
  }
}
