/**
 * Where mathematics begins and ends in Markdown: `\( \)`, `\[ \]`, `$$ $$` and, with care, `$ $`.
 *
 * A dollar sign is money more often than mathematics, so a pair of single ones counts only where it hugs its formula and
 * touches no word or number outside. What is not closed is shown as it was written. The renderer leaves the source in the
 * page; `Typesetter` replaces it by a formula, and whoever has no script, or no such formula, still reads the source.
 */

import type { MarkedExtension, Token, TokenizerAndRendererExtension, Tokens } from 'marked';
import { escapeHtml } from './escape';

interface Formula {
  /** With its delimiters. */
  readonly raw: string;
  readonly display: boolean;
}

const DELIMITED: readonly { open: string; pattern: RegExp; display: boolean }[] = [
  { open: '\\(', pattern: /^\\\((?:\\(?!\))[\s\S]|[^\\])+?\\\)/, display: false },
  // An escaped bracket may also belong to a link that is none: \[text\](address).
  { open: '\\[', pattern: /^\\\[(?:\\(?!\])[\s\S]|[^\\])+?\\\](?![([:])/, display: true },
  { open: '$$', pattern: /^\$\$(?!\$)(?:\\[\s\S]|[^\\$]|\$(?!\$))+?\$\$(?!\$)/, display: true },
  { open: '$', pattern: /^\$(?![\s$])(?:\\[^\n]|[^\\$\n])*?[^\s\\$]\$(?![A-Za-z0-9$])/, display: false },
];

/** "5 for one and 10" between two dollar signs: an amount and words, and nothing that a formula would have. */
const MONEY = /^\$\d[^\\^_={}]*[\s/][A-Za-z]{2,}/;

/** A longer formula stays text: typesetting it would hold up the page. Characters. */
const LONGEST = 10_000;

/** The formula at the beginning of `source`, which follows the character `before`; null where there is none. */
export function formulaAt(source: string, before: string): Formula | null {
  const kind = DELIMITED.find(({ open }) => source.startsWith(open));
  const raw = kind?.pattern.exec(source.slice(0, LONGEST))?.[0];
  if (!kind || raw === undefined || /\n[ \t]*\n/.test(raw)) return null;
  if (kind.open === '$' && (/[A-Za-z0-9\\$]/.test(before) || MONEY.test(raw))) return null;
  return { raw, display: kind.display };
}

/** The TeX between the delimiters of a formula's source. */
export function texOf(raw: string): string {
  const width = raw.startsWith('$') && !raw.startsWith('$$') ? 1 : 2;
  return raw.slice(width, -width).trim();
}

const START = /\\[([]|\$/;
const DISPLAY_START = /(?:^|\n) {0,3}(?:\$\$|\\\[)/;
/** Up to the next empty line, which no formula contains. */
const PARAGRAPH = /^(?:(?!\n[ \t]*(?:\n|$))[\s\S])+\n?/;

const html = (tag: string, raw: string, display: boolean): string =>
  `<${tag} class="${display ? 'math display' : 'math'}">${escapeHtml(raw)}</${tag}>`;

const inline: TokenizerAndRendererExtension = {
  name: 'formula',
  level: 'inline',
  start: (source) => {
    const at = source.search(START);
    return at < 0 ? undefined : at;
  },
  tokenizer(source: string, tokens: Token[]) {
    const formula = formulaAt(source, tokens.at(-1)?.raw.at(-1) ?? '');
    return formula ? { type: 'formula', ...formula } : undefined;
  },
  renderer: ({ raw, display }: Tokens.Generic) => html('span', raw, display === true),
};

/**
 * A formula on lines of its own. Until it is closed it goes on to the next empty line, as text: lines of a formula that
 * look like a list or a heading never become one, whatever has arrived so far.
 */
const block: TokenizerAndRendererExtension = {
  name: 'formulas',
  level: 'block',
  start: (source) => {
    const found = DISPLAY_START.exec(source);
    return found ? found.index + (found[0].startsWith('\n') ? 1 : 0) : undefined;
  },
  tokenizer(source: string) {
    const indent = /^ {0,3}(?=\$\$|\\\[)/.exec(source)?.[0];
    if (indent === undefined) return undefined;
    const rest = source.slice(indent.length);
    const formula = formulaAt(rest, '');
    if (formula) {
      const after = /^[ \t]*(?:\n|$)/.exec(rest.slice(formula.raw.length))?.[0];
      return after === undefined
        ? undefined // words follow on the line: a formula within a paragraph
        : { type: 'formulas', raw: indent + formula.raw + after, source: formula.raw };
    }
    const paragraph = PARAGRAPH.exec(rest)?.[0] ?? '';
    const closed = paragraph.slice(2).includes(rest.startsWith('$') ? '$$' : '\\]');
    return closed ? undefined : { type: 'formulas', raw: indent + paragraph, source: null };
  },
  renderer: ({ raw, source }: Tokens.Generic) =>
    typeof source === 'string' ? `${html('div', source, true)}\n` : `<p>${escapeHtml(raw.trim()).replaceAll('\n', '<br>')}</p>\n`,
};

/** Stars and underscores within a formula open and close nothing outside of it. */
function masked(source: string): string {
  let made = '';
  for (let at = 0; at < source.length; ) {
    const next = source.slice(at).search(START);
    if (next < 0) return made + source.slice(at);
    made += source.slice(at, at + next);
    at += next;
    const formula = formulaAt(source.slice(at), source[at - 1] ?? '');
    made += formula ? 'a'.repeat(formula.raw.length) : source[at];
    at += formula?.raw.length ?? 1;
  }
  return made;
}

export const mathematics: MarkedExtension = { extensions: [inline, block], hooks: { emStrongMask: masked } };
