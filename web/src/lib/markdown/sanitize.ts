/** The last gate before HTML text enters the page: a list of what may pass, and nothing else. */

import DOMPurify from 'dompurify';

const TAGS =
  'a blockquote br code del div em h1 h2 h3 h4 h5 h6 hr li ol p pre span strong table tbody td th thead tr ul'.split(' ');
/** Attributes that hold no address. */
const PLAIN = ['align', 'class', 'rel', 'start', 'tabindex', 'target', 'title'];

/** For what `render` made of an answer. */
export function sanitize(html: string): string {
  return DOMPurify.sanitize(html, {
    ALLOWED_TAGS: TAGS,
    ALLOWED_ATTR: [...PLAIN, 'href'],
    ADD_URI_SAFE_ATTR: PLAIN,
    ALLOW_DATA_ATTR: false,
    ALLOWED_URI_REGEXP: /^(https?:|mailto:)/i,
  });
}

/** For what the highlighter made of code: spans with classes. */
export function sanitizeCode(html: string): string {
  return DOMPurify.sanitize(html, { ALLOWED_TAGS: ['span'], ALLOWED_ATTR: ['class'], ALLOW_DATA_ATTR: false });
}
