/**
 * Markdown tokens to HTML text, for answers of a model.
 *
 * An answer is text from outside, so three rules hold here, before the sanitiser and the page's security policy hold them
 * again: HTML in Markdown is shown as text, a picture becomes a link (its address could carry the conversation to another
 * host as soon as it loads), and a link goes to http, https or mail only.
 */

import { Marked, type Links, type Token, type Tokens } from 'marked';
import { eastAsian } from './east-asian';
import { escapeHtml } from './escape';
import { mathematics } from './math';

const SAFE_ADDRESS = /^(https?:|mailto:)/i;

function link(href: string, title: string | null | undefined, inner: string): string {
  if (!SAFE_ADDRESS.test(href)) return inner;
  const titleAttribute = title ? ` title="${escapeHtml(title)}"` : '';
  return `<a href="${escapeHtml(href)}"${titleAttribute} target="_blank" rel="noopener noreferrer">${inner}</a>`;
}

/** The word after a code fence, in lower case: "py" of "```py title=x". */
export function fenceLanguage(info: string | undefined): string {
  return (info ?? '').trim().split(/[\s,{]/, 1)[0]?.toLowerCase() ?? '';
}

function createMarked(): Marked {
  const marked = new Marked({ gfm: true, breaks: true });
  const { table } = new marked.Renderer();
  marked.use(eastAsian, mathematics);
  marked.use({
    renderer: {
      html({ text, block }: Tokens.HTML | Tokens.Tag) {
        if (/^<br\s*\/?>$/i.test(text.trim())) return '<br>';
        return block ? `<p>${escapeHtml(text.trim()).replaceAll('\n', '<br>')}</p>\n` : escapeHtml(text);
      },
      link({ href, title, tokens }) {
        return link(href, title, this.parser.parseInline(tokens));
      },
      image({ href, title, text }) {
        return link(href, title, escapeHtml(text || href));
      },
      checkbox({ checked }) {
        return `<span class="task">${checked ? '☑' : '☐'}</span> `;
      },
      table(token) {
        return `<div class="table-scroll" tabindex="0">${table.call(this, token)}</div>\n`;
      },
      // A code block inside a list or a quote; at the top level the page has a component for it.
      code({ text }) {
        return `<div class="code"><pre tabindex="0"><code>${escapeHtml(text)}</code></pre></div>\n`;
      },
    },
  });
  return marked;
}

const marked = createMarked();

/** The block tokens of `source`, whose raw texts joined are `source`, and the link definitions it may refer to. */
export function lex(source: string, links: Links): { tokens: Token[]; links: Links } {
  const lexer = new marked.Lexer(marked.defaults);
  lexer.tokens.links = { ...links };
  const tokens = lexer.lex(source);
  return { tokens, links: tokens.links };
}

/** HTML text of block tokens. Not yet sanitised. */
export function render(tokens: Token[]): string {
  return marked.parser(tokens);
}

/** HTML text of a whole document in one go: what the blocks of `MarkdownBlocks` joined must equal. */
export function renderWhole(source: string): string {
  return render(lex(source.replace(/\r\n?/g, '\n'), {}).tokens);
}
