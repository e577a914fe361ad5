/**
 * Markdown as Chinese, Japanese and Korean writers mean it.
 *
 * CommonMark decides by spaces and punctuation whether stars open or close, and where a bare address ends; a language
 * without spaces, with punctuation of its own, needs three more rules: `**中文。**后面` is strong, `5~10元，6~8元` strikes
 * nothing through, and an address ends before `。`.
 */

import type { MarkedExtension, Tokens } from 'marked';
import { Tokenizer } from 'marked';

const EAST_ASIAN = /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}\u3000-\u303f\uff00-\uffef]/u;
const PUNCTUATION = /[\p{P}\p{S}]/u;
const EMPHASIS = /^(\*{1,2})(?![\s*])([^*\n]*[^\s*])\1(?!\*)/;
/** What ends an address that is written without brackets. */
const AFTER_ADDRESS = /[\u3000-\u303f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff65“”‘’…—]/u;

const last = (text: string): string => [...text].at(-1) ?? '';
const first = (text: string): string => [...text][0] ?? '';

export const eastAsian: MarkedExtension = {
  tokenizer: {
    /** Only where CommonMark refuses because a mark stands between a letter and punctuation. */
    emStrong(source, _masked, before = '') {
      const found = EMPHASIS.exec(source);
      const [raw, stars, inner] = [found?.[0], found?.[1], found?.[2]];
      if (!raw || !stars || !inner) return false;
      const after = first(source.slice(raw.length));
      const opens = PUNCTUATION.test(first(inner)) && EAST_ASIAN.test(before);
      const closes = PUNCTUATION.test(last(inner)) && EAST_ASIAN.test(after);
      if (!opens && !closes) return false;
      const tokens = this.lexer.inlineTokens(inner);
      return stars.length === 2
        ? { type: 'strong', raw, text: inner, tokens }
        : { type: 'em', raw, text: inner, tokens };
    },
    /** Two tildes strike through; one is a range of numbers. */
    del(source, masked, before) {
      return source.startsWith('~~') ? Tokenizer.prototype.del.call(this, source, masked, before) : undefined;
    },
    url(source) {
      const link = Tokenizer.prototype.url.call(this, source) as Tokens.Link | undefined;
      const end = link?.raw.search(AFTER_ADDRESS) ?? -1;
      if (!link || end <= 0) return link;
      return Tokenizer.prototype.url.call(this, link.raw.slice(0, end)) as Tokens.Link | undefined;
    },
  },
};
