/**
 * Markdown that grows at its end, rendered in blocks.
 *
 * An answer arrives in hundreds of pieces. Rendering all of it for each would cost the square of its length and would
 * replace every node of the page each time, so that a selection is lost and the text flickers. Here only the last two
 * blocks are read again: a line that is not complete yet can change how the block before it ends ("text\n#" is a
 * paragraph and a heading, "text\n#tag" one paragraph), but none before that one. A link definition can change any block,
 * so a text with definitions, which is rare in answers, is read as a whole each time.
 */

import type { Links, Token, Tokens } from 'marked';
import remend from 'remend';
import { fenceLanguage, lex, render } from './render';

export interface MarkdownBlock {
  /** The Markdown of the block with the blank lines after it. */
  readonly raw: string;
  /** HTML text, not yet sanitised. */
  readonly html: string;
  /** Set where the block is a code block at the top level. closed: its fence has an end. */
  readonly code: { readonly language: string; readonly text: string; readonly closed: boolean } | null;
  /** It stays as it is while it is open: nothing in it is Markdown. */
  readonly verbatim: boolean;
}

const REREAD = 2;

/** Closes what the last block leaves open (bold, inline code, a link half written) so that it does not jump when closed. */
function closeOpen(raw: string): string {
  return remend(raw, { linkMode: 'text-only', htmlTags: false, setextHeadings: true });
}

function blockOf(tokens: Token[]): MarkdownBlock {
  const raw = tokens.map((token) => token.raw).join('');
  const first = tokens[0];
  const code = first?.type === 'code' ? codeOf(first as Tokens.Code) : null;
  return { raw, html: render(tokens), code, verbatim: code !== null || first?.type === 'formulas' };
}

function codeOf({ raw, lang, text }: Tokens.Code): NonNullable<MarkdownBlock['code']> {
  return { language: fenceLanguage(lang), text, closed: /\n {0,3}(`{3,}|~{3,})\s*$/.test(raw) };
}

/** Tokens in groups: each block with the blank lines that follow it. */
function grouped(tokens: Token[]): Token[][] {
  const groups: Token[][] = [];
  for (const token of tokens) {
    const last = groups.at(-1);
    if (last && token.type === 'space') last.push(token);
    else groups.push([token]);
  }
  return groups;
}

export class MarkdownBlocks {
  private text = '';
  private blocks: MarkdownBlock[] = [];
  private links: Links = {};

  /**
   * The blocks of `source`. Blocks that did not change are the same objects as before. With `open`, more text is to come
   * and the last block is shown with its open marks closed; without it, the blocks' HTML joined is that of the whole text.
   */
  update(source: string, open: boolean): MarkdownBlock[] {
    const text = source.replace(/\r\n?/g, '\n');
    const grows = text.startsWith(this.text) && !holdsAny(this.links);
    if (!grows || !this.read(text, this.blocks.slice(0, -REREAD))) this.read(text, []);
    this.text = text;
    const last = this.blocks.at(-1);
    if (open && last && !last.verbatim) {
      const closed = closeOpen(last.raw);
      if (closed !== last.raw) {
        const html = render(lex(closed, this.links).tokens);
        return [...this.blocks.slice(0, -1), { ...last, html }];
      }
    }
    return this.blocks;
  }

  /** Reads what follows the kept blocks. False, with nothing changed, where a link definition is met after them. */
  private read(text: string, kept: MarkdownBlock[]): boolean {
    const from = kept.reduce((length, block) => length + block.raw.length, 0);
    const { tokens, links } = lex(text.slice(from), {});
    if (kept.length > 0 && holdsAny(links)) return false;
    const fresh = grouped(tokens).map(blockOf);
    const before = this.blocks.slice(kept.length);
    this.blocks = [...kept, ...fresh.map((block, index) => reuse(before[index], block))];
    this.links = links;
    return true;
  }
}

/** The block that was there, where nothing of it changed. */
function reuse(before: MarkdownBlock | undefined, now: MarkdownBlock): MarkdownBlock {
  return before?.html === now.html && before.raw === now.raw ? before : now;
}

function holdsAny(links: Links): boolean {
  return Object.keys(links).length > 0;
}
